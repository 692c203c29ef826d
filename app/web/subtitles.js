import { cues } from "./cues.js";

/** Segments -> subtitles, to the byte as the server's app/openai/subtitles.py. */

export function srt(segments) {
  const written = timed(segments).map(
    ({ speaker, cue }, i) =>
      `${i + 1}\n${clock(cue.start, ",")} --> ${clock(cue.end, ",")}\n` +
      `${speaker && `${speaker}: `}${text(cue)}\n\n`,
  );
  return written.length ? `${written.join("")}\n` : "";
}

export function vtt(segments) {
  const written = timed(segments).map(
    ({ speaker, cue }) =>
      `${clock(cue.start, ".")} --> ${clock(cue.end, ".")}\n` +
      `${speaker && `<v ${escaped(speaker)}>`}${text(cue)}\n\n`,
  );
  return `WEBVTT\n\n${written.join("")}`;
}

/** 3661.5 -> "1:01:01", for reading. */
export function shortClock(seconds) {
  const whole = Math.floor(seconds);
  const [hours, minutes, rest] = [whole / 3600, (whole / 60) % 60, whole % 60].map(Math.floor);
  const padded = String(rest).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${padded}` : `${minutes}:${padded}`;
}

/** `speaker` is a name in one line, empty if it is not known. */
function timed(segments) {
  return segments.flatMap((segment) => {
    const speaker = (segment.speaker ?? "").trim().split(/\s+/).join(" ").replaceAll("-->", "->");
    return cues(segment).map((cue) => ({ speaker, cue }));
  });
}

function text({ lines }) {
  return lines.join("\n").replaceAll("-->", "->");
}

function escaped(name) {
  const signs = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;" };
  return name.replace(/[&<>"']/g, (sign) => signs[sign]);
}

function clock(seconds, point) {
  const milliseconds = Math.round(seconds * 1000);
  const parts = [milliseconds / 3_600_000, (milliseconds / 60_000) % 60, (milliseconds / 1000) % 60];
  const [hours, minutes, whole] = parts.map((part) => String(Math.floor(part)).padStart(2, "0"));
  return `${hours}:${minutes}:${whole}${point}${String(milliseconds % 1000).padStart(3, "0")}`;
}
