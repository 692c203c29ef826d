#!/usr/bin/env bash
# Packages the chart of a release into the current directory: helm-chart/package.sh VERSION IMAGE
# IMAGE is the repository that .github/workflows/image.yml pushes to. HELM names another helm.
set -euo pipefail
version=$1 image=$2
chart=$(cd "$(dirname "$0")" && pwd)
copy=$(mktemp -d)
trap 'rm -r "$copy"' EXIT
# Its rules and dashboards are links.
cp -RL "$chart" "$copy/verbatim"
sed -i "s|^  repository: verbatim$|  repository: $image|" "$copy/verbatim/values.yaml"
grep -qx "  repository: $image" "$copy/verbatim/values.yaml"
# What Artifact Hub shows.
if [ -n "${GITHUB_REPOSITORY:-}" ]; then
  sed -i "s|^annotations:$|home: https://github.com/$GITHUB_REPOSITORY\nsources: [https://github.com/$GITHUB_REPOSITORY]\nannotations:|" "$copy/verbatim/Chart.yaml"
fi
cat >> "$copy/verbatim/Chart.yaml" <<END
  artifacthub.io/images: |
    - {name: cpu, image: $image:$version, platforms: [linux/amd64, linux/arm64]}
    - {name: cuda, image: $image:$version-cuda, platforms: [linux/amd64]}
END
"${HELM:-helm}" package "$copy/verbatim" --version "$version" --app-version "$version"
