import { retimed } from "./words.js";

const MOST_STEPS = 200; // that can be undone

/**
 * What was said in one recording: `segments`, each `{ start, end, text, words, speaker? }` with
 * times in seconds, whose texts joined are the whole text; and `names`, of speakers by their
 * label. Neither is changed in place, so that each state can be gone back to.
 *
 * A "change" event follows each edit, an "add" event each new segment.
 */
export class Transcript extends EventTarget {
  segments = [];
  names = {};
  language = null; // its name, as "english"
  duration = null; // seconds of sound
  #past = [];
  #future = [];

  static from(stored) {
    return Object.assign(new Transcript(), stored);
  }

  /** What `from` takes. */
  get stored() {
    const { segments, names, language, duration } = this;
    return { segments, names, language, duration };
  }

  get text() {
    return this.segments.map((segment) => segment.text).join("").trim();
  }

  /** The labels of speakers, in the order of their first words. */
  get speakers() {
    const labels = this.segments.map(({ speaker }) => speaker);
    return [...new Set(labels.filter((label) => label !== undefined))];
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  nameOf(speaker) {
    return this.names[speaker] ?? speaker;
  }

  /** The segments with the names of their speakers. */
  get named() {
    return this.segments.map((segment) => {
      if (segment.speaker === undefined) return segment;
      const speaker = this.nameOf(segment.speaker);
      return { ...segment, speaker, words: segment.words.map((word) => ({ ...word, speaker })) };
    });
  }

  /** Takes a segment that was heard. */
  add(segment) {
    this.segments = [...this.segments, segment];
    this.dispatchEvent(new CustomEvent("add", { detail: segment }));
  }

  /** Gives a segment other words, without the space around them. */
  edit(index, text) {
    const old = this.segments[index];
    if (text === old.text.trim()) return;
    this.#step(this.segments.with(index, withText(old, text)), this.names);
  }

  /** Replaces what `pattern`, a global regular expression, finds; how often it did. */
  replaceAll(pattern, replacement) {
    let count = 0;
    const segments = this.segments.map((segment) => {
      let result = segment;
      // One at a time, from the end, so that each keeps the times of what is around it.
      for (const found of [...segment.text.trim().matchAll(pattern)].reverse()) {
        const text = result.text.trim();
        const end = found.index + found[0].length;
        result = withText(result, text.slice(0, found.index) + replacement + text.slice(end));
        count += 1;
      }
      return result;
    });
    if (count) this.#step(segments, this.names);
    return count;
  }

  /** Calls a speaker by a name; by that of another one, and the two are one from then on. */
  rename(speaker, name) {
    const other = this.speakers.find((each) => each !== speaker && this.nameOf(each) === name);
    if (other !== undefined) this.merge(speaker, other);
    else if (name && name !== this.nameOf(speaker)) {
      this.#step(this.segments, { ...this.names, [speaker]: name });
    }
  }

  merge(speaker, other) {
    const segments = this.segments.map((segment) =>
      segment.speaker === speaker ? spokenBy(segment, other) : segment,
    );
    this.#step(segments, this.names);
  }

  /** Says who speaks a segment. */
  assign(index, speaker) {
    this.#step(this.segments.with(index, spokenBy(this.segments[index], speaker)), this.names);
  }

  undo() {
    this.#go(this.#past, this.#future);
  }

  redo() {
    this.#go(this.#future, this.#past);
  }

  #step(segments, names) {
    this.#past.push({ segments: this.segments, names: this.names });
    if (this.#past.length > MOST_STEPS) this.#past.shift();
    this.#future = [];
    this.#show({ segments, names });
  }

  #go(from, to) {
    const state = from.pop();
    if (!state) return;
    to.push({ segments: this.segments, names: this.names });
    this.#show(state);
  }

  #show({ segments, names }) {
    this.segments = segments;
    this.names = names;
    this.dispatchEvent(new Event("change"));
  }
}

function withText(segment, text) {
  const whole = /^\s*/.exec(segment.text)[0] + text;
  return { ...segment, text: whole, words: retimed(segment, whole) };
}

function spokenBy(segment, speaker) {
  const words = segment.words.map((word) => ({ ...word, speaker }));
  return { ...segment, speaker, words };
}
