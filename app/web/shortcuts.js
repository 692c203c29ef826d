const NAME = "verbatim.shortcuts";

/** Keys without a modifier, and what they do: `[key, shown, what it does, act]`. */
export class Shortcuts {
  #acts;
  #switch = document.getElementById("shortcuts-on");

  /** `acts` in the order of the sheet; those without a key of their own are shown only. */
  constructor(acts) {
    this.#acts = new Map(acts.map(([key, , , act]) => [key, act]));
    const items = acts.flatMap(([, shown, about]) => [element("dt", shown), element("dd", about)]);
    document.getElementById("shortcuts-list").replaceChildren(...items);
    this.#switch.checked = localStorage.getItem(NAME) !== "off";
    this.#switch.onchange = () => localStorage.setItem(NAME, this.#switch.checked ? "on" : "off");
    document.addEventListener("keydown", (event) => this.#press(event));
  }

  #press(event) {
    const { target, key } = event;
    if (document.querySelector("dialog[open]") || event.altKey) return;
    const isTyping = target.isContentEditable || target.matches("input, textarea, select");
    const chord = event.ctrlKey || event.metaKey;
    const name = chord ? `ctrl+${event.shiftKey ? "shift+" : ""}${key.toLowerCase()}` : key;
    if (chord ? target.matches("input, textarea") : isTyping || !this.#switch.checked) return;
    // Buttons and players have uses of their own for it.
    if (key === " " && target.matches("button, audio, video, summary, a")) return;
    const act = this.#acts.get(name);
    if (!act) return;
    event.preventDefault();
    act();
  }
}

function element(name, text) {
  return Object.assign(document.createElement(name), { textContent: text });
}
