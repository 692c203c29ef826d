import { spoken } from "./words.js";

/** Segments -> cues that can be read, as the server's app/openai/cues.py makes them. */

const [LINE_WIDTH, LINE_COUNT, LONGEST_SECONDS] = [42, 2, 7];
const PAUSE_SECONDS = 0.3;
const [AFTER_SENTENCE, AFTER_CLAUSE, ELSEWHERE] = [0, 0.3, 1];
const SENTENCE_END = /[.!?…。！？]$/;
const CLAUSE_END = /[,;:—，、；：]$/;
const REST_OF_A_WORD = /^[!-\u0dff]/; // scripts from Thai on are written without spaces
const WORD = /\s*\S+\s*$|\s*\S+/g;

/** `[{ start, end, lines }]`: one, unless the segment is too long; none if it has no text. */
export function cues({ start, end, text, words }) {
  if (!text.trim()) return [];
  const parts = piecesOf(start, end, text, words).flatMap(partsOf);
  const groups = groupsOf(parts);
  return groups.map((group, i) => {
    const begin = i === 0 ? start : group[0].start;
    const finish = i === groups.length - 1 ? end : group.at(-1).end;
    return {
      start: begin,
      end: Math.min(finish, begin + LONGEST_SECONDS),
      lines: evenLines(group.map((each) => each.text)),
    };
  });
}

function piecesOf(start, end, text, words) {
  const said = spoken(text, words);
  if (!said.length) return shared({ start, end }, text.match(WORD));
  const pieces = [];
  for (const { text, start, end } of said) {
    if (pieces.length && REST_OF_A_WORD.test(text)) {
      const before = pieces.pop();
      pieces.push({ start: before.start, end, text: before.text + text });
    } else {
      pieces.push({ start, end, text });
    }
  }
  return pieces;
}

/** A piece that is longer than a line, as a clause of Chinese may be, is cut into lines. */
function partsOf(piece) {
  if (length(piece.text.trim()) <= LINE_WIDTH) return [piece];
  const signs = [...piece.text];
  const first = LINE_WIDTH + length(piece.text) - length(piece.text.trimStart());
  const texts = [signs.slice(0, first).join("")];
  for (let at = first; at < signs.length; at += LINE_WIDTH) {
    texts.push(signs.slice(at, at + LINE_WIDTH).join(""));
  }
  return shared(piece, texts);
}

function shared({ start, end }, texts) {
  const rate = (end - start) / Math.max(1, length(texts.join("")));
  let at = 0;
  return texts.map((text) => {
    const from = at;
    at += length(text);
    return { start: start + from * rate, end: start + at * rate, text };
  });
}

/** The pieces of each cue: all, or the split of the least cost, by dynamic programming. */
function groupsOf(pieces) {
  const texts = pieces.map((each) => each.text);
  const seconds = pieces.at(-1).end - pieces[0].start;
  if (seconds <= LONGEST_SECONDS && fits(texts)) return [pieces];
  const signs = length(texts.join(""));
  const fewest = Math.max(
    Math.ceil(signs / (LINE_WIDTH * LINE_COUNT)),
    Math.ceil(seconds / LONGEST_SECONDS),
    1,
  );
  const best = [{ cost: 0, first: 0 }]; // of the first n pieces
  for (let count = 1; count <= pieces.length; count += 1) {
    best.push(bestSplit(pieces, count, signs / fewest, best));
  }
  const groups = [];
  for (let count = pieces.length; count; count = best[count].first) {
    groups.unshift(pieces.slice(best[count].first, count));
  }
  return groups;
}

function bestSplit(pieces, count, usual, best) {
  let found = null;
  const texts = [];
  const after = count < pieces.length ? splitCost(pieces, count) : 0;
  for (let first = count - 1; first >= 0; first -= 1) {
    texts.unshift(pieces[first].text);
    const isLong = pieces[count - 1].end - pieces[first].start > LONGEST_SECONDS;
    if (first < count - 1 && (isLong || !fits(texts))) break;
    const unlike = (length(texts.join("")) / usual - 1) ** 2;
    const cost = best[first].cost + 4 * unlike + after;
    if (!found || cost <= found.cost) found = { cost, first }; // of equals the earliest start
  }
  return found;
}

function splitCost(pieces, count) {
  const text = pieces[count - 1].text.trimEnd();
  if (SENTENCE_END.test(text)) return AFTER_SENTENCE;
  const isPause = pieces[count].start - pieces[count - 1].end >= PAUSE_SECONDS;
  return isPause || CLAUSE_END.test(text) ? AFTER_CLAUSE : ELSEWHERE;
}

function fits(texts) {
  const lines = linesOf(texts, LINE_WIDTH);
  return lines !== null && lines.length <= LINE_COUNT;
}

/** The texts, which fit, in the fewest lines, of similar lengths. */
function evenLines(texts) {
  const lines = linesOf(texts, LINE_WIDTH) ?? [];
  const narrowest = Math.floor(length(texts.join("").trim()) / Math.max(1, lines.length));
  for (let width = narrowest; width < LINE_WIDTH; width += 1) {
    const even = linesOf(texts, width);
    if (even?.length === lines.length) return even;
  }
  return lines;
}

/** The texts in lines of at most `width` characters; null if one text is longer. */
function linesOf(texts, width) {
  const lines = [""];
  for (const text of texts) {
    if (length((lines.at(-1) + text).trim()) <= width) lines[lines.length - 1] += text;
    else if (length(text.trim()) <= width) lines.push(text);
    else return null;
  }
  return lines.map((line) => line.trim()).filter(Boolean);
}

/** In characters, as Python counts them. */
function length(text) {
  return [...text].length;
}
