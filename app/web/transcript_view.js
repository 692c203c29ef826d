import { shortClock } from "./subtitles.js";
import { lastBefore, pieces } from "./words.js";

const COLOURS = 8;
const TYPING_PAUSE_MS = 700;

/**
 * A transcript as a list of lines with a time each, whose words can be played and changed.
 *
 * `on.seek(seconds)` is called for a click on a word or a time and for arrow keys; `on.time()` is
 * where the playback is. With `isEditing` lines are text fields; clicks on words set the caret.
 */
export class TranscriptView {
  follows = true; // scrolls to what is played
  #list;
  #on;
  #transcript = null;
  #rows = []; // { item, text, marks }, one for each segment; null for those without text
  #marks = null; // of all rows, in order; null: to be collected anew
  #current = null;
  #isEditing = false;
  #typing = null; // { index, timer }

  constructor(list, on) {
    this.#list = list;
    this.#on = on;
    list.onclick = (event) => this.#click(event);
    list.ondblclick = (event) => this.#doubleClick(event);
    list.onkeydown = (event) => this.#press(event);
    list.oninput = ({ target }) => this.#type(target);
    list.addEventListener("focusout", ({ target }) => this.#leave(target));
  }

  get isEditing() {
    return this.#isEditing;
  }

  set isEditing(value) {
    this.commit();
    this.#isEditing = value;
    this.#list.classList.toggle("editing", value);
    this.#render();
  }

  /** Shows another transcript; null: none. */
  show(transcript) {
    this.commit();
    this.#transcript?.removeEventListener("add", this.#add);
    this.#transcript?.removeEventListener("change", this.#change);
    this.#transcript = transcript;
    transcript?.addEventListener("add", this.#add);
    transcript?.addEventListener("change", this.#change);
    this.#render();
  }

  /** Shows the lines that are still being heard: `stable` stands, `pending` may change. */
  showOpen(lines) {
    for (const row of this.#list.querySelectorAll(".open")) row.remove();
    for (const { start, stable, pending } of lines) {
      const unsure = make("span", { className: "pending", textContent: pending });
      const item = make("li", { className: "open" });
      item.append(timeButton(start), paragraph([stable, unsure]));
      this.#list.append(item);
    }
    if (this.follows) this.#list.lastChild?.scrollIntoView({ block: "nearest" });
  }

  /** Marks the word that is said at `time` seconds. */
  highlight(time) {
    this.#marks ??= this.#rows.flatMap((row) => row?.marks ?? []);
    const mark = this.#marks[lastBefore(this.#marks, time)];
    const element = mark && time < mark.end ? mark.element : null;
    if (element === this.#current) return;
    this.#current?.removeAttribute("aria-current");
    element?.setAttribute("aria-current", "true");
    const isNewLine = element?.closest("li") !== this.#current?.closest("li");
    if (isNewLine && this.follows) element?.closest("li").scrollIntoView({ block: "nearest" });
    this.#current = element;
  }

  /** The texts of the lines, as `{ index, element }`. */
  get lines() {
    return this.#rows.flatMap((row, index) => (row ? [{ index, element: row.text }] : []));
  }

  /** Takes what is being typed into the transcript. */
  commit() {
    if (!this.#typing) return;
    const { index, timer } = this.#typing;
    clearTimeout(timer);
    const text = this.#rows[index].text.textContent.replace(/\s+/g, " ").trim();
    this.#transcript.edit(index, text); // `#change` leaves the line alone while it is typed in
    this.#typing = null;
  }

  undo() {
    this.#step(() => this.#transcript?.undo());
  }

  redo() {
    this.#step(() => this.#transcript?.redo());
  }

  #step(act) {
    const index = this.#indexOf(document.activeElement);
    this.commit();
    act();
    const text = this.#rows[index]?.text;
    if (!text?.isContentEditable) return;
    text.focus();
    getSelection().selectAllChildren(text);
    getSelection().collapseToEnd();
  }

  #add = ({ detail }) => {
    const row = this.#row(detail, this.#rows.length);
    this.#rows.push(row);
    this.#marks = null;
    if (row) this.#list.insertBefore(row.item, this.#list.querySelector(".open"));
  };

  #change = () => {
    if (!this.#typing) this.#render();
  };

  #render() {
    const segments = this.#transcript?.segments ?? [];
    this.#rows = segments.map((segment, index) => this.#row(segment, index));
    this.#marks = this.#current = null;
    const open = this.#list.querySelectorAll(".open");
    this.#list.replaceChildren(...this.#rows.filter(Boolean).map((row) => row.item), ...open);
  }

  #row(segment, index) {
    const shown = segment.text.trim();
    const isEdited = this.#isEditing;
    if (!shown && !isEdited) return null;
    const marks = [];
    const said = pieces(shown, segment.words).map((piece) => withMark(piece, marks));
    const text = paragraph(said);
    if (!marks.length) marks.push({ ...segment, element: text });
    if (isEdited) {
      text.contentEditable = "plaintext-only";
      text.setAttribute("role", "textbox");
      text.setAttribute("aria-label", `Words at ${shortClock(segment.start)}`);
    }
    const item = make("li");
    item.dataset.index = index;
    item.append(timeButton(segment.start), ...this.#speaker(segment, index), text);
    return { item, text, marks };
  }

  /** The name, where another one begins to speak; while lines are edited, before each. */
  #speaker({ speaker }, index) {
    if (speaker === undefined) return [];
    const { segments, speakers } = this.#transcript;
    const isSame = segments[index - 1]?.speaker === speaker;
    const name = this.#transcript.nameOf(speaker);
    const className = `speaker speaker-${speakers.indexOf(speaker) % COLOURS}`;
    if (!this.#isEditing) {
      return [make("span", { className, textContent: isSame ? "" : name })];
    }
    const button = make("button", { type: "button", className, textContent: name });
    button.setAttribute("aria-label", `Spoken by ${name}: change`);
    button.dataset.speaker = speaker;
    return [button];
  }

  #click({ target }) {
    if (target.dataset.speaker !== undefined) {
      const { speakers } = this.#transcript;
      const next = speakers[(speakers.indexOf(target.dataset.speaker) + 1) % speakers.length];
      this.#transcript.assign(this.#indexOf(target), next);
    } else if (target.dataset.start && !target.isContentEditable) {
      this.#on.seek(Number(target.dataset.start));
    }
  }

  /** Edits the line that was clicked twice. */
  #doubleClick({ target }) {
    const index = this.#indexOf(target);
    if (this.#isEditing || index === null || target.closest("button")) return;
    this.#on.edit();
    this.#rows[index].text.focus();
  }

  #press(event) {
    if (event.target.isContentEditable) {
      if (event.key === "Enter") {
        event.preventDefault();
        event.target.blur();
      }
      return;
    }
    const steps = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    this.#marks ??= this.#rows.flatMap((row) => row?.marks ?? []);
    const word = this.#marks[lastBefore(this.#marks, this.#on.time()) + steps];
    if (word) this.#on.seek(word.start);
    const line = event.target.closest("li");
    const next = { ArrowUp: line.previousSibling, ArrowDown: line.nextSibling }[event.key];
    next?.querySelector("button").focus();
    if (word || next) event.preventDefault();
  }

