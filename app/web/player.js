/** Plays a recording that the browser has, and says where it is: `onTime(seconds)`. */
export class Player {
  #place;
  #onTime;
  #onUnplayable;
  #media = null;
  #url = "";
  #rate = 1;

  constructor(place, onTime, onUnplayable) {
    this.#place = place;
    this.#onTime = onTime;
    this.#onUnplayable = onUnplayable;
  }

  /** Seconds from the start. */
  get time() {
    return this.#media?.currentTime ?? 0;
  }

  get isLoaded() {
    return this.#media !== null;
  }

  /** Times the usual speed; the pitch stays. */
  set rate(value) {
    this.#rate = value;
    if (this.#media) this.#media.playbackRate = value;
  }

  /** Nothing is uploaded or downloaded for it. `onLength(seconds)`: once the browser knows it. */
  load(recording, onLength) {
    this.clear();
    this.#url = URL.createObjectURL(recording);
    const media = document.createElement(recording.type.startsWith("video/") ? "video" : "audio");
    media.controls = true;
    media.setAttribute("aria-label", "Recording");
    media.onplay = () => this.#follow(media);
    media.onseeked = () => this.#onTime(media.currentTime);
    media.onloadedmetadata = () => {
      media.playbackRate = this.#rate;
      if (Number.isFinite(media.duration)) onLength(media.duration);
    };
    media.onerror = () => {
      if (media !== this.#media) return;
      this.clear(); // a dead player helps nobody
      this.#onUnplayable();
    };
    media.src = this.#url;
    this.#place.replaceChildren(media);
    this.#media = media;
  }

  clear() {
    const media = this.#media;
    this.#media = null;
    media?.pause();
    this.#place.replaceChildren();
    URL.revokeObjectURL(this.#url);
  }

  seek(seconds) {
    if (!this.#media) return;
    this.#media.currentTime = Math.max(0, seconds);
    this.#play();
  }

  toggle() {
    if (this.#media?.paused) this.#play();
    else this.#media?.pause();
  }

  #play() {
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

/** Seconds of sound in a file; NaN where the browser cannot tell. */
export function lengthOf(file) {
  return new Promise((resolve) => {
    const media = document.createElement("audio");
    const url = URL.createObjectURL(file);
    const end = (seconds) => {
      URL.revokeObjectURL(url);
      resolve(Number.isFinite(seconds) ? seconds : NaN);
    };
    media.preload = "metadata";
    media.onloadedmetadata = () => end(media.duration);
    media.onerror = () => end(NaN);
    media.src = url;
  });
}
