import { srt, vtt } from "./subtitles.js";

const FORMATS = {
  txt: ({ text }) => `${text}\n`,
  srt: ({ segments }) => srt(segments),
  vtt: ({ segments }) => vtt(segments),
  json: (transcript) => `${JSON.stringify(transcript, null, 2)}\n`,
};

/** A transcript, as `{ language, duration, text, segments, words }`, in one of the formats. */
export function save(transcript, format, name) {
  saveBlob(new Blob([FORMATS[format](transcript)], { type: "text/plain" }), `${name}.${format}`);
}

export function saveBlob(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser reads it after this turn of its loop.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Whether the text was copied; browsers refuse it to pages that came without https. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
