// Paints tens of thousands of points a frame by writing their pixels, and the axes around them.

import { context, resize } from "../shared/canvas.js";
import { element } from "../shared/elements.js";
import { significant } from "../shared/format.js";
import { clamp } from "../shared/vectors.js";

const FEW = 6000; // up to so many points are drawn larger
const OPACITY = 0xd8; // of 255
const FADED = 0x38; // of what is not selected
const THUMBNAIL_PX = 32;
const TITLE_PX = 34; // room for the title of the upward axis

/**
 * @typedef {CanvasRenderingContext2D} Pen
 * @typedef {import("./plane.js").IsShown} IsShown
 *
 * @typedef {object} Scene
 * @property {import("./plane.js").Viewport} viewport
 * @property {import("./plane.js").Points} points
 * @property {import("./space.js").Space | null} space
 * @property {(i: number) => number} color as 0xAABBGGRR
 * @property {(i: number) => number} shape which of the `MARKS` a point is
 * @property {IsShown} isShown
 * @property {Uint8Array | null} selected
 * @property {number[]} circles radii around the origin
 * @property {string[]} titles of the axes
 * @property {boolean} plain true where the numbers along the axes mean nothing
 * @property {[number, number] | null} mark
 * @property {[number, number][]} outline
 * @property {import("../shared/preview.js").Images | null} images
 * @property {(name: string) => string} css
 */

