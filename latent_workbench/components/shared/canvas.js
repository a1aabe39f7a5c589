// Pictures on canvases, at their native size; the style sheet scales them.

/**
 * @typedef {object} Tile a part of a picture
 * @property {ImageBitmap} source
 * @property {number} left
 * @property {number} top
 * @property {number} width
 * @property {number} height
 *
 * @typedef {object} Pixels uint8 [count, height, width, channels]
 * @property {number} count
 * @property {number} height
 * @property {number} width
 * @property {number} channels
 * @property {Uint8Array} pixels
 */

/** @param {HTMLCanvasElement} canvas */
export function context(canvas) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
}

/**
 * Setting a size empties a canvas, so it is set only where it is another.
 * @param {HTMLCanvasElement} canvas @param {number} width @param {number} height
 */
export function resize(canvas, width, height) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}

/** @param {HTMLCanvasElement} canvas @param {Pixels} picture @param {number} index */
export function drawPixels(canvas, { channels, height, width, pixels }, index) {
  resize(canvas, width, height);
  const image = context(canvas).createImageData(width, height);
  copyPixels(image.data, pixels, index * height * width * channels, channels);
  context(canvas).putImageData(image, 0, 0);
  canvas.classList.add("drawn");
}

/**
 * Square cells in a row, a picture in the middle of each. A canvas of its own for every picture
 * costs a page that moves: it is a layer, which each frame puts together anew.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {Pixels} pictures
 * @param {number} first
 * @param {number} count
 */
export function drawRow(canvas, { channels, height, width, pixels }, first, count) {
  const margin = Math.ceil(Math.max(height, width) / 18);
  const side = Math.max(height, width) + 2 * margin;
  resize(canvas, count * side, side);
  const image = context(canvas).createImageData(width, height);
  for (let i = 0; i < count; i++) {
    copyPixels(image.data, pixels, (first + i) * height * width * channels, channels);
    const left = i * side + Math.floor((side - width) / 2);
    context(canvas).putImageData(image, left, Math.floor((side - height) / 2));
  }
  canvas.classList.add("drawn");
}

/**
 * One or three channels, from the place `from` on, as RGBA.
 *
 * @param {Uint8ClampedArray} target
 * @param {Uint8Array} pixels
 * @param {number} from
 * @param {number} channels
 */
export function copyPixels(target, pixels, from, channels) {
  const [green, blue] = channels === 1 ? [0, 0] : [1, 2];
  for (let to = 0; to < target.length; to += 4, from += channels) {
    target[to] = pixels[from];
    target[to + 1] = pixels[from + green];
    target[to + 2] = pixels[from + blue];
    target[to + 3] = 255;
  }
}

/** @param {HTMLCanvasElement} canvas @param {Tile} tile */
export function drawTile(canvas, { source, left, top, width, height }) {
  resize(canvas, width, height);
  context(canvas).drawImage(source, left, top, width, height, 0, 0, width, height);
  canvas.classList.add("drawn");
}
