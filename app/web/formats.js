import { shortClock, srt, vtt } from "./subtitles.js";

/** A transcript in files that other programs read: `{ name, suffix, type, write(transcript) }`. */
export const FORMATS = {
  txt: { name: "Plain text (.txt)", suffix: ".txt", write: ({ text }) => `${text}\n` },
  lines: { name: "Text with times and speakers (.txt)", suffix: ".lines.txt", write: lines },
  srt: { name: "Subtitles, SubRip (.srt)", suffix: ".srt", write: (each) => srt(asHeard(each)) },
  vtt: { name: "Subtitles, WebVTT (.vtt)", suffix: ".vtt", write: (each) => vtt(asHeard(each)) },
  json: { name: "JSON with words and times (.json)", suffix: ".json", write: json },
  csv: { name: "Table of lines (.csv)", suffix: ".csv", write: (each) => table(rows(each)) },
  words: {
    name: "Table of words and times (.csv)",
    suffix: ".words.csv",
    write: (each) => table(wordRows(each)),
  },
};

/** The text to paste elsewhere: with a line for each turn, where speakers are known. */
export function readable(transcript) {
  return transcript.speakers.length ? turns(transcript).join("\n") : transcript.text;
}

function turns({ named }) {
  const found = [];
  for (const { speaker, text } of named) {
    const last = found.at(-1);
    if (last?.speaker === speaker) last.text += text;
    else found.push({ speaker, text });
  }
  return found.map(({ speaker, text }) => `${speaker}: ${text.trim()}`);
}

function lines({ named }) {
  const spoken = named.filter(({ text }) => text.trim());
  return spoken
    .map(({ start, speaker, text }) => {
      return `[${shortClock(start)}] ${speaker === undefined ? "" : `${speaker}: `}${text.trim()}\n`;
    })
    .join("");
}

/** The keys are those of `verbose_json`. */
function json({ language, duration, text, named }) {
  const words = named.flatMap((segment) => segment.words);
  const segments = named.map(({ start, end, text, speaker }, id) => ({
    id,
    start,
    end,
    text,
    ...(speaker !== undefined && { speaker }),
  }));
  return `${JSON.stringify({ language, duration, text, words, segments }, null, 2)}\n`;
}

/**
 * The segments with the space before the first of them, which a stream leaves out and which counts
 * where the server splits cues.
 */
function asHeard({ named }) {
  const [first, ...rest] = named;
  if (!first || !/^[!-\u0dff]/.test(first.text)) return named;
  return [{ ...first, text: ` ${first.text}` }, ...rest];
}

function rows({ named }) {
  return [
    ["start", "end", "speaker", "text"],
    ...named.map(({ start, end, speaker = "", text }) => [start, end, speaker, text.trim()]),
  ];
}

function wordRows({ named }) {
  const words = named.flatMap((segment) => segment.words);
  return [
    ["start", "end", "speaker", "word"],
    ...words.map(({ start, end, speaker = "", word }) => [start, end, speaker, word]),
  ];
}

/** RFC 4180, with the mark by which spreadsheets know UTF-8. */
function table(rows) {
  const cell = (value) => {
    const text = String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return `\ufeff${rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("")}`;
}
