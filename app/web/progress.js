import { shortClock } from "./subtitles.js";

/** How far one transcription is, and for how long it may still go on. Times in seconds. */
export class Progress {
  waitsFor = null; // "busy" server or "limit" of the caller
  #total; // of sound; NaN while it is not known
  #uploaded = 0;
  #heard = 0;
  #begun = now();
  #listening = null; // since when
  #lastHeard = null; // when

  constructor(total) {
    this.#total = total;
  }

  set total(seconds) {
    this.#total = seconds;
  }

  uploaded(share) {
    this.#uploaded = share;
    if (share === 1) this.#listening ??= now();
  }

  /** The text reaches so far into the recording. */
  heard(seconds) {
    this.#listening ??= now();
    this.#heard = Math.max(this.#heard, seconds);
    this.#lastHeard = now();
  }

  get elapsed() {
    return now() - this.#begun;
  }

  /** 0..1, of the upload and then of the sound; null: that there is work, but not how much. */
  get share() {
    if (this.#listening === null) return this.#uploaded;
    return this.#heard && this.#total ? Math.min(1, this.#heard / this.#total) : null;
  }

  /** "0:30 of 3:03, about 40 s left" */
  toString() {
    if (this.#listening === null) {
      return this.#uploaded ? `Uploading, ${Math.floor(this.#uploaded * 100)} %` : "Uploading …";
    }
    const whole = this.#total ? ` of ${shortClock(this.#total)}` : "";
    if (!this.#heard) return `Listening, 0:00${whole}`;
    const left = this.#total ? `, ${this.#left()} left` : "";
    return `${shortClock(Math.min(this.#heard, this.#total || Infinity))}${whole}${left}`;
  }

  #left() {
    const pace = (this.#lastHeard - this.#listening) / this.#heard;
    const seconds = pace * (this.#total - this.#heard) - (now() - this.#lastHeard);
    if (seconds > 90) return `about ${Math.round(seconds / 60)} min`;
    if (seconds > 10) return `about ${Math.round(seconds / 5) * 5} s`;
    return "a few seconds";
  }
}

function now() {
  return performance.now() / 1000;
}
