import { address } from "./api.js";

const RENEWED_SECONDS = 45; // before its end a session is renewed: the server does so within 60

const LONGEST_PAUSE_SECONDS = 3600; // a timer of more than 24 days would end at once

const REASONS = {
  refused: "You were not signed in: the identity provider or its answer said no.",
  "not-allowed": "You were signed in, but may not use this server. Ask its operator.",
  unavailable: "The identity provider cannot be reached. Please try again.",
};

const element = (id) => document.getElementById(id);

/**
 * Asks the server about the session; of all tabs one at a time, as the provider may take a refresh
 * token only once, and as a session that is extended while it ends would go on.
 */
function ask(method) {
  const send = () => fetch(address("auth/session"), { method });
  return navigator.locks?.request("verbatim.session", send) ?? send();
}

/**
 * Who has signed in on this page, where there is an identity provider. The session is a cookie that
 * scripts cannot read, so the server says whose it is, and for how long.
 */
export class Account {
  #signInUrl = null;
  #failure;
  #end = 0;
  #timer = null;

  constructor() {
    element("sign-out").onclick = () => this.#signOut();
    const [, reason] = /^#not-signed-in=(.+)/.exec(location.hash) ?? [];
    this.#failure = REASONS[reason] ?? "";
    // What is left of signing in, and what a provider appends after signing out.
    const isBack = reason || new URLSearchParams(location.search).has("state");
    if (isBack) history.replaceState(null, "", location.pathname);
  }

  /** Where a person signs in; null: nobody can. */
  get signInUrl() {
    return this.#signInUrl;
  }

  /** Why signing in has just failed; empty: it has not. */
  get failure() {
    return this.#failure;
  }

  /** Whether the session was extended, or has just begun. */
  async renew() {
    const before = this.#end;
    try {
      const answer = await ask("POST");
      if (answer.ok) this.#show(await answer.json());
    } catch {
      return false; // the server cannot be reached, as the caller will see
    }
    return this.#end > before + 1000;
  }

  #show({ sign_in: url, name, seconds_left: seconds }) {
    this.#signInUrl = url;
    this.#end = name === null ? 0 : Date.now() + seconds * 1000;
    element("account").hidden = name === null;
    element("account-name").textContent = name ?? "";
    clearTimeout(this.#timer);
    if (name === null) return;
    const pause = Math.min(Math.max(5, seconds - RENEWED_SECONDS), LONGEST_PAUSE_SECONDS);
    this.#timer = setTimeout(() => this.renew(), pause * 1000);
  }

  async #signOut() {
    clearTimeout(this.#timer);
    const answer = await ask("DELETE");
    location.assign((await answer.json()).url);
  }
}
