/** Uploads a file and shows its transcript as it comes. Throws ApiError; AbortError if cancelled. */
export async function transcribe(file, { api, choices, work, result }) {
  const cancel = new AbortController();
  work.begin("Uploading …", "Cancel", () => cancel.abort());
  result.begin(file.name.replace(/\.[^.]+$/, ""));
  result.play(file, false);
  let summary = "No speech was heard.";
  const on = {
    uploaded: (share) => {
      work.upload(share < 1 ? share : null);
      work.say(share < 1 ? "Uploading …" : "Listening …");
    },
    waiting: (seconds) => work.say(`The server is busy. Trying again in ${seconds} s …`),
    event: (event) => {
      if (event.type === "transcript.text.delta") {
        const { start, end, delta, words = [] } = event;
        result.add({ start, end, text: delta, words });
        result.readOut(delta);
      } else {
        const { text, language, duration } = event;
        result.finish(language, duration);
        if (text) summary = `Done: ${duration.toFixed(1)} s, heard as ${language}.`;
      }
    },
  };
  await api.transcribe(file, fields(choices), on, cancel.signal);
  work.finish(summary);
}

/** With `verbose_json`, events of this server's streams have times. */
function fields({ model, language }) {
  return {
    model,
    response_format: "verbose_json",
    "timestamp_granularities[]": "word",
    stream: "true",
    ...(language && { language }),
  };
}
