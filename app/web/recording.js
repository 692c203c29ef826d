import { lengthOf } from "./player.js";
import { Progress } from "./progress.js";
import { requestOf } from "./request.js";
import { Transcript } from "./transcript.js";

const KEPT = ["id", "batch", "place", "name", "size", "type", "status", "error", "choices",
  "language", "duration", "seconds", "isLive", "isKept"];

/**
 * One recording of the queue. `status`:
 *
 * - "waiting" for its turn, "running", or "speaking" into the microphone;
 * - "done", "failed" (`error` says why) or "cancelled";
 * - "lost": unfinished when the page was left, and without its file.
 *
 * A "change" event follows each change of these, a "progress" event news of the work, a "lines"
 * event a change of `openLines`.
 */
export class Recording extends EventTarget {
  id = newId();
  batch = Date.now(); // when it was chosen, and its place among those that were chosen with it
  place = 0;
  name = "";
  size = 0; // bytes
  type = "";
  status = "waiting";
  error = "";
  choices = {}; // what is wanted, as `Choices.value`
  language = null;
  duration = null; // seconds of sound
  seconds = null; // that it took
  isLive = false;
  isKept = false; // the browser keeps the sound
  file = null; // what was chosen; null after a reload
  transcript = new Transcript(); // null until it is loaded
  openLines = []; // that are still being heard: { id, start, stable, pending }
  progress = null; // while it runs, and after
  speech = null; // while it is spoken
  #cancel = null;

  static of(file, choices, batch, place) {
    const { name, size, type } = file;
    return Object.assign(new Recording(), { name, size, type, choices, batch, place, file });
  }

  static from(stored) {
    return Object.assign(new Recording(), stored, { transcript: null });
  }

  /** What `from` takes. */
  get stored() {
    return Object.fromEntries(KEPT.map((name) => [name, this[name]]));
  }

  /** The name of the file without its suffix. */
  get stem() {
    return this.name.replace(/\.[^.]+$/, "");
  }

  get isBusy() {
    return this.status === "running" || this.status === "speaking";
  }

  get isUnfinished() {
    return this.isBusy || this.status === "waiting" || this.status === "lost";
  }

  /** Something changes, and those who show it are told. */
  set(changes) {
    Object.assign(this, changes);
    this.dispatchEvent(new Event("change"));
  }

  cancel() {
    if (this.speech) this.speech.cancel();
    else if (this.#cancel) this.#cancel.abort();
    else if (this.status === "waiting") this.set({ status: "cancelled" });
  }

  /** Transcribes the file, as its choices say. Does not throw: `status` and `error` tell. */
  async run(api) {
    this.#cancel = new AbortController();
    this.transcript = new Transcript();
    const progress = new Progress(this.duration ?? NaN);
    this.set({ status: "running", error: "", progress });
    lengthOf(this.file).then((seconds) => (progress.total = seconds));
    const on = {
      uploaded: (share) => this.#report((progress) => progress.uploaded(share)),
      waiting: (_, isLimited) =>
        this.#report((progress) => (progress.waitsFor = isLimited ? "limit" : "busy")),
      event: (event) => this.#hear(event),
    };
    const { path, fields } = requestOf(this.choices);
    try {
      await api.transcribe(this.file, path, fields, on, this.#cancel.signal);
      this.set({ status: "done", seconds: this.progress.elapsed });
    } catch (error) {
      const isWanted = error.name === "AbortError";
      this.set({ status: isWanted ? "cancelled" : "failed", error: isWanted ? "" : error.message });
      if (error.status === 401) throw error;
    } finally {
      this.#cancel = null;
    }
  }

  #report(tell) {
    this.progress.waitsFor = null;
    tell(this.progress);
    this.dispatchEvent(new Event("progress"));
  }

  #hear(event) {
    if (event.type === "transcript.text.delta") {
      const { start, end, delta, words = [], speaker } = event;
      const segment = { start, end, text: delta, words };
      this.transcript.add(speaker === undefined ? segment : { ...segment, speaker });
      this.#report((progress) => progress.heard(end));
    } else {
      const { language, duration } = event;
      Object.assign(this.transcript, { language, duration });
      Object.assign(this, { language, duration });
    }
  }
}

/** Without `crypto.randomUUID`, which pages over plain http lack. */
function newId() {
  const numbers = crypto.getRandomValues(new Uint32Array(3));
  return [Date.now(), ...numbers].map((each) => each.toString(36)).join("-");
}
