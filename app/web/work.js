import { shortClock } from "./subtitles.js";

const element = (id) => document.getElementById(id);

/** What is going on, how far it is, and how to end it. */
export class Work {
  #section = element("work");
  #status = element("status");
  #progress = element("progress");
  #elapsed = element("elapsed");
  #level = element("level");
  #stop = element("stop");
  #error = element("error");

  /** Something begins; the button, named by `label`, calls `onStop`. */
  begin(status, label, onStop) {
    this.#error.hidden = true;
    this.#section.hidden = false;
    this.#section.scrollIntoView({ block: "nearest" });
    this.#stop.hidden = false;
    this.#stop.textContent = label;
    this.#stop.onclick = onStop;
    this.#stop.focus();
    this.say(status);
  }

  say(status) {
    if (this.#status.textContent !== status) this.#status.textContent = status;
  }

  /** How much is uploaded, 0..1; null: that there is work, but not how much. */
  upload(share) {
    this.#progress.hidden = false;
    if (share === null) this.#progress.removeAttribute("value");
    else this.#progress.value = share;
    this.#progress.setAttribute("aria-label", share === null ? "Transcription" : "Upload");
  }

  /** Seconds that were recorded, and how loud the last of them is, 0..1. */
  hear(seconds, level) {
    this.#elapsed.hidden = this.#level.hidden = false;
    this.#elapsed.textContent = shortClock(seconds);
    this.#level.value = level;
  }

  /** Nothing more can be stopped. */
  finish(status) {
    this.say(status);
    for (const each of [this.#progress, this.#elapsed, this.#level, this.#stop]) each.hidden = true;
  }

  /** Says what went wrong; nothing, if all is well again. */
  fail(message) {
    this.#error.textContent = message;
    this.#error.hidden = !message;
    this.#error.scrollIntoView({ block: "nearest" });
  }
}
