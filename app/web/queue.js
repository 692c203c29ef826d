import { Recording } from "./recording.js";
import { Transcript } from "./transcript.js";

const AT_ONCE = 2; // the server batches what comes together
const KEEPS_SOUND = "verbatim.keep-sound";

/**
 * All recordings, those that wait and those that are done: run in their order, and kept in `store`.
 *
 * Events: "list" when recordings come or go, "status" when one changes, "unkept" (`detail`: why)
 * when the browser refuses to keep something.
 */
export class Queue extends EventTarget {
  recordings = []; // as they are shown: the last batch first
  #api;
  #store;
  #isHeld = false;

  constructor(api, store) {
    super();
    this.#api = api;
    this.#store = store;
  }

  get keepsSound() {
    return localStorage.getItem(KEEPS_SOUND) === "yes";
  }

  /** Whether leaving the page would lose something. */
  get isFragile() {
    return this.recordings.some(
      (each) => each.status === "speaking" || (each.isUnfinished && each.file && !each.isKept),
    );
  }

  /** Brings back what the browser keeps. What was unfinished goes on, if its sound was kept. */
  async open() {
    const isFirst = await isFirstTab(); // others leave alone what it works on
    let stored = [];
    await this.#try(async () => (stored = await this.#store.recordings()));
    const recordings = stored
      .map((each) => this.#watched(Recording.from(each)))
      .filter((each) => isFirst || !each.isUnfinished);
    recordings.sort((one, other) => other.batch - one.batch || one.place - other.place);
    this.recordings = [...this.recordings, ...recordings];
    recordings.filter((each) => each.isUnfinished).forEach(revive);
    this.#tell("list");
    this.#work();
  }

  /** Takes files in; one that an unfinished recording waits for goes there. Their recordings. */
  add(files, choices) {
    const batch = Date.now();
    const fresh = [];
    const all = [...files].map((file) => {
      const lost = this.recordings.find((each) => each.status === "lost" && isOf(each, file));
      if (lost) return this.attach(lost, file);
      const recording = this.#watched(Recording.of(file, choices, batch, fresh.length));
      fresh.push(recording);
      return recording;
    });
    this.recordings.unshift(...fresh);
    fresh.forEach((each) => this.#keep(each));
    this.#tell("list");
    this.#work();
    return all;
  }

  /** Takes a recording in that is being made. */
  addLive(recording) {
    this.recordings.unshift(this.#watched(recording));
    this.#keep(recording);
    this.#tell("list");
  }

  /** Keeps a recording that was made, and what was heard in it. */
  async keepLive(recording) {
    if (!this.recordings.includes(recording)) return;
    await this.keepTranscript(recording);
    await this.#keep(recording);
  }

  /** Gives a recording the file back that was not kept. */
  attach(recording, file) {
    const status = recording.status === "lost" ? "waiting" : recording.status;
    recording.set({ file, status });
    this.#keep(recording);
    this.#work();
    return recording;
  }

  /** Transcribes a recording that failed, was cancelled or was left unfinished, once more. */
  async retry(recording, choices) {
    this.#isHeld = false;
    if (!(await this.sound(recording))) {
      recording.set({ status: "lost" });
      return;
    }
    recording.set({ status: "waiting", error: "", choices });
    this.#work();
  }

  /** Transcribes the same sound as another recording, so that no text is lost. */
  async again(recording, choices) {
    const file = await this.sound(recording);
    const [fresh] = this.add([new File([file], recording.name, { type: recording.type })], choices);
    return fresh;
  }

  async delete(recording) {
    recording.cancel();
    this.recordings = this.recordings.filter((each) => each !== recording);
    this.#tell("list");
    await this.#try(() => this.#store.delete(recording.id));
  }

  async deleteAll() {
    for (const each of [...this.recordings]) await this.delete(each);
  }

  /** Whether the browser shall keep sounds from now on; those of before are kept or forgotten. */
  async keepSounds(value) {
    localStorage.setItem(KEEPS_SOUND, value ? "yes" : "no");
    if (value) for (const each of this.recordings) await this.#keep(each);
    else {
      await this.#try(() => this.#store.forgetSounds());
      for (const each of this.recordings) each.set({ isKept: false });
    }
  }

  /** Goes on after somebody may call the server. */
  release() {
    this.#isHeld = false;
    this.#work();
  }

  /** The sound of a recording; null if it is neither here nor kept. */
  async sound(recording) {
    if (!recording.file && recording.isKept) {
      await this.#try(async () => (recording.file = await this.#store.sound(recording.id)));
    }
    return recording.file ?? null;
  }

  /** The transcript of a recording, from the store if need be; its edits are kept. */
  async transcript(recording) {
    if (recording.transcript === null) {
      let stored = null;
      await this.#try(async () => (stored = await this.#store.transcript(recording.id)));
      recording.transcript ??= Transcript.from(stored ?? {});
    }
    return recording.transcript;
  }

  keepTranscript(recording) {
    return this.#try(() => this.#store.keepTranscript(recording.id, recording.transcript));
  }

  #work() {
    if (this.#isHeld) return;
    const running = this.recordings.filter((each) => each.status === "running").length;
    const waiting = this.recordings
      .filter((each) => each.status === "waiting")
      .sort((one, other) => one.batch - other.batch || one.place - other.place);
    for (const each of waiting.slice(0, Math.max(0, AT_ONCE - running))) this.#run(each);
  }

  async #run(recording) {
    recording.set({ status: "running" });
    if (!(await this.sound(recording))) {
      recording.set({ status: "lost" });
      this.#work();
      return;
    }
    try {
      await recording.run(this.#api);
    } catch {
      this.#isHeld = true; // the key is missing: one dialog is enough for all
    }
    await this.keepTranscript(recording);
    await this.#keep(recording);
    this.#work();
  }

  async #keep(recording) {
    if (!this.recordings.includes(recording)) return; // deleted meanwhile
    await this.#try(async () => {
      await this.#store.keep(recording);
      if (!this.keepsSound || recording.isKept || !recording.file) return;
      await this.#store.keepSound(recording.id, recording.file);
      recording.set({ isKept: true });
      await this.#store.keep(recording);
    });
  }

  #watched(recording) {
    recording.addEventListener("change", () => this.#tell("status"));
    return recording;
  }

  async #try(act) {
    try {
      await act();
    } catch (error) {
      this.dispatchEvent(new CustomEvent("unkept", { detail: error.message }));
    }
  }

  #tell(name) {
    this.dispatchEvent(new Event(name));
  }
}

function revive(recording) {
  if (recording.status === "speaking") {
    recording.set({ status: "cancelled", error: "The page was left while this was recorded." });
  } else {
    recording.set({ status: recording.isKept ? "waiting" : "lost" });
  }
}

function isOf(recording, { name, size }) {
  return recording.name === name && recording.size === size;
}

/** Whether no other tab has the page open. Pages over plain http cannot know. */
function isFirstTab() {
  return new Promise((resolve) => {
    if (!navigator.locks) resolve(true);
    navigator.locks?.request("verbatim.queue", { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      return lock && new Promise(() => {}); // until the tab is closed
    });
  });
}