export class Renderer {
  layer = element("canvas");
  scale = 1;
  halo = "";
  /** @type {ImageData | null} */
  pixels = null;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
  }

  /** @param {Scene} scene */
  paint(scene) {
    const { viewport } = scene;
    this.scale = devicePixelRatio;
    this.halo = scene.css("--st-background-color");
    const width = Math.round(viewport.width * this.scale);
    const height = Math.round(viewport.height * this.scale);
    for (const canvas of [this.canvas, this.layer]) resize(canvas, width, height);
    const pen = context(this.canvas);
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, width, height);
    this.paintPoints(scene, width, height);
    pen.scale(this.scale, this.scale);
    pen.font = `11px ${scene.css("--st-font") || "sans-serif"}`;
    if (scene.space) this.paintAxes(pen, scene, scene.space);
    else this.paintGrid(pen, scene);
    pen.drawImage(this.layer, 0, 0, viewport.width, viewport.height);
    if (scene.space) this.paintTitles(pen, scene, scene.space);
    if (scene.images) this.paintImages(pen, scene, scene.images);
    this.paintCircles(pen, scene);
    this.paintMarks(pen, scene);
  }

  /** @param {Scene} scene @param {number} width @param {number} height */
  paintPoints(scene, width, height) {
    const pen = context(this.layer);
    if (this.pixels?.width !== width || this.pixels.height !== height) {
      this.pixels = pen.createImageData(width, height);
    }
    const words = new Uint32Array(this.pixels.data.buffer);
    words.fill(0);
    const { selected } = scene;
    if (selected) stampPoints(words, width, height, this.scale, scene, (i) => !selected[i], FADED);
    const wanted = selected ? (/** @type {number} */ i) => selected[i] > 0 : () => true;
    stampPoints(words, width, height, this.scale, scene, wanted, OPACITY);
    pen.putImageData(this.pixels, 0, 0);
  }

  /** @param {Pen} pen @param {Scene} scene */
  paintGrid(pen, { viewport, css, titles, plain }) {
    pen.lineWidth = 1;
    pen.strokeStyle = css("--st-border-color");
    pen.fillStyle = css("--st-text-color");
    pen.globalAlpha = 1;
    const [left, bottom] = viewport.toPlane(0, viewport.height);
    const [right, top] = viewport.toPlane(viewport.width, 0);
    for (const x of plain ? [] : ticksBetween(left, right)) {
      const [at] = viewport.toPixels(x, 0);
      line(pen, at, 0, at, viewport.height);
      this.write(pen, significant(x, 6), at + 3, viewport.height - 5);
    }
    for (const y of plain ? [] : ticksBetween(bottom, top)) {
      const [, at] = viewport.toPixels(0, y);
      line(pen, 0, at, viewport.width, at);
      if (at > TITLE_PX) this.write(pen, significant(y, 6), 4, at - 4);
    }
    pen.textAlign = "right";
    this.write(pen, titles[0], viewport.width - 8, viewport.height - 20);
    pen.textAlign = "left";
    this.write(pen, titles[1], 8, 16);
  }

  /** @param {Pen} pen @param {Scene} scene @param {import("./space.js").Space} space */
  paintAxes(pen, { viewport, titles, css }, space) {
    pen.lineWidth = 1;
    pen.strokeStyle = css("--st-border-color");
    titles.forEach((_, axis) => {
      const [start, end] = space.ends(axis).map((at) => viewport.toPixels(...at));
      line(pen, ...start, ...end);
    });
  }

  /** @param {Pen} pen @param {Scene} scene @param {import("./space.js").Space} space */
  paintTitles(pen, { viewport, titles, css }, space) {
    pen.fillStyle = css("--st-text-color");
    titles.forEach((title, axis) => {
      const [left, top] = viewport.toPixels(...space.ends(axis)[1]);
      pen.textAlign = left > viewport.width / 2 ? "right" : "left";
      this.write(pen, title, left, clamp(top, 12, viewport.height - 6));
    });
    pen.textAlign = "left";
  }

  /** @param {Pen} pen @param {Scene} scene */
  paintCircles(pen, { viewport, space, circles, css }) {
    pen.strokeStyle = pen.fillStyle = css("--st-text-color");
    pen.setLineDash([5, 4]);
    /** @type {[number, number]} */
    const origin = space ? space.project([0, 0, 0]) : [0, 0];
    // Seen from any side, a sphere is a circle.
    for (const radius of circles) {
      const [x, y] = viewport.toPixels(...origin);
      pen.globalAlpha = 0.65;
      pen.beginPath();
      pen.ellipse(x, y, radius * viewport.across, radius * viewport.upwards, 0, 0, 2 * Math.PI);
      pen.stroke();
      this.write(pen, `${radius} σ of the prior`, x + 4, y - radius * viewport.upwards - 4);
    }
    pen.setLineDash([]);
    pen.globalAlpha = 1;
  }

  /** @param {Pen} pen @param {Scene} scene @param {import("../shared/preview.js").Images} images */
  paintImages(pen, { viewport, points, isShown }, images) {
    pen.imageSmoothingEnabled = false;
    for (const { i, x, y } of imagePlaces(viewport, points, isShown)) {
      const tile = images.find(i);
      if (!tile) continue;
      const { source, left, top, width, height } = tile;
      const [x0, y0] = [x - THUMBNAIL_PX / 2, y - THUMBNAIL_PX / 2];
      pen.drawImage(source, left, top, width, height, x0, y0, THUMBNAIL_PX, THUMBNAIL_PX);
    }
  }

  /** Legible over points too. @param {Pen} pen @param {string} text @param {number} x @param {number} y */
  write(pen, text, x, y) {
    pen.save();
    pen.globalAlpha = 0.8;
    pen.setLineDash([]);
    pen.lineWidth = 3;
    pen.strokeStyle = this.halo;
    pen.strokeText(text, x, y);
    pen.fillText(text, x, y);
    pen.restore();
  }

  /** @param {Pen} pen @param {Scene} scene */
  paintMarks(pen, { viewport, mark, outline, css }) {
    pen.strokeStyle = css("--st-text-color");
    pen.lineWidth = 2;
    if (mark) {
      pen.beginPath();
      pen.arc(...viewport.toPixels(...mark), 8, 0, 2 * Math.PI);
      pen.stroke();
    }
    if (outline.length > 1) {
      pen.beginPath();
      for (const point of outline) pen.lineTo(...viewport.toPixels(...point));
      pen.closePath();
      pen.stroke();
      pen.globalAlpha = 0.08;
      pen.fillStyle = css("--st-text-color");
      pen.fill();
      pen.globalAlpha = 1;
    }
  }
}

/**
 * Write the discs of all wanted points into the pixels of a canvas; a later point covers an earlier
 * one, and in space a nearer one a farther one, which is fainter.
 *
 * @param {Uint32Array} words [height, width] as 0xAABBGGRR
 * @param {number} width
 * @param {number} height
 * @param {number} scale pixels of the device in one of the page
 * @param {Pick<Scene, "viewport" | "points" | "color" | "shape" | "isShown">} scene
 * @param {(i: number) => boolean} wanted
 * @param {number} opacity of 255
 */
