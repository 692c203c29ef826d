import { megabytes } from "./problems.js";
import { shortStatusOf } from "./status.js";
import { showShare } from "./work_view.js";

const TICK_MS = 1000;

const element = (id) => document.getElementById(id);

/** The list of recordings. `on` has `open`, `retry`, `attach` and `delete`, of a recording each. */
export class QueueView {
  #queue;
  #on;
  #list = element("queue");
  #rows = new Map(); // by recording
  #opened = null;

  constructor(queue, on) {
    this.#queue = queue;
    this.#on = on;
    queue.addEventListener("list", () => this.#render());
    queue.addEventListener("status", () => this.#count());
    setInterval(() => this.#tick(), TICK_MS);
    this.#render();
  }

  /** Marks the recording that is open. */
  set opened(recording) {
    this.#rows.get(this.#opened)?.open.removeAttribute("aria-current");
    this.#rows.get(recording)?.open.setAttribute("aria-current", "true");
    this.#opened = recording;
  }

  /** Moves the focus to a recording's row. */
  focus(recording) {
    this.#rows.get(recording)?.open.focus();
  }

  /** The recording before (-1) or after (1) the one that is open. */
  beside(step) {
    const { recordings } = this.#queue;
    return recordings[recordings.indexOf(this.#opened) + step];
  }

  #render() {
    const { recordings } = this.#queue;
    for (const [recording] of this.#rows) {
      if (!recordings.includes(recording)) this.#rows.delete(recording);
    }
    for (const each of recordings) if (!this.#rows.has(each)) this.#rows.set(each, this.#row(each));
    this.#list.replaceChildren(...recordings.map((each) => this.#rows.get(each).item));
    this.#count();
  }

  #count() {
    const { recordings } = this.#queue;
    const done = recordings.filter((each) => each.status === "done").length;
    const failed = recordings.filter((each) => each.status === "failed").length;
    const left = recordings.filter((each) => each.isUnfinished).length;
    const counts = [[left, "to do"], [done, "done"], [failed, "failed"]];
    element("counts").textContent = counts
      .filter(([count]) => count)
      .map((each) => each.join(" "))
      .join(", ");
    element("recordings").hidden = !recordings.length;
    document.body.classList.toggle("empty", !recordings.length);
  }

  #row(recording) {
    const item = document.createElement("li");
    const open = make("button", { className: "name", onclick: () => this.#on.open(recording) });
    const status = make("span", { className: "status" });
    open.append(make("span", { textContent: recording.name, className: "title" }), status);
    const bar = Object.assign(document.createElement("progress"), { max: 1 });
    bar.setAttribute("aria-label", `Progress of ${recording.name}`);
    const action = make("button", { className: "action" });
    const remove = make("button", { className: "action", textContent: "✕" });
    remove.title = "Delete";
    remove.setAttribute("aria-label", `Delete ${recording.name}`);
    remove.onclick = () => this.#on.delete(recording);
    item.append(open, bar, action, remove);
    const row = { item, open, status, bar, action };
    const show = () => this.#show(recording, row);
    recording.addEventListener("change", show);
    recording.addEventListener("progress", show);
    show();
    return row;
  }

  #show(recording, { item, status, bar, action }) {
    item.dataset.status = recording.status;
    const { size } = recording;
    const room = recording.status === "waiting" && size ? `, ${megabytes(size)}` : "";
    const text = shortStatusOf(recording) + room;
    if (status.textContent !== text) status.textContent = text;
    bar.hidden = recording.status !== "running";
    showShare(bar, recording.progress?.share ?? null);
    const [label, act] = this.#action(recording);
    action.hidden = !label;
    action.textContent = label;
    action.setAttribute("aria-label", `${label} ${recording.name}`);
    action.onclick = act;
  }

  #action(recording) {
    switch (recording.status) {
      case "waiting":
      case "running":
        return ["Cancel", () => recording.cancel()];
      case "failed":
      case "cancelled":
        return recording.isLive ? [""] : ["Retry", () => this.#on.retry(recording)];
      case "lost":
        return ["Choose", () => this.#on.attach(recording)];
      default:
        return [""];
    }
  }

  #tick() {
    for (const [recording, row] of this.#rows) {
      if (recording.status === "running") this.#show(recording, row);
    }
  }
}

function make(name, properties) {
  const element = Object.assign(document.createElement(name), properties);
  if (name === "button") element.type = "button";
  return element;
}
