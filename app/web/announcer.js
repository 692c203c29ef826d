const PAUSE_MS = 4000; // a screen reader that is told more often never ends
const MOST_SIGNS = 300;

/** Tells screen readers what cannot be seen otherwise, and what was said, now and then. */
export class Announcer {
  #place = document.getElementById("spoken");
  #waiting = "";
  #timer = null;

  /** What was heard; much of it at once is cut to its end. */
  read(text) {
    this.#waiting = (this.#waiting + text).slice(-MOST_SIGNS);
    this.#timer ??= setTimeout(() => this.#flush(), PAUSE_MS);
  }

  /** At once. */
  say(message) {
    const paragraph = Object.assign(document.createElement("p"), { textContent: message });
    while (this.#place.childNodes.length > 2) this.#place.firstChild.remove();
    this.#place.append(paragraph);
  }

  #flush() {
    this.#timer = null;
    const text = this.#waiting.trim();
    this.#waiting = "";
    if (text) this.say(text);
  }
}
