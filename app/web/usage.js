import { shortClock } from "./subtitles.js";

const LIMITS = {
  requests_per_minute: ["Requests in a minute", (count) => String(count)],
  audio_seconds_per_minute: ["Audio in a minute", (seconds) => `${seconds.toFixed(1)} s`],
  concurrent_requests: ["Requests at once", (count) => String(count)],
};

const element = (id) => document.getElementById(id);

/** What the caller has used, and what of it counts against limits: `GET /v1/usage`, in a dialog. */
export class Usage {
  #api;

  constructor(api) {
    this.#api = api;
  }

  /** Throws ApiError. */
  async show() {
    const { key, limits, days, since, models } = await this.#api.usage();
    element("usage-whose").textContent = key === "anonymous" ? "" : `Of ${key}.`;
    element("usage-limits").replaceChildren(
      ...Object.entries(LIMITS).map(([name, [label, words]]) =>
        row(label, limits[name] ? used(limits[name], words) : "no limit"),
      ),
    );
    element("usage-sums").hidden = days === null;
    element("usage-days").replaceChildren(...sums(days ?? []));
    // Each replica has totals of its own.
    const start = new Date(since * 1000).toLocaleString();
    element("usage-since").textContent = `Since ${start}, when this server process began`;
    element("usage-models").replaceChildren(
      ...models.map(({ model, requests, audio_seconds: seconds }) =>
        row(model ?? "no model", requests, shortClock(seconds)),
      ),
    );
    element("usage-dialog").showModal();
  }
}

/** Of today and of the days that the server keeps; days are those of UTC. */
function sums(days) {
  const today = new Date().toISOString().slice(0, 10);
  return [
    ["Today (UTC)", days.filter(({ date }) => date === today)],
    ["The last 30 days", days],
  ].map(([name, some]) =>
    row(
      name,
      some.reduce((sum, { requests }) => sum + requests, 0),
      shortClock(some.reduce((sum, { audio_seconds: seconds }) => sum + seconds, 0)),
    ),
  );
}

function used({ limit, used, reset_seconds: seconds }, words) {
  const reset = seconds > 0 ? `, free again in ${Math.ceil(seconds)} s` : "";
  return `${words(used)} of ${words(limit)}${reset}`;
}

function row(name, ...values) {
  const line = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  const cells = values.map((value) => {
    const cell = document.createElement("td");
    cell.textContent = value;
    return cell;
  });
  line.append(head, ...cells);
  return line;
}
