/** Server-sent events of `data:` lines, as this server sends them, -> objects. */
export class EventReader {
  #rest = "";

  /** The events that end within this piece of the stream; comments are passed over. */
  *read(text) {
    const blocks = (this.#rest + text).split("\n\n");
    this.#rest = blocks.pop();
    for (const block of blocks) {
      if (block.startsWith("data: ")) yield JSON.parse(block.slice("data: ".length));
    }
  }
}
