const WANTED_RATE = 16_000; // what the models hear

/** An open microphone; until `listen` it is not heard. `rate` is in samples per second. */
export class Microphone {
  #stream;
  #context;
  #source;

  constructor(stream, context) {
    this.#stream = stream;
    this.#context = context;
    this.#source = context.createMediaStreamSource(stream);
    this.rate = context.sampleRate;
  }

  /** Whether the browser gives this page a microphone at all. */
  static get isOffered() {
    return Boolean(navigator.mediaDevices);
  }

  /** Those of this machine, as `{ deviceId, label }`; labels are empty until one is used. */
  static async devices() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter(({ kind }) => kind === "audioinput");
  }

  /** Asks the person for one, or for any. Throws an Error that says why there is none. */
  static async open(deviceId) {
    const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false };
    if (deviceId) audio.deviceId = deviceId;
    const stream = await navigator.mediaDevices.getUserMedia({ audio }).catch((error) => {
      throw new Error(`The microphone cannot be used: ${error.message}.`);
    });
    const microphone = Microphone.#of(stream);
    const listener = new URL("microphone-worklet.js", import.meta.url);
    await microphone.#context.audioWorklet.addModule(listener);
    await microphone.#context.resume();
    return microphone;
  }

  static #of(stream) {
    try {
      return new Microphone(stream, new AudioContext({ sampleRate: WANTED_RATE }));
    } catch {
      // Firefox does not resample microphones (its bug 1674892); then the server does.
      return new Microphone(stream, new AudioContext());
    }
  }

  /** Calls `onChunk(Int16Array)` every 50 ms from now on, and `onEnd()` if it is unplugged. */
  listen(onChunk, onEnd) {
    const listener = new AudioWorkletNode(this.#context, "listener");
    listener.port.onmessage = ({ data }) => onChunk(data);
    // Its output is silence, but what leads nowhere is not run.
    this.#source.connect(listener).connect(this.#context.destination);
    this.#stream.getAudioTracks()[0].onended = onEnd;
  }

  close() {
    for (const track of this.#stream.getTracks()) track.stop();
    if (this.#context.state !== "closed") this.#context.close();
  }
}
