const NAME = "verbatim.key";

/**
 * The caller's API key: of this tab, or of this browser if they wish. Never part of a URL. Who has
 * signed in needs none.
 */
export class Key {
  #account;
  #dialog = document.getElementById("key-dialog");
  #title = document.getElementById("key-title");
  #reason = document.getElementById("key-reason");
  #input = document.getElementById("key-value");
  #remember = document.getElementById("key-remember");
  #signIn = document.getElementById("sign-in");
  #asking = null;

  constructor(account) {
    this.#account = account;
  }

  get value() {
    return sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME) ?? "";
  }

  /**
   * Whether the person gave a key, be it an empty one, or their session was extended; `reason` says
   * why it is needed. All who ask at the same time share one dialog.
   */
  ask(reason = "") {
    this.#asking ??= this.#given(reason).finally(() => (this.#asking = null));
    return this.#asking;
  }

  async #given(reason) {
    if (reason && !this.value && (await this.#account.renew())) return true;
    return this.#shown(reason);
  }

  #shown(refusal) {
    const { signInUrl } = this.#account;
    const reason = this.#reasonFor(refusal);
    this.#signIn.hidden = !signInUrl;
    if (signInUrl) this.#signIn.href = signInUrl;
    this.#title.textContent = signInUrl ? "Sign in, or use an API key" : "API key";
    this.#reason.textContent = reason;
    this.#reason.hidden = !reason;
    this.#input.value = this.value;
    this.#remember.checked = localStorage.getItem(NAME) !== null;
    this.#dialog.returnValue = "cancel"; // what Escape leaves
    this.#dialog.showModal();
    if (signInUrl && refusal) this.#signIn.focus();
    else this.#input.select();
    return new Promise((resolve) => {
      this.#dialog.onclose = () => {
        const isGiven = this.#dialog.returnValue === "use";
        if (isGiven) this.#keep(this.#input.value.trim(), this.#remember.checked);
        this.#input.value = "";
        resolve(isGiven);
      };
    });
  }

  /** What a person is told, where the API's words are for programs. */
  #reasonFor(refusal) {
    const { signInUrl, failure } = this.#account;
    if (!refusal) return "";
    if (signInUrl) return failure || "Sign in to use this server.";
    return this.value ? refusal : "This server needs an API key.";
  }

  #keep(value, remember) {
    sessionStorage.removeItem(NAME);
    localStorage.removeItem(NAME);
    if (value) (remember ? localStorage : sessionStorage).setItem(NAME, value);
  }
}
