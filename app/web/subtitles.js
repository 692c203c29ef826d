/** Segments -> text and subtitles, to the byte as the server's app/openai/subtitles.py. */

export function srt(segments) {
  const cues = withText(segments).map(
    ({ start, end, text }, i) =>
      `${i + 1}\n${clock(start, ",")} --> ${clock(end, ",")}\n${line(text)}\n\n`,
  );
  return cues.length ? `${cues.join("")}\n` : "";
}

export function vtt(segments) {
  const cues = withText(segments).map(
    ({ start, end, text }) => `${clock(start, ".")} --> ${clock(end, ".")}\n${line(text)}\n\n`,
  );
  return `WEBVTT\n\n${cues.join("")}`;
}

/** 3661.5 -> "1:01:01", for reading. */
export function shortClock(seconds) {
  const whole = Math.floor(seconds);
  const [hours, minutes, rest] = [whole / 3600, (whole / 60) % 60, whole % 60].map(Math.floor);
  const padded = String(rest).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${padded}` : `${minutes}:${padded}`;
}

function withText(segments) {
  return segments.filter(({ text }) => text.trim());
}

function line(text) {
  return text.trim().replaceAll("-->", "->");
}

function clock(seconds, point) {
  const milliseconds = Math.round(seconds * 1000);
  const parts = [milliseconds / 3_600_000, (milliseconds / 60_000) % 60, (milliseconds / 1000) % 60];
  const [hours, minutes, whole] = parts.map((part) => String(Math.floor(part)).padStart(2, "0"));
  return `${hours}:${minutes}:${whole}${point}${String(milliseconds % 1000).padStart(3, "0")}`;
}
