"""What a browser's own recorder makes, through /stream as it comes."""

from tests.support.live_server import LiveServer
from tests.support.recordings import FOLDER, reference
from tests.support.words import word_errors
from tests.web.browser import chromium, opened

CLIP = FOLDER / "12_short_clip.wav"

RECORD = """
async (seconds) => {
  const socket = new WebSocket(location.origin.replace("http", "ws") + "/stream", ["verbatim"]);
  const said = [];
  const ended = new Promise((resolve) => { socket.onclose = resolve; });
  socket.onmessage = ({ data }) => said.push(JSON.parse(data));
  await new Promise((resolve) => { socket.onopen = resolve; });
  socket.send(JSON.stringify({ format: "auto", language: "en" }));
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  });
  const recorder = new MediaRecorder(stream, { mimeType: "audio/webm;codecs=opus" });
  const stopped = new Promise((resolve) => { recorder.onstop = resolve; });
  let sending = Promise.resolve();
  recorder.ondataavailable = ({ data }) => {
    sending = sending.then(async () => socket.send(await data.arrayBuffer()));
  };
  recorder.start(250);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  recorder.stop();
  await stopped;
  await sending;
  socket.send(JSON.stringify({ type: "end" }));
  await ended;
  return said;
}
"""


def test_what_chromium_records_is_transcribed_while_it_records(server: LiveServer) -> None:
    with chromium(microphone=CLIP) as browser, opened(browser, server.url) as page:
        said = page.evaluate(RECORD, 6)
    kinds = [message["type"] for message in said]
    assert kinds[0] == "ready"
    assert "partial" in kinds
    assert kinds[-1] == "done"
    assert said[-1]["duration"] > 5
    assert word_errors(reference(CLIP.name), said[-1]["text"]) <= 2
