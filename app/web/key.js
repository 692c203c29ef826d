const NAME = "verbatim.key";

/** The caller's API key: of this tab, or of this browser if they wish. Never part of a URL. */
export class Key {
  #dialog = document.getElementById("key-dialog");
  #reason = document.getElementById("key-reason");
  #input = document.getElementById("key-value");
  #remember = document.getElementById("key-remember");
  #asking = null;

  get value() {
    return sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME) ?? "";
  }

  /**
   * Whether the person gave a key, be it an empty one; `reason` says why it is needed. All who ask
   * at the same time share one dialog.
   */
  ask(reason = "") {
    this.#asking ??= this.#shown(reason).finally(() => (this.#asking = null));
    return this.#asking;
  }

  #shown(reason) {
    this.#reason.textContent = reason;
    this.#reason.hidden = !reason;
    this.#input.value = this.value;
    this.#remember.checked = localStorage.getItem(NAME) !== null;
    this.#dialog.returnValue = "cancel"; // what Escape leaves
    this.#dialog.showModal();
    this.#input.select();
    return new Promise((resolve) => {
      this.#dialog.onclose = () => {
        const isGiven = this.#dialog.returnValue === "use";
        if (isGiven) this.#keep(this.#input.value.trim(), this.#remember.checked);
        this.#input.value = "";
        resolve(isGiven);
      };
    });
  }

  #keep(value, remember) {
    sessionStorage.removeItem(NAME);
    localStorage.removeItem(NAME);
    if (value) (remember ? localStorage : sessionStorage).setItem(NAME, value);
  }
}
