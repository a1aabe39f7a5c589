// Pictures of all images of a part of the data set: asked for by their rows, when they are wanted.

import { liveAddress } from "../shared/address.js";
import { fetchPicture, tileOf } from "../shared/thumbnails.js";

const A_REQUEST = 200; // rows asked for at once; the server gives at most 256
const MOST_SPRITES = 32; // answers kept, the newest
const SPRITE_COLUMNS = 16; // as the server lays them
const LONGEST_PAUSE_MS = 8000;

/** @typedef {import("../shared/canvas.js").Tile} Tile */

export class PartImages {
  /** @type {{ source: ImageBitmap, rows: number[] }[]} */
  sprites = [];
  /** @type {Map<number, Tile>} */
  tiles = new Map();
  /** @type {Set<number>} */
  wanted = new Set();
  asking = false;
  closed = false;
  pause = 0;

  /**
   * @param {string} run
   * @param {{ split: string, version: string }} part
   * @param {() => void} onArrival
   */
  constructor(run, { split, version }, onArrival) {
    this.run = run;
    this.split = split;
    this.version = version;
    this.onArrival = onArrival;
  }

  /** @param {number} i @returns {Tile | null} null for now */
  find(i) {
    const tile = this.tiles.get(i);
    if (!tile) {
      this.wanted.add(i);
      this.ask();
    }
    return tile ?? null;
  }

  close() {
    this.closed = true;
    for (const { source } of this.sprites) source.close();
  }

  /** One request at a time, for what was wanted last; who still wants the others asks again. */
  async ask() {
    if (this.asking) return;
    this.asking = true;
    await Promise.resolve(); // what one painting wants goes together
    const rows = [...this.wanted].slice(-A_REQUEST);
    this.wanted.clear();
    const asked = { v: this.version, rows: rows.join() };
    const source = await fetchPicture(liveAddress(["images", this.run, this.split], asked));
    // The data set may be about to be opened: ask again, more and more rarely.
    this.pause = source ? 0 : Math.min(LONGEST_PAUSE_MS, 2 * (this.pause || 125));
    if (source) this.take(source, rows);
    else await new Promise((next) => setTimeout(next, this.pause));
    this.asking = false;
    if (!this.closed) this.onArrival();
  }

  /** @param {ImageBitmap} source @param {number[]} rows */
  take(source, rows) {
    if (this.closed) {
      source.close();
      return;
    }
    const columns = Math.min(SPRITE_COLUMNS, rows.length);
    const width = source.width / columns;
    const height = source.height / Math.ceil(rows.length / columns);
    rows.forEach((row, k) => this.tiles.set(row, tileOf(source, k, { columns, width, height })));
    this.sprites.push({ source, rows });
    if (this.sprites.length > MOST_SPRITES) this.forgetOldest();
  }

  forgetOldest() {
    const [oldest] = this.sprites.splice(0, 1);
    for (const row of oldest.rows) {
      if (this.tiles.get(row)?.source === oldest.source) this.tiles.delete(row);
    }
    oldest.source.close();
  }
}
