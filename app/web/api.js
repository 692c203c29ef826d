import { EventReader } from "./events.js";

const LONGEST_WAIT_SECONDS = 60;

/**
 * What the server said against a request; `status` is 0 if it said nothing at all, `retryAfter`
 * is in seconds and NaN if it named no time.
 */
export class ApiError extends Error {
  constructor(message, status, retryAfter = NaN) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Calls to this server. `key` holds what to send as bearer token, and asks for another. */
export class Api {
  #key;
  #maxBytes = Infinity;

  constructor(key) {
    this.#key = key;
  }

  /** What `GET /v1/models` lists. Throws ApiError. */
  async models() {
    return (await this.#ask("v1/models")).data;
  }

  /** What `GET /v1/usage` says of the caller. Throws ApiError. */
  usage() {
    return this.#ask("v1/usage");
  }

  #ask(path) {
    return this.#patiently(async () => {
      const headers = this.#key.value ? { authorization: `Bearer ${this.#key.value}` } : {};
      const answer = await fetch(address(path), { headers }).catch(() => {
        throw unreachable();
      });
      if (!answer.ok) throw refusal(answer.status, answer.headers, await answer.text());
      return answer.json();
    });
  }

  /**
   * Uploads a file and hears its transcript: `on.uploaded(share)`, `on.event(event)` for each of
   * the stream, `on.waiting(seconds)` before the one retry that a busy server asks for.
   *
   * Throws ApiError; an AbortError if `signal` says so.
   */
  async transcribe(file, fields, on, signal) {
    if (file.size > this.#maxBytes) {
      throw new ApiError(`${megabytes(file.size)} are more than the ${megabytes(this.#maxBytes)} ` +
        "that this server takes.", 413);
    }
    try {
      await this.#patiently(() => this.#send(file, fields, on, signal), on, signal);
    } catch (error) {
      // The words are OpenAI's (docs/contract.md §4). The next file is judged before its upload.
      const limit = /content size limit \((\d+)\)/.exec(error.message);
      if (limit) this.#maxBytes = Number(limit[1]);
      throw error;
    }
  }

  /** XMLHttpRequest, for fetch cannot tell how much is uploaded. */
  #send(file, fields, on, signal) {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    form.append("file", file, file.name);
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
      request.open("POST", address("v1/audio/transcriptions"));
      if (this.#key.value) request.setRequestHeader("authorization", `Bearer ${this.#key.value}`);
      request.send(form);
    });
  }

  /** Asks for a key when one is needed, and waits once if the server says for how long. */
  async #patiently(call, on, signal) {
    let waited = false;
    for (;;) {
      try {
        return await call();
      } catch (error) {
        if (error.status === 401 && (await this.#key.ask(error.message))) continue;
        if (waited || !(error.retryAfter <= LONGEST_WAIT_SECONDS)) throw error;
        waited = true;
        on?.waiting(error.retryAfter);
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

function refusal(status, headers, body) {
  const retryAfter = parseFloat(headers.get("retry-after"));
  let message;
  try {
    message = JSON.parse(body).error.message;
  } catch {
    message = `The server answered with status ${status}.`; // a proxy's page, not the API's words
  }
  const isSilent = retryAfter >= 0 && !/try again/i.test(message);
  const when = isSilent ? ` Try again in ${retryAfter} s.` : "";
  return new ApiError(message + when, status, retryAfter);
}

function unreachable() {
  return new ApiError("The server cannot be reached.", 0);
}

function megabytes(bytes) {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    if (signal) {
      signal.onabort = () => {
        clearTimeout(timer);
        reject(signal.reason);
      };
    }
  });
}
