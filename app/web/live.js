import { address } from "./api.js";

const TOKEN = /^[\w!#$%&'*+.^`|~-]*$/; // what HTTP lets a subprotocol consist of

/**
 * How a socket brings the key: a browser cannot send headers there, and a key in a URL would end
 * up in logs. Throws an Error for a key that cannot be brought so.
 */
export function subprotocols(key) {
  if (!TOKEN.test(key)) {
    throw new Error("A browser cannot use this key for live speech: it has unusual characters.");
  }
  return key ? ["verbatim", `openai-insecure-api-key.${key}`] : ["verbatim"];
}

/**
 * A live session on the socket /stream: 16-bit samples in, partial and final lines out.
 *
 * `on.ready()`, `on.partial(event)`, `on.final(event)`, `on.error(message)` for what the session
 * survives; `ended` resolves when the server has said everything, and rejects with an Error if
 * the connection ends before.
 */
export class LiveSession {
  #socket;
  #failure = "The server does not take the live connection.";
  #isDone = false;

  constructor(protocols, configuration, on) {
    const url = address("stream");
    url.protocol = url.protocol.replace("http", "ws");
    this.#socket = new WebSocket(url, protocols);
    this.#socket.onopen = () => this.#socket.send(JSON.stringify(configuration));
    this.#socket.onmessage = ({ data }) => this.#hear(JSON.parse(data), on);
    this.ended = new Promise((resolve, reject) => {
      this.#socket.onclose = () => (this.#isDone ? resolve() : reject(new Error(this.#failure)));
    });
  }

  send(data) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(data);
  }

  /** No more sound: the last lines come, and then `ended`. */
  end() {
    if (this.#socket.readyState === WebSocket.OPEN) this.send(JSON.stringify({ type: "end" }));
    else this.close();
  }

  /** At once. */
  close() {
    this.#socket.close();
  }

  #hear(event, on) {
    switch (event.type) {
      case "ready":
        this.#failure = "The connection was lost. What was heard until then is kept.";
        on.ready();
        break;
      case "partial":
        on.partial(event);
        break;
      case "final":
        on.final(event);
        break;
      case "error":
        this.#failure = event.error.message;
        on.error(event.error.message);
        break;
      case "done":
        this.#isDone = true;
    }
  }
}
