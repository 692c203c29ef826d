import { save } from "./downloads.js";
import { jobFieldsOf } from "./request.js";
import { shortClock } from "./subtitles.js";

const LOOK_MS = 2000;
const FORMATS = [["text", ".txt"], ["srt", ".srt"], ["vtt", ".vtt"], ["verbose_json", ".json"]];
const ENDED = ["completed", "failed", "cancelled", "expired"];

const element = (id) => document.getElementById(id);

/** The server's jobs of the caller: what waits, runs and has ended (docs/jobs.md). */
export class JobsView {
  #api;
  #choices;
  #timer = null;
  #pages = 1;

  constructor(api, choices) {
    this.#api = api;
    this.#choices = choices;
    element("jobs-clear").onclick = () => {
      this.#do(() => api.clearJobs(element("jobs-status").value));
    };
    element("jobs-more").onclick = () => {
      this.#pages += 1;
      this.#look();
    };
    element("job-files").onchange = ({ target }) => {
      this.#send([...target.files]);
      target.value = "";
    };
    document.addEventListener("visibilitychange", () => this.#isShown && this.#look());
  }

  open() {
    element("jobs").hidden = false;
    this.#pages = 1;
    this.#look();
  }

  close() {
    element("jobs").hidden = true;
    clearTimeout(this.#timer);
  }

  get #isShown() {
    return !element("jobs").hidden;
  }

  /** Looks again and again while somebody sees it. */
  async #look() {
    clearTimeout(this.#timer);
    try {
      const summary = await this.#api.jobSummary();
      const found = [];
      let page = { has_more: true };
      for (let i = 0; i < this.#pages && page.has_more; i += 1) {
        page = await this.#api.jobs(page.last_id);
        found.push(...page.data);
      }
      this.#show(summary, found, page.has_more);
      this.#fail("");
    } catch (error) {
      this.#fail(error.message);
    }
    clearTimeout(this.#timer);
    const isWatched = this.#isShown && !document.hidden;
    if (isWatched) this.#timer = setTimeout(() => this.#look(), LOOK_MS);
  }

  async #send(files) {
    for (const file of files) {
      await this.#do(() => {
        return this.#api.createJob(file, jobFieldsOf(this.#choices.value));
      });
    }
  }

  async #do(act) {
    try {
      await act();
      await this.#look();
    } catch (error) {
      this.#fail(error.message);
    }
  }

  #fail(message) {
    element("jobs-error").textContent = message;
    element("jobs-error").hidden = !message;
  }

  #show({ counts, queued_audio_seconds: seconds }, jobs, hasMore) {
    const parts = Object.entries(counts).filter(([, count]) => count);
    const texts = parts.map(([status, count]) => `${count} ${status.replace("_", " ")}`);
    if (seconds) texts.push(`${shortClock(seconds)} of audio to do`);
    element("jobs-summary").textContent = texts.join(", ") || "There are no jobs.";
    element("jobs-more").hidden = !hasMore;
    const body = element("jobs-rows");
    const focused = document.activeElement?.dataset?.job;
    const label = document.activeElement?.textContent;
    if (body.contains(document.activeElement) && document.activeElement.matches("select")) return;
    body.replaceChildren(...jobs.map((job) => this.#row(job)));
    if (!focused) return;
    const buttons = body.querySelectorAll(`[data-job="${focused}"]`);
    [...buttons].find((each) => each.textContent === label)?.focus();
  }

  #row(job) {
    const row = document.createElement("tr");
    row.dataset.status = job.status;
    const { filename, url } = job.input;
    const name = job.metadata?.name ?? job.custom_id ?? (filename || url || job.id);
    const heading = cell("th", name);
    heading.scope = "row";
    const status = cell("td", job.error?.message ?? job.status.replace("_", " "));
    const sent = cell("td", new Date(job.created_at * 1000).toLocaleString());
    row.append(heading, status, this.#progress(job, name), sent, this.#actions(job, name));
    return row;
  }

  #progress({ status, audio_seconds: whole, progress: { seconds_done: done } }, name) {
    const place = cell("td", "");
    if (status === "in_progress") {
      const bar = Object.assign(document.createElement("progress"), { max: whole ?? 1 });
      if (whole) bar.value = done;
      bar.setAttribute("aria-label", `Progress of ${name}`);
      place.append(bar, whole ? `${shortClock(done)} of ${shortClock(whole)}` : shortClock(done));
    } else if (whole) place.append(shortClock(whole));
    return place;
  }

  #actions(job, name) {
    const place = cell("td", "");
    const button = (label, act) => {
      const made = Object.assign(document.createElement("button"), { type: "button" });
      made.textContent = label;
      made.dataset.job = job.id;
      made.setAttribute("aria-label", `${label} ${name}`);
      made.onclick = () => this.#do(act);
      place.append(made);
    };
    if (job.status === "completed") {
      for (const [format, suffix] of FORMATS) {
        button(suffix.slice(1), () => this.#download(job, name, format, suffix));
      }
    }
    if (ENDED.includes(job.status)) button("Delete", () => this.#api.deleteJob(job.id));
    else button("Cancel", () => this.#api.cancelJob(job.id));
    return place;
  }

  async #download({ id }, name, format, suffix) {
    const text = await this.#api.jobContent(id, format);
    save(new Blob([text], { type: "text/plain" }), name.replace(/\.[^.]+$/, "") + suffix);
  }
}

function cell(name, text) {
  return Object.assign(document.createElement(name), { textContent: text });
}
