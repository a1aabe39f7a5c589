// Real images that a run keeps, to choose from, with what its encoder says of each.

import { drawPixels } from "../shared/canvas.js";
import { button, element } from "../shared/elements.js";
import { fromBase64 } from "../shared/vectors.js";

/**
 * @typedef {object} ImagesData as Python sends it
 * @property {number[]} rows of the run's encodings
 * @property {[number, number, number]} shape C, H, W
 * @property {string} pixels uint8 [n, C, H, W]
 * @property {string[]} labels
 * @property {number[][]} mu
 * @property {number[][] | null} logvar
 * @property {string[]} colors of labels
 */

export class Images {
  /** @param {ImagesData} data */
  constructor(data) {
    this.data = data;
    const [channels, height, width] = data.shape;
    this.size = channels * height * width;
    this.bytes = fromBase64(data.pixels, Uint8Array);
  }

  get count() {
    return this.data.rows.length;
  }

  /** Its values from 0 to 1, channel after channel. @param {number} i */
  values(i) {
    return Float64Array.from(this.bytes.subarray(i * this.size, (i + 1) * this.size), (each) => each / 255);
  }

  /** @param {number} i */
  name(i) {
    const label = this.data.labels[i];
    return label === undefined ? `image ${this.data.rows[i]}` : `a ${label}`;
  }

  /** σ of each dimension of its posterior. @param {number} i */
  sigma(i) {
    return (this.data.logvar?.[i] ?? []).map((each) => Math.exp(each / 2));
  }

  /** @param {HTMLCanvasElement} canvas @param {number} i */
  draw(canvas, i) {
    drawValues(canvas, this.values(i), this.data.shape);
  }
}

/**
 * Values from 0 to 1, channel after channel, as a picture at its native size.
 * @param {HTMLCanvasElement} canvas @param {ArrayLike<number>} values @param {number[]} shape C, H, W
 */
export function drawValues(canvas, values, [channels, height, width]) {
  const pixels = new Uint8Array(channels * height * width);
  for (let p = 0; p < height * width; p++) {
    for (let c = 0; c < channels; c++) {
      const value = Math.max(0, Math.min(1, values[c * height * width + p]));
      pixels[p * channels + c] = Math.round(255 * value);
    }
  }
  drawPixels(canvas, { count: 1, height, width, channels, pixels }, 0);
}

/** A row of images of which one is chosen. */
export class Choice {
  /** @param {Images} images @param {(i: number) => void} act @param {string} [label] */
  constructor(images, act, label = "Images") {
    this.images = images;
    this.cells = Array.from({ length: images.count }, (_, i) => {
      const canvas = element("canvas");
      images.draw(canvas, i);
      return button(canvas, `Take ${images.name(i)}`, () => {
        this.show(i);
        act(i);
      });
    });
    this.root = element("div", { class: "images", role: "group", "aria-label": label }, this.cells);
  }

  /** Which is chosen; −1 for none. @param {number} i */
  show(i) {
    this.cells.forEach((cell, k) => cell.setAttribute("aria-pressed", String(k === i)));
  }
}
