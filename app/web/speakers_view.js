const COLOURS = 8;

/** The speakers of a transcript: each can be called by a name, or made one with another. */
export class SpeakersView {
  #place = document.getElementById("speaker-list");
  #transcript = null;

  show(transcript) {
    this.#transcript = transcript;
    this.refresh();
  }

  refresh() {
    const speakers = this.#transcript?.speakers ?? [];
    if (this.#place.contains(document.activeElement)) return; // a name is being typed
    this.#place.replaceChildren(...speakers.map((each, i) => this.#item(each, i)));
  }

  #item(speaker, index) {
    const name = this.#transcript.nameOf(speaker);
    const item = document.createElement("li");
    item.className = `speaker speaker-${index % COLOURS}`;
    const input = Object.assign(document.createElement("input"), { value: name, size: 12 });
    input.setAttribute("aria-label", `Name of speaker ${name}`);
    input.onchange = () => {
      input.blur();
      this.#transcript.rename(speaker, input.value.trim());
      this.refresh();
    };
    input.onkeydown = ({ key }) => key === "Enter" && input.blur();
    item.append(input, ...this.#merge(speaker, name));
    return item;
  }

  #merge(speaker, name) {
    const others = this.#transcript.speakers.filter((each) => each !== speaker);
    if (!others.length) return [];
    const select = document.createElement("select");
    select.setAttribute("aria-label", `${name} is the same as`);
    const options = others.map((each) => new Option(`= ${this.#transcript.nameOf(each)}`, each));
    select.append(new Option("Merge", ""), ...options);
    select.onchange = () => {
      select.blur();
      this.#transcript.merge(speaker, select.value);
      this.refresh();
    };
    return [select];
  }
}
