import { shortClock } from "./subtitles.js";
import { lastBefore, pieces } from "./words.js";

/**
 * What was said, as a list of lines with a time each. `segments` is what it shows, as
 * `{ start, end, text, words }`: their texts joined are the whole text.
 *
 * `onSeek(seconds)` is called for a click on a word or a time and for arrow keys; `now()` is where
 * the playback is.
 */
export class Transcript {
  segments = [];
  #list;
  #words = []; // { start, end, element }, in order
  #current = null;
  #open = new Map(); // lines that are still being heard, by id: { row, start, text }

  constructor(list, now, onSeek) {
    this.#list = list;
    list.onclick = ({ target }) => {
      if (target.dataset.start) onSeek(Number(target.dataset.start));
    };
    list.onkeydown = (event) => {
      const steps = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      const word = this.#words[lastBefore(this.#words, now()) + steps];
      if (word) onSeek(word.start);
      const line = event.target.closest("li");
      const next = { ArrowUp: line.previousSibling, ArrowDown: line.nextSibling }[event.key];
      next?.querySelector("button").focus();
      if (word || next) event.preventDefault();
    };
  }

  get text() {
    return this.segments.map((segment) => segment.text).join("").trim();
  }

  get words() {
    return this.segments.flatMap((segment) => segment.words);
  }

  /** The lines that are still being heard: `{ id, start, text }`. */
  get open() {
    return [...this.#open].map(([id, { start, text }]) => ({ id, start, text }));
  }

  clear() {
    this.segments = [];
    this.#words = [];
    this.#current = null;
    this.#open.clear();
    this.#list.replaceChildren();
  }

  /** Takes a segment that will not change any more; `id` is that of the line it was heard in. */
  add(segment, id) {
    this.segments.push(segment);
    const text = segment.text.trim();
    if (!text) return;
    const said = pieces(text, segment.words).map((piece) => this.#piece(piece));
    this.#row(id).replaceChildren(timeButton(segment.start), paragraph(said));
    this.#open.delete(id);
  }

  /** Shows a line that is still being heard: `stable` stands, `pending` may change. */
  hear(id, start, stable, pending) {
    const unsure = document.createElement("span");
    unsure.className = "pending";
    unsure.textContent = pending;
    const row = this.#row(id);
    row.replaceChildren(timeButton(start), paragraph([stable, unsure]));
    row.scrollIntoView({ block: "nearest" });
    this.#open.set(id, { row, start, text: stable + pending });
  }

  /** Takes a line away that was a noise after all. */
  forget(id) {
    this.#open.get(id)?.row.remove();
    this.#open.delete(id);
  }

  /** Marks the word that is said at `time` seconds. */
  highlight(time) {
    const word = this.#words[lastBefore(this.#words, time)];
    const element = word && time < word.end ? word.element : null;
    if (element === this.#current) return;
    this.#current?.removeAttribute("aria-current");
    element?.setAttribute("aria-current", "true");
    const isNewLine = element?.parentNode !== this.#current?.parentNode;
    if (isNewLine) element?.scrollIntoView({ block: "nearest" });
    this.#current = element;
  }

  #row(id) {
    const open = this.#open.get(id);
    if (open) return open.row;
    return this.#list.appendChild(document.createElement("li"));
  }

  #piece({ text, word }) {
    if (!word) return text;
    const element = document.createElement("span");
    element.className = "word";
    element.dataset.start = word.start;
    element.textContent = text;
    this.#words.push({ ...word, element });
    return element;
  }
}

function timeButton(start) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = shortClock(start);
  button.setAttribute("aria-label", `Play from ${shortClock(start)}`);
  button.dataset.start = start;
  return button;
}

function paragraph(children) {
  const element = document.createElement("p");
  element.append(...children);
  return element;
}
