/** Plays a recording that the browser has, and says where it is: `onTime(seconds)`. */
export class Player {
  #place;
  #onTime;
  #onUnplayable;
  #media = null;
  #url = "";

  constructor(place, onTime, onUnplayable) {
    this.#place = place;
    this.#onTime = onTime;
    this.#onUnplayable = onUnplayable;
  }

  /** Seconds from the start. */
  get time() {
    return this.#media?.currentTime ?? 0;
  }

  /** Nothing is uploaded or downloaded for it. */
  load(recording) {
    this.clear();
    this.#url = URL.createObjectURL(recording);
    const media = document.createElement(recording.type.startsWith("video/") ? "video" : "audio");
    media.controls = true;
    media.setAttribute("aria-label", "Recording");
    media.onplay = () => this.#follow(media);
    media.onseeked = () => this.#onTime(media.currentTime);
    media.onerror = this.#onUnplayable;
    media.src = this.#url;
    this.#place.replaceChildren(media);
    this.#media = media;
  }

  clear() {
    this.#media?.pause();
    this.#media = null;
    this.#place.replaceChildren();
    URL.revokeObjectURL(this.#url);
  }

  seek(seconds) {
    if (!this.#media) return;
    this.#media.currentTime = seconds;
    // Refused where the recording cannot be played, which `onerror` has said already.
    this.#media.play().catch(() => {});
  }

  /** At each frame, for `timeupdate` comes four times a second and words are shorter. */
  #follow(media) {
    if (media !== this.#media || media.paused) return;
    this.#onTime(media.currentTime);
    requestAnimationFrame(() => this.#follow(media));
  }
}