export function stampPoints(
  words,
  width,
  height,
  scale,
  { viewport, points, color, shape, isShown },
  wanted,
  opacity,
) {
  const radius = (points.count <= FEW ? 2.6 : 1.5) * scale;
  const shapes = MARKS.map((within) => markOf(radius, within));
  const { numbers, count, farFirst, nearness } = points;
  const [sx, sy] = [viewport.across * scale, viewport.upwards * scale];
  const [left, top] = [width / 2 - viewport.x * sx, height / 2 + viewport.y * sy];
  const edge = Math.ceil(radius);
  for (let k = 0; k < count; k++) {
    const i = farFirst ? farFirst[k] : k;
    const x = Math.round(left + numbers[2 * i] * sx);
    const y = Math.round(top - numbers[2 * i + 1] * sy);
    if (!(x >= edge && y >= edge && x < width - edge && y < height - edge)) continue;
    if (!wanted(i) || !isShown(i)) continue;
    const strength = farFirst ? opacity * (0.4 + 0.6 * nearness(i)) : opacity;
    const word = ((color(i) & 0xffffff) | (strength << 24)) >>> 0;
    const at = y * width + x;
    const disc = shapes[shape(i)];
    for (let d = 0; d < disc.length; d += 2) words[at + disc[d + 1] * width + disc[d]] = word;
  }
}

/**
 * The points that have room for their image, in their order: as many as fit without covering each
 * other. Two that share a cell would, so one place for each cell is all that has to be known.
 *
 * @param {import("./plane.js").Viewport} viewport
 * @param {import("./plane.js").Points} points
 * @param {IsShown} isShown
 */
export function* imagePlaces(viewport, points, isShown) {
  const columns = Math.ceil(viewport.width / THUMBNAIL_PX) + 2;
  /** @type {[number, number][]} */
  const taken = [];
  /** @param {number} x @param {number} y @param {number} cell */
  const isFree = (x, y, cell) => {
    for (let row = cell - columns; row <= cell + columns; row += columns) {
      for (let at = row - 1; at <= row + 1; at++) {
        const other = taken[at];
        if (other && Math.abs(other[0] - x) < THUMBNAIL_PX && Math.abs(other[1] - y) < THUMBNAIL_PX)
          return false;
      }
    }
    return true;
  };
  for (let i = 0; i < points.count; i++) {
    const [x, y] = viewport.toPixels(...points.at(i));
    if (x < 0 || y < 0 || x > viewport.width || y > viewport.height || !isShown(i)) continue;
    const cell = (Math.floor(y / THUMBNAIL_PX) + 1) * columns + Math.floor(x / THUMBNAIL_PX) + 1;
    if (!isFree(x, y, cell)) continue;
    taken[cell] = [x, y];
    yield { i, x, y };
  }
}

/**
 * Disc, ring, upright cross and slanted cross: colours are ten, and of more labels every ten have another mark.
 *
 * @type {((x: number, y: number) => boolean)[]} whether a pixel belongs to it, from −1 to 1
 */
export const MARKS = [
  (x, y) => Math.hypot(x, y) <= 1,
  (x, y) => Math.abs(Math.hypot(x, y) - 0.8) <= 0.2,
  (x, y) => Math.min(Math.abs(x), Math.abs(y)) <= 0.25,
  (x, y) => Math.abs(Math.abs(x) - Math.abs(y)) <= 0.25,
];

/**
 * Offsets x, y in turns of all pixels of a mark.
 *
 * @param {number} radius
 * @param {(x: number, y: number) => boolean} within
 */
export function markOf(radius, within) {
  const offsets = [];
  const reach = Math.floor(radius);
  for (let y = -reach; y <= reach; y++) {
    for (let x = -reach; x <= reach; x++) if (within(x / radius, y / radius)) offsets.push(x, y);
  }
  return Int32Array.from(offsets);
}

/** Offsets of all pixels of a disc. @param {number} radius */
export function discOf(radius) {
  return markOf(radius, MARKS[0]);
}

/** About six round numbers between low and high. @param {number} low @param {number} high */
export function ticksBetween(low, high) {
  const rough = (high - low) / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high && found.length < 20; k++) found.push(k * step);
  return found;
}

/** @param {Pen} pen @param {number} x0 @param {number} y0 @param {number} x1 @param {number} y1 */
function line(pen, x0, y0, x1, y1) {
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  pen.stroke();
}
