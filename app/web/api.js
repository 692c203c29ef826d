import { EventReader } from "./events.js";
import { ApiError, inWords, refusal, tooLarge, unreachable } from "./problems.js";

const LONGEST_WAIT_SECONDS = 60;
const MOST_WAITS = 5;

/** Calls to this server. `key` holds what to send as bearer token, and asks for another. */
export class Api {
  #key;
  #maxBytes = Infinity; // of a file

  constructor(key) {
    this.#key = key;
  }

  /** What this server is: `{ docs, jobs, max_upload_bytes }`. Throws ApiError. */
  async server() {
    const about = await this.#ask("web/server.json");
    this.#maxBytes = about.max_upload_bytes;
    return about;
  }

  /** What `GET /v1/models` lists. Throws ApiError. */
  async models() {
    return (await this.#ask("v1/models")).data;
  }

  /** What the caller has used, and their limits. Throws ApiError. */
  usage() {
    return this.#ask("v1/usage");
  }

  /** A page of jobs, newest first, after the one with that id. */
  jobs(after) {
    return this.#ask(`v1/audio/jobs?limit=50${after ? `&after=${after}` : ""}`);
  }

  jobSummary() {
    return this.#ask("v1/audio/jobs/summary");
  }

  /** Uploads a recording that is transcribed when there is time. */
  createJob(file, fields) {
    return this.#ask("v1/audio/jobs", { method: "POST", body: formOf(file, fields) });
  }

  cancelJob(id) {
    return this.#ask(`v1/audio/jobs/${id}/cancel`, { method: "POST" });
  }

  deleteJob(id) {
    return this.#ask(`v1/audio/jobs/${id}`, { method: "DELETE" });
  }

  /** Cancels all that wait, or deletes all that ended in one way. */
  clearJobs(status) {
    return this.#ask(`v1/audio/jobs?status=${status}`, { method: "DELETE" });
  }

  /** The result of a job, as text. */
  async jobContent(id, format) {
    const path = `v1/audio/jobs/${id}/content?response_format=${format}`;
    return (await this.#answer(path)).text();
  }

  /**
   * Uploads a file and hears its transcript: `on.uploaded(share)`, `on.event(event)` for each of
   * the stream, `on.waiting(seconds, isLimited)` before each retry that a busy server, or a limit, asks for.
   *
   * Throws ApiError in words for people; an AbortError if `signal` says so.
   */
  async transcribe(file, path, fields, on, signal) {
    if (file.size > this.#maxBytes) throw tooLarge(file.size, this.#maxBytes);
    try {
      await this.#patiently(() => this.#send(file, path, fields, on, signal), on, signal);
    } catch (error) {
      throw error instanceof ApiError ? inWords(error, file) : error;
    }
  }

  /** The one place that says who calls. */
  #credentials() {
    return this.#key.value ? { authorization: `Bearer ${this.#key.value}` } : {};
  }

  async #ask(path, options) {
    return (await this.#answer(path, options)).json();
  }

  #answer(path, options = {}) {
    return this.#patiently(async () => {
      const headers = this.#credentials();
      const answer = await fetch(address(path), { ...options, headers }).catch(() => {
        throw unreachable();
      });
      if (!answer.ok) throw refusal(answer.status, answer.headers, await answer.text());
      return answer;
    });
  }

  /** XMLHttpRequest, for fetch cannot tell how much is uploaded. */
  #send(file, path, fields, on, signal) {
    const request = new XMLHttpRequest();
    const stream = new StreamedAnswer(request, on.event);
    return new Promise((resolve, reject) => {
      request.upload.onprogress = (event) => on.uploaded(event.loaded / event.total);
      request.onprogress = () => stream.read();
      request.onerror = () => reject(unreachable());
      request.onload = () => {
        try {
          resolve(stream.end());
        } catch (error) {
          reject(error);
        }
      };
      signal.onabort = () => {
        request.abort();
        reject(signal.reason);
      };
      request.open("POST", address(path));
      for (const header of Object.entries(this.#credentials())) request.setRequestHeader(...header);
      request.send(formOf(file, fields));
    });
  }

  /** Asks for a key when one is needed, and waits if the server says for how long. */
  async #patiently(call, on, signal) {
    for (let waits = 0; ; ) {
      try {
        return await call();
      } catch (error) {
        if (error.status === 401 && (await this.#key.ask(error.message))) continue;
        if (waits === MOST_WAITS || !on || !(error.retryAfter <= LONGEST_WAIT_SECONDS)) throw error;
        waits += 1;
        on.waiting(error.retryAfter, error.status === 429);
        await pause(error.retryAfter, signal);
      }
    }
  }
}

/** The body of a request that grows; its events are handed on as they come. */
class StreamedAnswer {
  #request;
  #onEvent;
  #reader = new EventReader();
  #length = 0;
  #failure = null;
  #isDone = false;

  constructor(request, onEvent) {
    this.#request = request;
    this.#onEvent = onEvent;
  }

  read() {
    if (this.#request.status !== 200) return;
    const text = this.#request.responseText.slice(this.#length);
    this.#length += text.length;
    for (const event of this.#reader.read(text)) {
      if (event.error) this.#failure = event.error.message;
      this.#isDone ||= event.type === "transcript.text.done";
      if (!event.error) this.#onEvent(event);
    }
  }

  /** Throws ApiError unless everything was heard. */
  end() {
    const { status, responseText } = this.#request;
    if (status !== 200) {
      const headers = { get: (name) => this.#request.getResponseHeader(name) };
      throw refusal(status, headers, responseText);
    }
    this.read();
    if (this.#failure !== null) throw new ApiError(this.#failure, status);
    if (!this.#isDone) throw new ApiError("The connection ended before the transcript did.", 0);
  }
}

/** Relative to the page, which a proxy may serve under any path. */
export function address(path) {
  return new URL(path, document.baseURI);
}

function formOf(file, fields) {
  const form = new FormData();
  for (const [name, value] of fields) form.append(name, value);
  form.append("file", file, file.name);
  return form;
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.onabort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
  });
}
