// Small pictures of images: one picture from the server holds many of them, row after row.

import { liveAddress } from "./address.js";
import { drawTile } from "./canvas.js";

/** @import { Tile } from "./canvas.js" */

/**
 * @typedef {object} Atlas how the thumbnails that a run keeps lie in one picture
 * @property {string} version
 * @property {number} columns
 * @property {number} width of each
 * @property {number} height
 */

/**
 * Picture `index` of those that `source` holds.
 *
 * @param {ImageBitmap} source
 * @param {number} index
 * @param {{ columns: number, width: number, height: number }} layout
 * @returns {Tile}
 */
export function tileOf(source, index, { columns, width, height }) {
  const [left, top] = [(index % columns) * width, Math.floor(index / columns) * height];
  return { source, left, top, width, height };
}

/** @param {URL} address; null where there is no such picture, or no connection */
export async function fetchPicture(address) {
  try {
    const response = await fetch(address);
    return response.ok ? await createImageBitmap(await response.blob()) : null;
  } catch {
    return null; // pictures stay empty, everything else works
  }
}

/** Those of the encoded images that a run keeps. */
export class Thumbnails {
  /** @type {ImageBitmap | null} */
  atlas = null;

  /**
   * @param {string} run @param {Atlas | null} about null where the run has none
   * @param {(version: string) => Promise<ImageBitmap | null>} [fetchAtlas] where it does not come by
   *   the live route
   */
  constructor(
    run,
    about,
    fetchAtlas = (version) => fetchPicture(liveAddress(["thumbnails", run], { v: version })),
  ) {
    this.about = about;
    this.ready = this.load(fetchAtlas);
  }

  /** @param {(version: string) => Promise<ImageBitmap | null>} fetchAtlas */
  async load(fetchAtlas) {
    if (!this.about) return;
    this.atlas = await fetchAtlas(this.about.version);
  }

  close() {
    this.ready.then(() => this.atlas?.close());
  }

  /** @param {number} index @returns {Tile | null} null for now, or for good */
  find(index) {
    return this.atlas && this.about ? tileOf(this.atlas, index, this.about) : null;
  }

  /** @param {HTMLCanvasElement} canvas @param {number} index */
  async draw(canvas, index) {
    canvas.dataset.index = String(index);
    await this.ready;
    const tile = this.find(index);
    // It may have been asked for another one meanwhile.
    if (tile && canvas.dataset.index === String(index)) drawTile(canvas, tile);
  }
}
