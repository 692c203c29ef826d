#!/usr/bin/env bash
# Transcribes a recording in an image, as the chart runs it: read-only, as its own user, without any
# network: deploy/smoke.sh IMAGE. The CUDA image does it on the CPU.
set -euo pipefail
image=$1
samples=$(cd "$(dirname "$0")/../samples" && pwd)
container=$(docker run --detach --read-only --tmpfs /tmp --network none --cap-drop ALL \
  --security-opt no-new-privileges --volume "$samples:/samples:ro" \
  --env VERBATIM_ACCESS__OPEN=true --env VERBATIM_ENGINE__DEVICE=cpu "$image")
trap 'docker logs "$container" >&2; docker rm --force "$container" > /dev/null' EXIT
for _ in $(seq 120); do
  if docker exec "$container" python -m app.probe /health/ready > /dev/null 2>&1; then break; fi
  sleep 1
done
text=$(docker exec "$container" python -c '
import urllib.request
with open("/samples/jfk.flac", "rb") as recording:
    request = urllib.request.Request("http://127.0.0.1:8000/transcribe", recording.read())
print(urllib.request.urlopen(request, timeout=120).read().decode())
')
echo "$text"
grep -qi "ask not what your country can do for you" <<< "$text"
