import { languageName } from "./choices.js";
import { LiveSession, subprotocols } from "./live.js";
import { wav } from "./wav.js";

/**
 * A recording that is being spoken into a microphone, and shown while it is: its lines come to
 * `recording.openLines` and then to its transcript. `onRead(text)` has what will not change.
 */
export class Speech {
  isPaused = false;
  #recording;
  #microphone;
  #sound;
  #session;
  #readOut = new Map(); // how many characters of a line, by its id
  #onRead;

  /** Throws an Error if the key cannot be sent. */
  constructor(recording, microphone, key, onRead) {
    this.#recording = recording;
    this.#microphone = microphone;
    this.#onRead = onRead;
    this.#sound = new Sound(microphone.rate);
    const { model, language } = recording.choices;
    const configuration = { model, language, sample_rate: microphone.rate, words: true };
    this.#session = new LiveSession(subprotocols(key.value), configuration, {
      ready: () => this.#listen(),
      partial: (event) => this.#partial(event),
      final: (event) => this.#final(event),
      error: (error) => recording.set({ error }),
    });
    recording.speech = this;
    recording.set({ status: "speaking" });
  }

  /** Seconds of sound. */
  get seconds() {
    return this.#sound.seconds;
  }

  /** How loud it is, 0..1. */
  get level() {
    return this.isPaused ? 0 : this.#sound.level;
  }

  get isEnding() {
    return this.#microphone === null;
  }

  pause() {
    this.isPaused = !this.isPaused;
    this.#recording.set({});
  }

  /** No more sound: the rest is heard, and a second time says not even that. */
  stop() {
    if (this.isEnding) this.#session.close();
    else {
      this.#microphone.close();
      this.#microphone = null;
      this.#session.end();
      this.#recording.set({});
    }
  }

  /** At once. */
  cancel() {
    this.#microphone?.close();
    this.#microphone = null;
    this.#session.close();
  }

  /** Resolves when all is heard; `status` and `error` of the recording tell how it ended. */
  async end() {
    let [status, error] = ["done", ""];
    try {
      await this.#session.ended;
    } catch (failure) {
      [status, error] = [this.isEnding ? "cancelled" : "failed", failure.message];
    }
    this.#microphone?.close();
    this.#settle();
    const { seconds } = this.#sound;
    const { language } = this.#recording.transcript;
    this.#recording.transcript.duration = seconds;
    const file = seconds ? this.#sound.file(`${this.#recording.name}.wav`) : null;
    this.#recording.speech = null;
    this.#recording.set({ status, error, file, language, duration: seconds, type: "audio/wav" });
  }

  #listen() {
    this.#microphone?.listen((chunk) => {
      if (this.isPaused) return;
      this.#sound.add(chunk);
      this.#session.send(chunk);
      this.#recording.dispatchEvent(new Event("progress"));
    }, () => this.stop());
  }

  #partial({ id, start, text, stable }) {
    const line = { id, start, stable, pending: text.slice(stable.length) };
    this.#lines([...this.#recording.openLines.filter((each) => each.id !== id), line]);
    this.#read(id, stable);
  }

  #final({ id, start, end, text, words = [], language }) {
    const { transcript } = this.#recording;
    this.#lines(this.#recording.openLines.filter((each) => each.id !== id));
    if (!text.trim()) return; // a noise after all
    const joint = transcript.segments.length ? "\n" : "";
    if (language) transcript.language ??= languageName(language);
    transcript.add({ start, end, text: joint + text.trim(), words });
    this.#read(id, text);
  }

  /** What is left without its end, when the connection is lost, is kept as it stands. */
  #settle() {
    for (const { id, start, stable, pending } of this.#recording.openLines) {
      this.#final({ id, start, end: this.seconds, text: stable + pending });
    }
  }

  #lines(openLines) {
    this.#recording.openLines = openLines.sort((one, other) => one.start - other.start);
    this.#recording.dispatchEvent(new Event("lines"));
  }

  #read(id, text) {
    const fresh = text.slice(this.#readOut.get(id) ?? 0);
    if (fresh.trim()) this.#onRead(`${fresh} `);
    this.#readOut.set(id, text.length);
  }
}

/** The samples that were sent, so that times in the transcript are times in what is played. */
class Sound {
  level = 0; // of the last chunk, 0..1 from -60 dB to full scale
  #chunks = [];
  #count = 0;
  #rate;

  constructor(rate) {
    this.#rate = rate;
  }

  get seconds() {
    return this.#count / this.#rate;
  }

  add(chunk) {
    this.#chunks.push(chunk);
    this.#count += chunk.length;
    const power = chunk.reduce((sum, sample) => sum + (sample / 32768) ** 2, 0) / chunk.length;
    this.level = Math.max(0, 1 + Math.log10(power) / 6);
  }

  file(name) {
    return new File([wav(this.#chunks, this.#rate)], name, { type: "audio/wav" });
  }
}
