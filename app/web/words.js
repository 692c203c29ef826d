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
