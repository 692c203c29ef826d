const [NAME, VERSION] = ["verbatim", 1];
const STORES = ["recordings", "transcripts", "sounds"];

/**
 * What this browser keeps, in its IndexedDB: recordings (what the list shows), transcripts and
 * sounds, each by the recording's id. Where the browser refuses, all methods throw.
 */
export class Store {
  #database = null;

  /** All recordings, as `Recording.stored`. */
  recordings() {
    return this.#do("recordings", "readonly", (store) => store.getAll());
  }

  keep(recording) {
    return this.#put("recordings", recording.stored, recording.id);
  }

  async transcript(id) {
    return this.#do("transcripts", "readonly", (store) => store.get(id));
  }

  keepTranscript(id, transcript) {
    return this.#put("transcripts", transcript.stored, id);
  }

  async sound(id) {
    return this.#do("sounds", "readonly", (store) => store.get(id));
  }

  keepSound(id, blob) {
    return this.#put("sounds", blob, id);
  }

  /** Of all recordings. */
  forgetSounds() {
    return this.#do("sounds", "readwrite", (store) => store.clear());
  }

  async delete(id) {
    for (const name of STORES) await this.#do(name, "readwrite", (store) => store.delete(id));
  }

  #put(name, value, id) {
    return this.#do(name, "readwrite", (store) => store.put(value, id));
  }

  /** One transaction; resolves, once it is on the disk, with what the request found. */
  async #do(name, mode, ask) {
    const database = await (this.#database ??= opened());
    return new Promise((resolve, reject) => {
      const transaction = database.transaction(name, mode);
      const request = ask(transaction.objectStore(name));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    });
  }
}

function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      for (const name of STORES) request.result.createObjectStore(name);
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
