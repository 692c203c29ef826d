import { copy, save } from "./downloads.js";
import { Find } from "./find.js";
import { FORMATS, readable } from "./formats.js";
import { Player } from "./player.js";
import { SpeakersView } from "./speakers_view.js";
import { TranscriptView } from "./transcript_view.js";
import { WorkView } from "./work_view.js";

const KEEPING_PAUSE_MS = 300;

const element = (id) => document.getElementById(id);

/** The recording that is open: what was heard in it, played, changed and saved. */
export class RecordingView {
  recording = null;
  #queue;
  #announcer;
  #on;
  #transcript = null;
  #view;
  #player;
  #find;
  #speakers = new SpeakersView();
  #work = new WorkView();
  #keeping = null;

  /** `on.retry(recording)`, `on.again(recording)`, `on.attach(recording)` for its buttons. */
  constructor(queue, announcer, on) {
    this.#queue = queue;
    this.#announcer = announcer;
    this.#on = on;
    this.#player = new Player(
      element("player"),
      (seconds) => this.#view.highlight(seconds),
      () => this.#unplayable(),
    );
    this.#view = new TranscriptView(element("transcript"), {
      time: () => this.#player.time,
      seek: (seconds) => this.#player.seek(seconds),
      edit: () => this.edit(),
    });
    this.#find = new Find(this.#view);
    this.#connect();
  }

  /** Opens a recording; null: none. */
  async open(recording) {
    this.#keepNow();
    for (const [name, listener] of this.#listeners) {
      this.recording?.removeEventListener(name, listener);
      recording?.addEventListener(name, listener);
    }
    this.recording = recording;
    element("recording").hidden = !recording;
    this.#show(null);
    this.#player.clear();
    if (!recording) return;
    element("name").textContent = recording.name;
    this.#refresh();
    const transcript = await this.#queue.transcript(recording);
    await this.#queue.sound(recording);
    if (this.recording !== recording) return; // another one was opened meanwhile
    this.#show(transcript);
    this.#refresh();
  }

  play() {
    this.#player.toggle();
  }

  /** Goes some seconds on, or back. */
  skip(seconds) {
    this.#player.seek(this.#player.time + seconds);
  }

  faster(step) {
    const select = element("speed");
    const index = select.selectedIndex + step;
    if (index < 0 || index >= select.options.length) return;
    select.selectedIndex = index;
    select.onchange();
  }

  /** Begins to edit, or ends it. */
  edit() {
    if (!element("edit").disabled) this.#setEditing(!this.#view.isEditing);
  }

  find() {
    if (this.#transcript?.segments.length) this.#find.open();
  }

  undo() {
    this.#view.undo();
  }

  redo() {
    this.#view.redo();
  }

  #connect() {
    element("retry").onclick = () => this.#on.retry(this.recording);
    element("again").onclick = () => this.#on.again(this.recording);
    element("attach").onclick = () => this.#on.attach(this.recording);
    element("edit").onclick = () => this.edit();
    element("undo").onclick = () => this.undo();
    element("redo").onclick = () => this.redo();
    element("find-button").onclick = () => this.#find.toggle();
    element("copy").onclick = () => this.#copy();
    element("download").onclick = () => this.#download();
    element("format").replaceChildren(
      ...Object.entries(FORMATS).map(([key, { name }]) => new Option(name, key)),
      new Option("The recording itself", "sound"),
    );
    element("speed").onchange = () => (this.#player.rate = Number(element("speed").value));
    element("follow").onchange = ({ target }) => (this.#view.follows = target.checked);
    addEventListener("pagehide", () => this.#keepNow());
  }

  #listeners = [
    ["change", () => this.#refresh()],
    ["progress", () => this.#work.show(this.recording)],
    ["lines", () => this.#view.showOpen(this.recording.openLines)],
  ];

  #show(transcript) {
    this.#transcript?.removeEventListener("change", this.#edited);
    this.#transcript?.removeEventListener("add", this.#tools);
    transcript?.addEventListener("change", this.#edited);
    transcript?.addEventListener("add", this.#tools);
    this.#transcript = transcript;
    this.#setEditing(false);
    this.#view.show(transcript);
    this.#view.showOpen(this.recording?.openLines ?? []);
    this.#speakers.show(transcript);
    this.#find.transcript = transcript;
    this.#tools();
  }

  #setEditing(value) {
    if (value !== this.#view.isEditing) this.#view.isEditing = value;
    element("edit").setAttribute("aria-pressed", value);
    this.#find.refresh();
  }

  #refresh() {
    const { recording } = this;
    if (this.#transcript && recording.transcript !== this.#transcript) {
      this.#show(recording.transcript); // it runs anew
    }
    const { status, error, file } = recording;
    element("error").textContent = error;
    element("error").hidden = !error;
    element("retry").hidden = status !== "failed" && status !== "cancelled";
    element("retry").hidden ||= recording.isLive;
    this.#work.show(recording);
    const hasText = Boolean(this.#transcript?.segments.length);
    const canPlay = file && (hasText || recording.isLive) && status !== "speaking";
    if (canPlay) this.#load();
    if (status === "running" && !hasText) this.#player.clear();
    element("player-row").hidden = !this.#player.isLoaded;
    const isOver = status === "done" || status === "cancelled";
    element("live-offer").hidden = !(recording.isLive && isOver && file);
    element("again").hidden = !(isOver && file && hasText);
    element("missing").hidden = !(hasText && !file && !recording.isBusy) && status !== "lost";
    element("missing-text").textContent =
      status === "lost"
        ? "This was not finished when the page was left. Choose the file again to go on."
        : "The recording itself is not kept in this browser. Choose the file again to hear it.";
    this.#tools();
  }

  #load() {
    if (this.#player.isLoaded) return;
    const { recording } = this;
    this.#player.load(recording.file, (seconds) => (recording.duration ??= seconds));
    element("player-row").hidden = false;
  }

  #tools = () => {
    const hasText = Boolean(this.#transcript?.segments.length);
    const isWhole = hasText && !this.recording?.isBusy;
    element("edit").disabled = !isWhole;
    element("undo").disabled = !isWhole || !this.#transcript.canUndo;
    element("redo").disabled = !isWhole || !this.#transcript.canRedo;
    element("tools").hidden = !hasText;
    element("speaker-panel").hidden = !this.#transcript?.speakers.length;
    const sound = element("format").querySelector("[value=sound]");
    sound.disabled = !this.recording?.file;
    if (sound.disabled && sound.selected) element("format").selectedIndex = 0;
    if (hasText && this.recording.file && this.recording.status === "running") this.#load();
    if (this.recording?.isBusy) this.#speakers.refresh();
  };

  #edited = () => {
    this.#speakers.refresh();
    this.#find.refresh();
    this.#tools();
    clearTimeout(this.#keeping);
    this.#keeping = setTimeout(() => this.#keepNow(), KEEPING_PAUSE_MS);
  };

  #keepNow() {
    if (!this.recording) return;
    this.#view.commit();
    if (this.#keeping) this.#queue.keepTranscript(this.recording);
    clearTimeout(this.#keeping);
    this.#keeping = null;
  }

  #unplayable() {
    element("player-row").hidden = true;
    if (this.recording.error) return;
    this.#work.say("This browser cannot play the recording; its words are here all the same.");
  }

  async #copy() {
    this.#view.commit();
    const isCopied = await copy(readable(this.#transcript));
    const message = isCopied ? "Copied." : "The browser does not let this page copy.";
    this.#work.say(message);
    this.#announcer.say(message);
  }

  #download() {
    this.#view.commit();
    const { recording } = this;
    const format = element("format").value;
    if (format === "sound") {
      save(recording.file, recording.isLive ? `${recording.name}.wav` : recording.name);
      return;
    }
    const { suffix, write } = FORMATS[format];
    const stem = recording.isLive ? recording.name : recording.stem;
    save(new Blob([write(this.#transcript)], { type: "text/plain" }), stem + suffix);
  }
}
