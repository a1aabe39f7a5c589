// Paints the points, by the graphics card where there is one, and what lies around and above them.

import { context, resize } from "../shared/canvas.js";
import { significant } from "../shared/format.js";
import { SvgPen } from "../shared/svg_pen.js";
import { clamp } from "../shared/vectors.js";
import { imagePlaces, inSight, namePlaces, pictureLevel } from "./detail.js";
import { Shaded } from "./shaded.js";
import { Stamped } from "./stamped.js";
import { writePoints } from "./written.js";

const THUMBNAIL_PX = 32;
const FRAME_PX = 2; // around a picture, in the colour of its point
const NAME_PX = 13;
const TITLE_PX = 34; // room for the title of the upward axis

/**
 * @typedef {import("../shared/svg_pen.js").Pen} Pen
 * @typedef {import("./plane.js").IsShown} IsShown
 *
 * @typedef {object} Scene
 * @property {import("./plane.js").Viewport} viewport
 * @property {import("./space.js").Space | null} space
 * @property {(step: number) => import("./plane.js").Points} pointsOf of a sample, where that saves time
 * @property {Float32Array} numbers the points as they were sent, [2 N] or [3 N]
 * @property {import("./look.js").Look} look
 * @property {IsShown} isShown
 * @property {{ regions: import("./detail.js").Region[], nameOf: (code: number) => string } | null} names
 * @property {number[]} circles radii around the origin
 * @property {string[]} titles of the axes
 * @property {boolean} plain true where the numbers along the axes mean nothing
 * @property {[number, number] | null} mark
 * @property {[number, number][]} outline
 * @property {import("../shared/preview.js").Images | null} images
 * @property {boolean} always true where pictures are wanted from afar too
 * @property {(name: string) => string} css
 */

export class Renderer {
  scale = 1;
  halo = "";

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    /** @type {Shaded | Stamped} */
    this.layer = Shaded.where() ?? new Stamped();
  }

  close() {
    this.layer.close();
  }

  /** @param {Scene} scene @returns {number} ms after which to be asked again; 0 once all is there */
  paint(scene) {
    const { viewport } = scene;
    this.scale = devicePixelRatio;
    const width = Math.round(viewport.width * this.scale);
    const height = Math.round(viewport.height * this.scale);
    resize(this.canvas, width, height);
    const pen = context(this.canvas);
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, width, height);
    if (this.layer instanceof Shaded && this.layer.lost) this.layer = new Stamped();
    const again = this.layer.paint(scene, width, height, this.scale, performance.now());
    pen.scale(this.scale, this.scale);
    this.draw(pen, scene, () => pen.drawImage(this.layer.canvas, 0, 0, viewport.width, viewport.height));
    return again;
  }

  /** The same as SVG, every point a shape. @param {Scene} scene */
  svg(scene) {
    const { width, height } = scene.viewport;
    const pen = new SvgPen(width, height, scene.css("--st-background-color"));
    this.draw(pen, scene, () => writePoints(pen, scene));
    return pen.text();
  }

  /** @param {Pen} pen @param {Scene} scene @param {() => void} drawPoints */
  draw(pen, scene, drawPoints) {
    this.halo = scene.css("--st-background-color");
    pen.font = `11px ${scene.css("--st-font") || "sans-serif"}`;
    if (scene.space) this.paintAxes(pen, scene, scene.space);
    else this.paintGrid(pen, scene);
    drawPoints();
    if (scene.images) this.paintImages(pen, scene, scene.images);
    if (scene.space) this.paintTitlesInSpace(pen, scene, scene.space);
    else this.paintTitles(pen, scene);
    this.paintCircles(pen, scene);
    if (scene.names) this.paintNames(pen, scene, scene.names);
    this.paintMarks(pen, scene);
  }

  /** @param {Pen} pen @param {Scene} scene */
  paintGrid(pen, { viewport, css, plain }) {
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
  }

  /** Above points and pictures. @param {Pen} pen @param {Scene} scene */
  paintTitles(pen, { viewport, titles, css }) {
    pen.fillStyle = css("--st-text-color");
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
  paintTitlesInSpace(pen, { viewport, titles, css }, space) {
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
  paintImages(pen, scene, images) {
    const { viewport, look, isShown, always } = scene;
    const points = scene.pointsOf(1);
    const { rows, step } = inSight(viewport, points, isShown);
    const level = pictureLevel(rows.length * step, viewport, points.count);
    const side = always ? Math.max(THUMBNAIL_PX, level.side) : level.side;
    pen.globalAlpha = always ? 1 : level.alpha;
    if (!pen.globalAlpha) return;
    pen.imageSmoothingEnabled = false;
    for (const { i, x, y } of imagePlaces(viewport, points, rows, side)) {
      const tile = images.find(i);
      if (!tile) continue;
      const { source, left, top, width, height } = tile;
      const inner = side - 2 * FRAME_PX;
      const ratio = inner / Math.max(width, height);
      const [w, h] = [width * ratio, height * ratio];
      pen.fillStyle = cssColor(look.words[i]);
      pen.fillRect(x - w / 2 - FRAME_PX, y - h / 2 - FRAME_PX, w + 2 * FRAME_PX, h + 2 * FRAME_PX);
      pen.drawImage(source, left, top, width, height, x - w / 2, y - h / 2, w, h);
    }
    pen.globalAlpha = 1;
  }

  /** @param {Pen} pen @param {Scene} scene @param {NonNullable<Scene["names"]>} names */
  paintNames(pen, { viewport, css }, { regions, nameOf }) {
    pen.save();
    pen.font = `600 ${NAME_PX}px ${css("--st-font") || "sans-serif"}`;
    pen.fillStyle = css("--st-text-color");
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    const widthOf = (/** @type {number} */ code) => pen.measureText(nameOf(code)).width;
    for (const { code, x, y } of namePlaces(regions, viewport, widthOf, NAME_PX + 4)) {
      this.write(pen, nameOf(code), x, y, 0.95);
    }
    pen.restore();
  }

  /**
   * Legible over points too.
   * @param {Pen} pen @param {string} text @param {number} x @param {number} y @param {number} [alpha]
   */
  write(pen, text, x, y, alpha = 0.8) {
    pen.save();
    pen.globalAlpha = alpha;
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

/** 0xAABBGGRR as a style, without its opacity. @param {number} word */
function cssColor(word) {
  return `rgb(${word & 0xff} ${(word >> 8) & 0xff} ${(word >> 16) & 0xff})`;
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
