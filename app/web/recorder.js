import { Microphone } from "./microphone.js";
import { Recording } from "./recording.js";
import { Speech } from "./speech.js";

const NAME = "verbatim.microphone";

const element = (id) => document.getElementById(id);

/** The button that records, and the choice of a microphone. */
export class Recorder {
  #parts;
  #devices = element("microphone");

  /** `parts`: `{ key, choices, queue, announcer, prepare(), open(recording) }`. */
  constructor(parts) {
    this.#parts = parts;
    this.#devices.onchange = () => localStorage.setItem(NAME, this.#devices.value);
    this.#offerDevices();
  }

  /** Records until the person stops; what goes wrong is shown in the recording. */
  async start() {
    if (!Microphone.isOffered) {
      explain();
      return;
    }
    const { key, choices, queue, announcer, prepare, open } = this.#parts;
    const recording = new Recording();
    const time = new Date().toLocaleString("sv").slice(0, 16).replace(/[ :]/g, "-");
    Object.assign(recording, { name: `recording ${time}`, isLive: true, status: "speaking" });
    let microphone = null;
    element("record").disabled = true;
    try {
      queue.addLive(recording);
      await open(recording);
      await prepare(); // a socket that is refused cannot say why
      recording.choices = choices.value;
      microphone = await Microphone.open(this.#devices.value);
      this.#offerDevices();
      const speech = new Speech(recording, microphone, key, (text) => announcer.read(text));
      // What was heard survives that the page is left.
      recording.transcript.addEventListener("add", () => queue.keepTranscript(recording));
      element("stop").focus();
      await speech.end();
    } catch (error) {
      microphone?.close();
      recording.set({ status: "failed", error: error.message });
    }
    element("record").disabled = false;
    await queue.keepLive(recording);
    // What was disabled or hidden meanwhile has lost the focus.
    if (document.activeElement === document.body) element("record").focus();
  }

  /** The names of microphones are told once one is used. */
  async #offerDevices() {
    if (!Microphone.isOffered) return;
    const devices = await Microphone.devices();
    const named = devices.filter(({ deviceId, label }) => deviceId && label);
    const chosen = localStorage.getItem(NAME) ?? "";
    this.#devices.replaceChildren(
      new Option("Usual microphone", ""),
      ...named.map(({ deviceId, label }) => new Option(label, deviceId)),
    );
    if (named.some(({ deviceId }) => deviceId === chosen)) this.#devices.value = chosen;
    element("microphone-label").hidden = named.length < 2;
  }
}

/** How a page over plain http gets a microphone. */
function explain() {
  const { hostname, port } = location;
  const isAddress = /^[\d.]+$|:/.test(hostname);
  element("microphone-command").textContent =
    "openssl req -x509 -newkey rsa:2048 -nodes -days 365 -keyout key.pem -out cert.pem \\\n" +
    `  -subj "/CN=${hostname}" -addext "subjectAltName=${isAddress ? "IP" : "DNS"}:${hostname}"\n` +
    "VERBATIM_SERVER__TLS_CERTIFICATE_FILE=cert.pem VERBATIM_SERVER__TLS_KEY_FILE=key.pem make run";
  element("tunnel-command").textContent = `ssh -L 8000:localhost:${port || 80} ${hostname}`;
  element("microphone-dialog").showModal();
}
