const element = (id) => document.getElementById(id);

/** Find and replace in the transcript that `view` shows. */
export class Find {
  #view;
  #transcript = null;
  #bar = element("find");
  #wanted = element("find-text");
  #replacement = element("replace-text");
  #found = []; // ranges
  #at = 0;

  constructor(view) {
    this.#view = view;
    this.#bar.onsubmit = (event) => {
      event.preventDefault();
      this.#go(1);
    };
    this.#wanted.oninput = element("find-case").onchange = () => this.refresh();
    element("find-previous").onclick = () => this.#go(-1);
    element("replace-all").onclick = () => this.#replaceAll();
    element("find-close").onclick = () => this.close();
    this.#bar.onkeydown = ({ key }) => key === "Escape" && this.close();
  }

  set transcript(value) {
    this.#transcript = value;
    this.refresh();
  }

  open() {
    this.#bar.hidden = false;
    element("find-button").setAttribute("aria-expanded", "true");
    this.#wanted.select();
    this.#wanted.focus();
    this.refresh();
  }

  close() {
    const hadFocus = this.#bar.contains(document.activeElement);
    this.#bar.hidden = true;
    element("find-button").setAttribute("aria-expanded", "false");
    this.#mark([]);
    if (hadFocus) element("find-button").focus();
  }

  toggle() {
    if (this.#bar.hidden) this.open();
    else this.close();
  }

  /** Looks again, as after an edit. */
  refresh() {
    if (this.#bar.hidden) return;
    const pattern = this.#pattern;
    const ranges = pattern ? this.#view.lines.flatMap((line) => rangesIn(line, pattern)) : [];
    this.#at = Math.min(this.#at, Math.max(0, ranges.length - 1));
    this.#mark(ranges);
    this.#count();
  }

  get #pattern() {
    if (!this.#wanted.value) return null;
    const literal = this.#wanted.value.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    return new RegExp(literal, element("find-case").checked ? "gu" : "giu");
  }

  #go(step) {
    const count = this.#found.length;
    if (!count) return;
    this.#at = (this.#at + step + count) % count;
    this.#found[this.#at].startContainer.parentElement.scrollIntoView({ block: "center" });
    this.#mark(this.#found);
    this.#count();
  }

  #replaceAll() {
    this.#view.commit();
    const pattern = this.#pattern;
    if (!pattern) return;
    const count = this.#transcript.replaceAll(pattern, this.#replacement.value);
    this.refresh();
    element("find-count").textContent = count === 1 ? "Replaced once" : `Replaced ${count} times`;
  }

  #count() {
    const isAsked = this.#wanted.value !== "";
    const place = this.#found.length ? `${this.#at + 1} of ${this.#found.length}` : "Not found";
    element("find-count").textContent = isAsked ? place : "";
  }

  #mark(ranges) {
    this.#found = ranges;
    if (!CSS.highlights) return; // older browsers scroll to it only
    CSS.highlights.set("found", new Highlight(...ranges));
    CSS.highlights.set("found-here", new Highlight(...ranges.slice(this.#at, this.#at + 1)));
  }
}

function rangesIn({ element }, pattern) {
  return [...element.textContent.matchAll(pattern)].map(({ index, 0: { length } }) => {
    const range = document.createRange();
    range.setStart(...placeOf(element, index));
    range.setEnd(...placeOf(element, index + length));
    return range;
  });
}

/** The text node, and the place in it, of a character. */
function placeOf(element, index) {
  const nodes = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  let left = index;
  while (nodes.nextNode() && left > nodes.currentNode.length) left -= nodes.currentNode.length;
  return [nodes.currentNode, left];
}
