// How an explorer comes to a starting point: an encoded image, a file, a drawing; and how explorers
// of one page start from the same one.

class Origins {
  constructor(explorer) {
    this.explorer = explorer;
    const { labels, places } = explorer.data;
    this.labels = labels && fromBase64(labels, Int16Array);
    this.places = places && fromBase64(places, Int32Array);
    this.hear = ({ detail }) => this.follow(detail);
    document.addEventListener("latent-start", this.hear);
  }

  get data() {
    return this.explorer.data;
  }

  remove() {
    document.removeEventListener("latent-start", this.hear);
  }

  // Start from encoded image `index`; other explorers of the same images do so too, if linked.
  pick(index) {
    this.startFrom(index);
    this.tell({ index, group: this.data.group });
  }

  startFrom(index) {
    const { explorer } = this;
    const label = this.labels?.[index] ?? -1;
    if (explorer.label !== null && label >= 0) explorer.tellModel(label);
    explorer.decoder.askVector({ type: "encoding", index });
  }

  // Start from an image file or a drawing: {picture} as the model was shown it, or {message}.
  async encode(blob, drawn) {
    this.tell({ blob, drawn });
    return this.encodeHere(blob, drawn);
  }

  async encodeHere(blob, drawn) {
    const { explorer } = this;
    const reply = await encodeImage(this.data.run, explorer.label, blob, drawn);
    if (reply.vector) explorer.change(() => explorer.point.goTo(Float32Array.from(reply.vector)));
    else if (!drawn) explorer.problem.textContent = reply.message;
    return reply;
  }

  tell(start) {
    if (!this.data.linked) return;
    document.dispatchEvent(new CustomEvent("latent-start", { detail: { from: this, ...start } }));
  }

  follow(start) {
    if (start.from === this || !this.data.linked) return;
    if (start.blob) this.encodeHere(start.blob, start.drawn);
    else if (start.group === this.data.group) this.startFrom(start.index);
  }

  nameOf(index) {
    const label = this.labels?.[index] ?? -1;
    const name = label < 0 ? "" : `, label ${this.data.label_names[label] ?? label}`;
    return `image ${this.places[index]}${name}`;
  }
}
