// How an explorer comes to a starting point: an encoded image, a file, a drawing; and how explorers
// of one page start from the same one.

import { shortened } from "../shared/format.js";
import { Names } from "../shared/names.js";
import { fromBase64 } from "../shared/vectors.js";

const LINKED = "latent-start"; // the event by which explorers tell each other

/**
 * @typedef {{ vector?: number[], picture?: string, message?: string }} Encoded an image, as the
 *   model was shown it, and its encoding; or why there is none
 * @typedef {{ index: number, group: string } | { blob: Blob, drawn: boolean }} Start
 * @typedef {{ index: number } | { blob: Blob, drawn: boolean }} Source what was started from here
 */

export class StartingPoints {
  encoding = false; // a blob, again
  /** @param {import("./explorer.js").Explorer} explorer */
  constructor(explorer) {
    this.explorer = explorer;
    const { labels, places } = explorer.data;
    this.labels = labels ? fromBase64(labels, Int16Array) : null;
    this.places = places ? fromBase64(places, Int32Array) : null;
    this.names = new Names(explorer.data.names);
    /** @param {Event} event */
    this.listen = (event) => this.follow(/** @type {CustomEvent} */ (event).detail);
    document.addEventListener(LINKED, this.listen);
  }

  remove() {
    document.removeEventListener(LINKED, this.listen);
  }

  /**
   * Start from encoded image `index`; other explorers of the same images do so too, if linked.
   * @param {number} index
   */
  pick(index) {
    this.startFrom(index);
    this.broadcast({ index, group: this.explorer.data.group });
  }

  /** @param {number} index */
  startFrom(index) {
    const { explorer } = this;
    const label = this.labels?.[index] ?? -1;
    if (explorer.label !== null && label >= 0) explorer.condition(label);
    this.askEncoding(index, (vector) => explorer.start(vector, { index }));
  }

  /**
   * Start from an image file or a drawing, which is fitted to the training images.
   * @param {Blob} blob @param {boolean} drawn
   */
  async encode(blob, drawn) {
    this.broadcast({ blob, drawn });
    return this.encodeHere(blob, drawn);
  }

  /** @param {Blob} blob @param {boolean} drawn */
  async encodeHere(blob, drawn) {
    const { explorer } = this;
    const reply = await this.fetchEncoding(blob, drawn);
    const { vector, message } = reply;
    if (vector) explorer.start(Float32Array.from(vector), { blob, drawn });
    else if (!drawn) explorer.problem.textContent = message ?? "";
    return reply;
  }

  /** @param {Blob} blob @param {boolean} drawn @returns {Promise<Encoded>} */
  async fetchEncoding(blob, drawn) {
    const { label, dial, engine } = this.explorer;
    const query = { label, dial: dial?.value ?? null, drawn: drawn ? 1 : null };
    try {
      if (engine.server) return await engine.server.encode(blob, query);
      return { message: "This page has no encoder." };
    } catch {
      return { message: "The image could not be sent. Check that the app still runs, then try again." };
    }
  }

  /** @param {number} index @param {(vector: Float32Array) => void} onVector */
  askEncoding(index, onVector) {
    const { decoder, dial } = this.explorer;
    const turned = dial ? { dial: dial.value } : {};
    decoder?.askVector({ type: "encoding", index, ...turned }, onVector);
  }

  /** Encode what was started from once more: the dial has turned. */
  again() {
    const { explorer } = this;
    const { source } = explorer;
    if (!source) return;
    if ("index" in source) this.askEncoding(source.index, (vector) => explorer.restart(vector));
    else if (!this.encoding) this.encodeAgain(source.blob, source.drawn);
  }

  /** One request at a time, until the dial stands still. @param {Blob} blob @param {boolean} drawn */
  async encodeAgain(blob, drawn) {
    const { explorer } = this;
    this.encoding = true;
    let value;
    do {
      value = explorer.dial?.value;
      const { vector } = await this.fetchEncoding(blob, drawn);
      if (vector) explorer.restart(Float32Array.from(vector));
    } while (explorer.source && value !== explorer.dial?.value);
    this.encoding = false;
  }

  /** @param {Start} start */
  broadcast(start) {
    if (!this.explorer.data.linked) return;
    document.dispatchEvent(new CustomEvent(LINKED, { detail: { from: this, ...start } }));
  }

  /** @param {Start & { from: StartingPoints }} start */
  follow(start) {
    if (start.from === this || !this.explorer.data.linked) return;
    if ("blob" in start) this.encodeHere(start.blob, start.drawn);
    else if (start.group === this.explorer.data.group) this.startFrom(start.index);
  }

  /** The name of its file and its label. @param {number} index @param {number} [most] letters of the file */
  nameOf(index, most = Number.POSITIVE_INFINITY) {
    const label = this.labels?.[index] ?? -1;
    const name = label < 0 ? "" : `, label ${this.explorer.data.label_names[label] ?? label}`;
    const file = this.names.of(index);
    return `${file === null ? `image ${this.places?.[index]}` : shortened(file, most)}${name}`;
  }
}