  #type(target) {
    const index = this.#indexOf(target);
    if (this.#typing && this.#typing.index !== index) this.commit();
    clearTimeout(this.#typing?.timer);
    this.#typing = { index, timer: setTimeout(() => this.commit(), TYPING_PAUSE_MS) };
  }

  /** Words that were typed can be played from then on. */
  #leave(target) {
    const index = this.#indexOf(target);
    if (!target.isContentEditable || index === null) return;
    this.commit();
    const row = this.#row(this.#transcript.segments[index], index);
    this.#rows[index]?.item.replaceWith(row.item);
    this.#rows[index] = row;
    this.#marks = this.#current = null;
  }

  #indexOf(element) {
    const index = element?.closest?.("#transcript li")?.dataset.index;
    return index === undefined ? null : Number(index);
  }
}

function withMark({ text, word }, marks) {
  if (!word) return text;
  const element = make("span", { className: "word", textContent: text });
  element.dataset.start = word.start;
  element.title = `${word.start.toFixed(2)} s`;
  marks.push({ start: word.start, end: word.end, element });
  return element;
}

function timeButton(start) {
  const button = make("button", { type: "button", textContent: shortClock(start) });
  button.setAttribute("aria-label", `Play from ${shortClock(start)}`);
  button.dataset.start = start;
  return button;
}

function paragraph(children) {
  const element = make("p");
  element.append(...children);
  return element;
}

function make(name, properties = {}) {
  return Object.assign(document.createElement(name), properties);
}
