// What the files of images are called, by their rows: as many as there are points, so packed.

import { fromBase64 } from "./vectors.js";

export class Names {
  /** @type {string[]} */
  list = [];

  /**
   * @param {string | null | undefined} packed deflated UTF-8 with a zero byte between names, as
   *   base64; null where images came from no files
   */
  constructor(packed) {
    this.ready = packed ? this.unpack(packed) : Promise.resolve();
  }

  /** @param {string} packed */
  async unpack(packed) {
    const bytes = fromBase64(packed, Uint8Array);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    this.list = (await new Response(stream).text()).split("\0");
  }

  /** @param {number} row @returns {string | null} null for now, or for good */
  of(row) {
    return this.list[row] ?? null;
  }
}
