// Points painted by writing their pixels. Of more points than a frame has time for, a sample moves
// with the hand; once it rests all are written, a little each frame, and then shown.

import { context, resize } from "../shared/canvas.js";
import { element } from "../shared/elements.js";
import { MARKS, markOf, radiusOf } from "./marks.js";

const A_FRAME_MS = 10;
const A_STRIDE = 20_000; // points between two looks at the clock
const REST_MS = 90;

/**
 * @typedef {import("./renderer.js").Scene} Scene
 * @typedef {{ words: Uint32Array, width: number, height: number }} Target
 */

export class Stamped {
  canvas = element("canvas");
  /** Points a millisecond, as measured. */
  speed = 3000;
  view = "";
  /** @type {Uint32Array} */
  look = new Uint32Array();
  /** @type {Float32Array} */
  numbers = new Float32Array();
  /** When what is shown was sampled; 0 once all points are there. */
  rested = 0;
  /** What is being written while something else is shown. @type {{ image: ImageData, next: number } | null} */
  job = null;

  /**
   * @param {Scene} scene
   * @param {number} width in pixels of the device
   * @param {number} height
   * @param {number} scale
   * @param {number} now in ms
   * @returns {number} ms after which to be asked again; 0 once all points are there
   */
  paint(scene, width, height, scale, now) {
    const { viewport, look, numbers, space, pointsOf } = scene;
    resize(this.canvas, width, height);
    const turned = space ? `${space.yaw}/${space.pitch}` : "";
    const view = [viewport.x, viewport.y, viewport.across, viewport.upwards, width, height, turned].join();
    const count = look.words.length;
    const passes = look.faded ? 2 : 1;
    if (view !== this.view || look.words !== this.look || numbers !== this.numbers) {
      [this.view, this.look, this.numbers, this.job, this.rested] = [view, look.words, numbers, null, now];
      const step = stepFor((count * passes) / (this.speed * A_FRAME_MS));
      const image = this.blank(width, height);
      const start = performance.now();
      stampSample(asTarget(image), scale, viewport, pointsOf(step), look, step);
      context(this.canvas).putImageData(image, 0, 0);
      this.learn((count * passes) / step, performance.now() - start);
      return step > 1 ? REST_MS : 0;
    }
    if (!this.job && this.rested === 0) return 0; // all are there
    if (now - this.rested < REST_MS) return REST_MS;
    this.job ??= { image: this.blank(width, height), next: 0 };
    const { job } = this;
    const points = pointsOf(1);
    const target = asTarget(job.image);
    const until = performance.now() + A_FRAME_MS;
    while (job.next < count * passes && performance.now() < until) {
      const pass = Math.floor(job.next / count) + 2 - passes;
      const from = job.next % count;
      const to = Math.min(count, from + A_STRIDE);
      stampPoints(target, scale, viewport, points, look, pass === 0, from, to, 1);
      job.next += to - from;
    }
    if (job.next < count * passes) return 1;
    context(this.canvas).putImageData(job.image, 0, 0);
    [this.job, this.rested] = [null, 0];
    return 0;
  }

  /** @param {number} width @param {number} height */
  blank(width, height) {
    return context(this.canvas).createImageData(width, height);
  }

  /** @param {number} points @param {number} ms */
  learn(points, ms) {
    if (points > 2 * A_STRIDE) this.speed = 0.7 * this.speed + 0.3 * (points / Math.max(ms, 0.5));
  }

  close() {}
}

/** @param {ImageData} image @returns {Target} */
function asTarget({ data, width, height }) {
  return { words: new Uint32Array(data.buffer), width, height };
}

/**
 * Of how many points one is painted, where so many times more are there than a frame has time for: a
 * power of two, so that the points of a smaller sample are among those of a larger one and what
 * stays does not flicker.
 *
 * @param {number} times
 */
export function stepFor(times) {
  return 2 ** Math.max(0, Math.ceil(Math.log2(times)));
}

/**
 * Write the marks of one of `step` points, those that are faded first.
 *
 * @param {Target} target
 * @param {number} scale pixels of the device in one of the page
 * @param {import("./plane.js").Viewport} viewport
 * @param {import("./plane.js").Points} points all of them, or a sample
 * @param {import("./look.js").Look} look
 * @param {number} step
 */
export function stampSample(target, scale, viewport, points, look, step) {
  const rows = points.farFirst?.length ?? points.count;
  for (const faded of look.faded ? [true, false] : [false]) {
    stampPoints(target, scale, viewport, points, look, faded, 0, rows, Math.ceil(step / points.step));
  }
}

/**
 * Write the marks of some points into pixels; a later point covers an earlier one, and in space a
 * nearer one a farther one, which is fainter.
 *
 * @param {Target} target
 * @param {number} scale pixels of the device in one of the page
 * @param {import("./plane.js").Viewport} viewport
 * @param {import("./plane.js").Points} points
 * @param {import("./look.js").Look} look
 * @param {boolean} faded which of the points: those that are faded, or the others
 * @param {number} from of the places in the order of painting
 * @param {number} to
 * @param {number} step
 */
export function stampPoints({ words, width, height }, scale, viewport, points, look, faded, from, to, step) {
  const radius = radiusOf(points.count) * scale;
  const marks = MARKS.map((within) => markOf(radius, within));
  const { numbers, farFirst, nearness } = points;
  const [sx, sy] = [viewport.across * scale, viewport.upwards * scale];
  const [left, top] = [width / 2 - viewport.x * sx, height / 2 + viewport.y * sy];
  const edge = Math.ceil(radius);
  const { words: colors, shapes } = look;
  for (let k = from; k < to; k += step) {
    const i = farFirst ? farFirst[k] : k;
    const color = colors[i];
    if (color < 0x1000000 || color < 0x80000000 !== faded) continue; // by its opacity, the highest byte
    const x = Math.round(left + numbers[2 * i] * sx);
    const y = Math.round(top - numbers[2 * i + 1] * sy);
    if (!(x >= edge && y >= edge && x < width - edge && y < height - edge)) continue;
    let word = color;
    if (farFirst) word = ((color & 0xffffff) | (((color >>> 24) * (0.4 + 0.6 * nearness(i))) << 24)) >>> 0;
    const mark = marks[shapes ? shapes[i] : 0];
    const at = y * width + x;
    for (let d = 0; d < mark.length; d += 2) words[at + mark[d + 1] * width + mark[d]] = word;
  }
}
