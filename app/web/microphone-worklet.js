const CHUNK_SECONDS = 0.05;

/** Posts what it hears as Int16Array, one channel at the context's rate. */
class Listener extends AudioWorkletProcessor {
  #chunk = new Int16Array(Math.round(sampleRate * CHUNK_SECONDS));
  #length = 0;

  process([[samples]]) {
    for (const sample of samples ?? []) {
      this.#chunk[this.#length] = Math.max(-1, Math.min(1, sample)) * 32767;
      this.#length += 1;
      if (this.#length === this.#chunk.length) {
        this.port.postMessage(this.#chunk.slice());
        this.#length = 0;
      }
    }
    return true;
  }
}

registerProcessor("listener", Listener);
