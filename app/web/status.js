import { shortClock } from "./subtitles.js";

const WAITS = {
  busy: "The server is busy, waiting …",
  limit: "Your limit is reached, waiting for it to allow more …",
};

/** What goes on with a recording, in a few words. */
export function statusOf(recording) {
  const { status, speech, progress } = recording;
  switch (status) {
    case "waiting":
      return "Waits for its turn";
    case "running":
      return WAITS[progress?.waitsFor] ?? String(progress ?? "");
    case "speaking":
      if (!speech || speech.isEnding) return "Hearing the rest …";
      return speech.isPaused ? "Paused" : speech.seconds ? "Speak now" : "Connecting …";
    case "done":
      return summary(recording);
    case "failed":
      return "Failed";
    case "cancelled":
      return recording.error ? "Interrupted" : "Cancelled";
    case "lost":
      return "Unfinished: its file is needed again";
  }
}

/** The same for the list, where there is less room. */
export function shortStatusOf(recording) {
  const { status, error, duration, language } = recording;
  if (status === "failed") return error;
  if (status !== "done") return statusOf(recording);
  return [shortClock(Math.round(duration)), language && capitalised(language)]
    .filter(Boolean)
    .join(", ");
}

/** "Done: 18.4 s of audio in 1.6 s, English" */
function summary({ status, duration, seconds, language, isLive, transcript }) {
  if (status !== "done") return "";
  if (transcript && !transcript.text) return "Done: no speech was heard.";
  const time = seconds && !isLive ? ` in ${lengthOf(seconds)}` : "";
  const name = language ? `, ${capitalised(language)}` : "";
  return `Done: ${lengthOf(duration)} of audio${time}${name}`;
}

function lengthOf(seconds) {
  return seconds >= 60 ? shortClock(seconds) : `${seconds.toFixed(1)} s`;
}

function capitalised(name) {
  return name[0].toUpperCase() + name.slice(1);
}
