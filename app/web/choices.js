const LANGUAGES = new Intl.DisplayNames(["en"], { type: "language" });

/** As the API names it: "en" -> "english". */
export function languageName(code) {
  return LANGUAGES.of(code).toLowerCase();
}

/** Which model is to hear, and which language. */
export class Choices {
  #model = document.getElementById("model");
  #language = document.getElementById("language");
  #about = document.getElementById("about");
  #cards = new Map();

  constructor() {
    this.#model.onchange = () => this.#show();
  }

  get model() {
    return this.#model.value;
  }

  /** A code; null: the model finds out. */
  get language() {
    return this.#language.value || null;
  }

  set disabled(value) {
    this.#model.disabled = value;
    this.#language.disabled = value;
  }

  /**
   * Offers the models of `GET /v1/models`, each once: the other names mean the same ones. Throws
   * an Error if there is none.
   */
  offer(cards) {
    if (!cards.length) throw new Error("This key may use none of the server's models.");
    const own = cards.filter((card) => card.root === card.id);
    const offered = own.length ? own : cards; // a key may be for certain names only
    const chosen = this.model;
    this.#cards = new Map(offered.map((card) => [card.id, card]));
    this.#model.replaceChildren(...offered.map(({ id }) => new Option(id, id)));
    if (this.#cards.has(chosen)) this.#model.value = chosen;
    this.#show();
  }

  #show() {
    const { description, languages } = this.#cards.get(this.model);
    this.#about.textContent = description;
    const chosen = this.#language.value;
    const named = languages.map((code) => [LANGUAGES.of(code), code]).sort();
    this.#language.replaceChildren(
      new Option("Detect", ""),
      ...named.map(([name, code]) => new Option(name, code)),
    );
    if (languages.includes(chosen)) this.#language.value = chosen;
  }
}
