import { languageName } from "./choices.js";
import { LiveSession, subprotocols } from "./live.js";
import { Microphone } from "./microphone.js";
import { wav } from "./wav.js";

/** Shows what is said while it is said, until the person stops. Throws Error. */
export async function record({ key, choices, work, result }) {
  const protocols = subprotocols(key.value);
  const microphone = await Microphone.open();
  const sound = new Sound(microphone.rate);
  const lines = new Lines(result);
  const configuration = {
    model: choices.model,
    language: choices.language,
    sample_rate: microphone.rate,
    words: true,
  };
  const session = new LiveSession(protocols, configuration, {
    ready: () => {
      work.say("Speak now.");
      microphone.listen((chunk) => {
        sound.add(chunk);
        session.send(chunk);
        work.hear(sound.seconds, sound.level);
      }, stop);
    },
    partial: (event) => lines.partial(event),
    final: (event) => lines.final(event),
    error: (message) => work.fail(message),
  });
  const stop = () => {
    microphone.close();
    session.end();
    work.begin("Hearing the rest …", "Cancel", () => session.close());
  };
  work.begin("Connecting …", "Stop", stop);
  result.begin(`recording ${new Date().toISOString().slice(0, 16).replace(/[T:]/g, "-")}`);
  try {
    await session.ended;
    const summary = `Done: ${sound.seconds.toFixed(1)} s, heard as ${lines.language}.`;
    work.finish(result.text ? summary : "No speech was heard.");
  } finally {
    microphone.close();
    lines.settle(sound.seconds);
    result.finish(lines.language, sound.seconds);
    if (sound.seconds) result.play(sound.wav(), true);
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

  wav() {
    return wav(this.#chunks, this.#rate);
  }
}

/** One line of the result for each turn of speech. */
class Lines {
  language = null; // of the first line, by its name
  #result;
  #count = 0;
  #readOut = new Map(); // how many characters of a line, by its id

  constructor(result) {
    this.#result = result;
  }

  partial({ id, start, text, stable }) {
    this.#result.hear(id, start, stable, text.slice(stable.length));
    this.#read(id, stable);
  }

  final({ id, start, end, text, words = [], language }) {
    if (!text.trim()) {
      this.#result.forget(id);
      return;
    }
    const joint = this.#count ? "\n" : "";
    this.#result.add({ start, end, text: joint + text, words }, id);
    this.#read(id, text);
    this.#count += 1;
    if (language) this.language ??= languageName(language);
  }

  /** What is left without its end, when the connection is lost, is kept as it stands. */
  settle(end) {
    for (const line of this.#result.open) this.final({ ...line, end });
  }

  #read(id, text) {
    const fresh = text.slice(this.#readOut.get(id) ?? 0);
    if (fresh.trim()) this.#result.readOut(fresh);
    this.#readOut.set(id, text.length);
  }
}
