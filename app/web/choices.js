const LANGUAGES = new Intl.DisplayNames(["en"], { type: "language" });
const UNNAMED = { ba: "Bashkir", bo: "Tibetan" }; // by browsers
const NAME = "verbatim.choices";

const element = (id) => document.getElementById(id);

/** As the API names it: "en" -> "english". */
export function languageName(code) {
  return nameOf(code).toLowerCase();
}

function nameOf(code) {
  return UNNAMED[code] ?? LANGUAGES.of(code);
}

/** What is wanted of the next transcripts: the form at the top of the page. */
export class Choices {
  #model = element("model");
  #language = element("language");
  #languages = element("languages");
  #about = element("about");
  #form = element("choices");
  #cards = new Map();

  constructor() {
    this.#model.onchange = () => this.#show();
    this.#form.onsubmit = (event) => event.preventDefault();
    this.#form.onchange = () => this.#remember();
    element("options-button").onclick = () => this.#openOptions();
    element("speakers").onchange = () => this.#showCount();
    this.#recall();
  }

  get model() {
    return this.#model.value;
  }

  /** As `requestOf` takes it. `language` is a code; null: the model finds out. */
  get value() {
    const text = (id) => element(id).value.trim();
    return {
      model: this.model,
      language: this.#language.value || null,
      languages: [...this.#languages.selectedOptions].map((each) => each.value),
      isTranslated: element("translate").checked,
      withSpeakers: element("speakers").checked,
      speakerCount: Number(text("speaker-count")) || null,
      prompt: text("prompt"),
      keywords: text("keywords").split(",").map((each) => each.trim()).filter(Boolean),
    };
  }

  /**
   * Offers the models of `GET /v1/models`, each once: the other names mean the same ones. Throws
   * an Error if there is none.
   */
  offer(cards) {
    if (!cards.length) throw new Error("This key may use none of the server's models.");
    const own = cards.filter((card) => card.root === card.id);
    const offered = own.length ? own : cards; // a key may be for certain names only
    const chosen = this.model || this.#remembered.model;
    this.#cards = new Map(offered.map((card) => [card.id, card]));
    this.#model.replaceChildren(...offered.map(({ id }) => new Option(id, id)));
    if (this.#cards.has(chosen)) this.#model.value = chosen;
    this.#show();
  }

  #show() {
    const { description, languages } = this.#cards.get(this.model);
    this.#model.title = description;
    // People know what Whisper is.
    this.#about.textContent = /^(A )?Whisper\b/.test(description) ? "" : description;
    const { language = "", languages: several = [] } = this.#language.options.length
      ? this.value
      : this.#remembered;
    const named = languages.map((code) => [nameOf(code), code]).sort();
    const options = () => named.map(([name, code]) => new Option(name, code));
    const detect = languages.length > 1 ? [new Option("Detect", "")] : [];
    this.#language.replaceChildren(...detect, ...options());
    this.#languages.replaceChildren(...options());
    if (languages.includes(language)) this.#language.value = language;
    for (const option of this.#languages.options) option.selected = several.includes(option.value);
    this.#count();
  }

  #openOptions() {
    const isOpen = element("options").hidden;
    element("options").hidden = !isOpen;
    element("options-button").setAttribute("aria-expanded", isOpen);
  }

  #showCount() {
    element("speaker-count").disabled = !element("speakers").checked;
  }

  /** Says on the button how many options are on, for the panel may be closed. */
  #count() {
    const { languages, isTranslated, withSpeakers, prompt, keywords } = this.value;
    const on = [languages.length, isTranslated, withSpeakers, prompt, keywords.length];
    const count = on.filter(Boolean).length;
    element("options-button").textContent = count ? `Options (${count})` : "Options";
  }

  get #remembered() {
    return JSON.parse(localStorage.getItem(NAME) ?? "{}");
  }

  #remember() {
    localStorage.setItem(NAME, JSON.stringify(this.value));
    this.#count();
  }

  #recall() {
    const { isTranslated, withSpeakers, speakerCount, prompt, keywords } = this.#remembered;
    element("translate").checked = isTranslated ?? false;
    element("speakers").checked = withSpeakers ?? false;
    element("speaker-count").value = speakerCount ?? "";
    element("prompt").value = prompt ?? "";
    element("keywords").value = (keywords ?? []).join(", ");
    this.#showCount();
  }
}
