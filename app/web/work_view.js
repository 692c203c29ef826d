import { statusOf } from "./status.js";
import { shortClock } from "./subtitles.js";

const TICK_MS = 1000;

const element = (id) => document.getElementById(id);

/** What is going on with the recording that is open, how far it is, and how to end it. */
export class WorkView {
  #recording = null;

  constructor() {
    element("stop").onclick = () => this.#stop();
    element("pause").onclick = () => this.#recording.speech.pause();
    setInterval(() => this.#tick(), TICK_MS);
  }

  show(recording) {
    this.#recording = recording;
    const { status, progress, speech } = recording;
    element("work").hidden = !recording.isBusy && status !== "waiting";
    element("stop").textContent = speech && !speech.isEnding ? "Stop" : "Cancel";
    element("pause").hidden = element("level").hidden = !speech || speech.isEnding;
    element("progress").hidden = status !== "running";
    element("elapsed").hidden = !recording.isBusy;
    if (speech) {
      element("pause").textContent = speech.isPaused ? "Go on" : "Pause";
      element("level").value = speech.level;
      element("elapsed").textContent = shortClock(speech.seconds);
    } else if (progress) {
      element("elapsed").textContent = `${shortClock(progress.elapsed)} so far`;
      showShare(element("progress"), progress.share);
    }
    this.say(statusOf(recording));
  }

  say(message) {
    if (element("status").textContent !== message) element("status").textContent = message;
  }

  #stop() {
    if (this.#recording.speech) this.#recording.speech.stop();
    else this.#recording.cancel();
  }

  #tick() {
    if (this.#recording?.status === "running") this.show(this.#recording);
  }
}

/** Null: that there is work, but not how much. */
export function showShare(bar, share) {
  if (share === null) bar.removeAttribute("value");
  else bar.value = share;
}
