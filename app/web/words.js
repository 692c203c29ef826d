const BEFORE_A_WORD = /[“"'‘«¿¡([{]+$/; // belongs to what follows, all else to the word before
const AROUND_A_WORD = /^[.,;:!?¿¡"“”«»()[\]。，！？：、…\s]+|[.,;:!?¿¡"“”«»()[\]。，！？：、…\s]+$/g;

/**
 * Cuts a text at its words: `[{ text, word? }]`, which joined are the text again.
 *
 * `words` come without the punctuation and the spaces around them, in the order of the text.
 */
export function pieces(text, words) {
  const found = [];
  let at = 0;
  for (const word of words) {
    const start = text.indexOf(word.word, at);
    if (start < 0) continue;
    if (start > at) found.push({ text: text.slice(at, start) });
    found.push({ text: word.word, word });
    at = start + word.word.length;
  }
  if (at < text.length) found.push({ text: text.slice(at) });
  return found;
}

/**
 * Words with all that stands around them, `[{ text, start, end, word }]`, whose texts joined are
 * the text again, as the server has them before it strips them. Empty for a text without words.
 */
export function spoken(text, words) {
  const result = [];
  let before = "";
  for (const piece of pieces(text, words)) {
    if (piece.word) {
      const { start, end } = piece.word;
      result.push({ text: before + piece.text, start, end, word: piece.word });
      before = "";
      continue;
    }
    const cut = result.length ? behind(piece.text) : 0;
    if (cut) result.at(-1).text += piece.text.slice(0, cut);
    before = piece.text.slice(cut);
  }
  if (result.length) result.at(-1).text += before;
  return result;
}

/** How much of what stands between two words belongs to the first of them. */
function behind(gap) {
  const space = gap.search(/\s/);
  if (space >= 0) return space;
  return gap.length - (BEFORE_A_WORD.exec(gap)?.[0].length ?? 0);
}

/**
 * The words of an edited text. Those that the edit did not touch keep their times; new ones share
 * the time of those that they replace, by their characters.
 */
export function retimed({ start, end, text, words }, edited) {
  const old = spoken(text, words);
  if (!old.length) return [];
  let [head, tail] = [0, 0]; // counts of words that stay
  let [from, to] = [0, edited.length];
  while (head < old.length && stays(edited, from, old[head].text)) {
    from += old[head].text.length;
    head += 1;
  }
  while (tail < old.length - head && to - old.at(-1 - tail).text.length >= from) {
    const { text: last } = old.at(-1 - tail);
    if (!edited.endsWith(last, to) || !/^\s/.test(last)) break;
    to -= last.length;
    tail += 1;
  }
  const rest = old.slice(old.length - tail);
  const between = {
    start: head === 0 ? start : old[head - 1].end,
    end: tail === 0 ? Math.max(end, old[head - 1]?.end ?? end) : rest[0].start,
  };
  if (head + tail < old.length) {
    between.start = Math.max(between.start, Math.min(old[head].start, between.end));
    between.end = Math.max(between.start, Math.min(between.end, old[old.length - tail - 1].end));
  }
  return [
    ...old.slice(0, head).map(({ word }) => word),
    ...shared(edited.slice(from, to), between, words[0]),
    ...rest.map(({ word }) => word),
  ];
}

/** Whether a word stands at `from`, whole. */
function stays(edited, from, text) {
  const end = from + text.length;
  return edited.startsWith(text, from) && (end === edited.length || /\s/.test(edited[end]));
}

function shared(text, { start, end }, { speaker }) {
  const bare = (text.match(/\S+/g) ?? []).map((each) => each.replace(AROUND_A_WORD, "") || each);
  const total = bare.join("").length;
  let at = 0;
  const time = () => Math.round((start + ((end - start) * at) / total) * 1000) / 1000;
  return bare.map((word) => {
    const begun = time();
    at += word.length;
    return { word, start: begun, end: time(), ...(speaker !== undefined && { speaker }) };
  });
}

/** Index of the last item that starts at or before `time`, or -1; items are in order of `start`. */
export function lastBefore(items, time) {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle].start <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
