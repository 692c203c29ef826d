import { copy, save, saveBlob } from "./downloads.js";
import { Player } from "./player.js";
import { Transcript } from "./transcript.js";

const SPOKEN_AT_ONCE = 3;

const element = (id) => document.getElementById(id);

/** One recording and what was heard in it: shown, played, read out and saved. */
export class Result {
  #transcript;
  #player;
  #name = "";
  #language = null;
  #duration = null;
  #save = element("save");

  /** `say(message)` is told what cannot be seen otherwise. */
  constructor(say) {
    this.#player = new Player(
      element("player"),
      (seconds) => this.#transcript.highlight(seconds),
      () => say("The browser cannot play this recording."),
    );
    this.#transcript = new Transcript(
      element("transcript"),
      () => this.#player.time,
      (seconds) => this.#player.seek(seconds),
    );
    for (const button of document.querySelectorAll("[data-format]")) {
      button.onclick = () => save(this.#document(), button.dataset.format, this.#name);
    }
    element("copy").onclick = async () => {
      const isCopied = await copy(this.#transcript.text);
      say(isCopied ? "Copied." : "The browser does not let this page copy.");
    };
  }

  get text() {
    return this.#transcript.text;
  }

  /** The lines that are still being heard: `{ id, start, text }`. */
  get open() {
    return this.#transcript.open;
  }

  /** Makes room for a recording of that name. */
  begin(name) {
    this.#name = name;
    this.#language = this.#duration = null;
    this.#transcript.clear();
    this.#player.clear();
    this.#save.hidden = true;
    element("spoken").replaceChildren();
    element("result").hidden = false;
  }

  /** As `Transcript.add`. */
  add(segment, id) {
    this.#transcript.add(segment, id);
  }

  /** As `Transcript.hear`. */
  hear(id, start, stable, pending) {
    this.#transcript.hear(id, start, stable, pending);
  }

  /** As `Transcript.forget`. */
  forget(id) {
    this.#transcript.forget(id);
  }

  /** Has screen readers say what will not change any more. */
  readOut(text) {
    const spoken = element("spoken");
    if (spoken.childNodes.length >= SPOKEN_AT_ONCE) spoken.firstChild.remove();
    spoken.append(Object.assign(document.createElement("p"), { textContent: text }));
  }

  /** The transcript is complete: the language's name, and seconds of sound. */
  finish(language, duration) {
    this.#language = language;
    this.#duration = duration;
  }

  /** What to play; one that only this page has can be saved. */
  play(recording, canBeSaved) {
    this.#player.load(recording);
    this.#save.hidden = !canBeSaved;
    this.#save.onclick = () => saveBlob(recording, `${this.#name}.wav`);
  }

  /** What downloads are made of; its keys are those of `verbose_json`. */
  #document() {
    const { text, segments, words } = this.#transcript;
    return {
      language: this.#language,
      duration: this.#duration,
      text,
      words,
      segments: segments.map(({ start, end, text }, id) => ({ id, start, end, text })),
    };
  }
}
