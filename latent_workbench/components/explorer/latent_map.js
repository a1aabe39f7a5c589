// The encodings in a plane of the latent space, with a marker that can be taken by the hand.

import { context } from "../shared/canvas.js";
import { element } from "../shared/elements.js";
import { signed } from "../shared/format.js";
import { ground } from "../shared/plotly_source.js";
import { Preview } from "../shared/preview.js";
import { asCsv, offerSaving } from "../shared/save_chart.js";
import { SvgPen } from "../shared/svg_pen.js";
import { clamp, dot, fromBase64, rowsOf } from "../shared/vectors.js";

/** @import { Explorer } from "./explorer.js" */
/** @import { StartingPoints } from "./starting_points.js" */

const NEAR_PX = 9; // a pointer this close to a point means the point
const MOVED_PX = 3; // less is a click, more is a drag
const KEY_STEP = 0.1; // σ
const LONGEST_NAME = 60; // letters beside a point
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/**
 * @typedef {object} PlaneData as Python sends it; arrays are base64 of float32
 * @property {string} center [D]
 * @property {string} vectors one or two, [D] each
 * @property {number[]} deviations
 * @property {string[]} names
 * @property {string} points [N, 2] in σ
 */

/** A plane through the latent space, along one or two directions. */
export class Plane {
  /** @param {PlaneData} data */
  constructor({ center, vectors, deviations }) {
    this.center = fromBase64(center, Float32Array);
    const numbers = fromBase64(vectors, Float32Array);
    this.vectors = rowsOf(numbers, deviations.length, this.center.length);
    this.deviations = deviations;
  }

  /** Where z lies, in σ. @param {Float32Array} z @returns {[number, number]} */
  locate(z) {
    const from = z.map((value, d) => value - this.center[d]);
    const [x, y = 0] = this.vectors.map((v, k) => dot(from, v) / Math.max(this.deviations[k], 1e-12));
    return [x, y];
  }

  /**
   * z moved within the plane so that it lies at (x, y).
   * @param {Float32Array} z @param {number} x @param {number} y
   */
  moved(z, x, y) {
    const here = this.locate(z);
    const result = Float32Array.from(z);
    this.vectors.forEach((vector, k) => {
      const amount = ([x, y][k] - here[k]) * this.deviations[k];
      for (let d = 0; d < result.length; d++) result[d] += amount * vector[d];
    });
    return result;
  }
}

export class LatentMap {
  /** @type {{ x: number, y: number, moved: boolean } | null} */
  pressed = null;
  /** @type {[number, number] | null} */
  at = null;
  /** Of the field, in pixels. To ask the page for it in each frame has it laid out once more. */
  size = { width: 0, height: 0 };

  /** @param {Explorer} explorer @param {PlaneData} plane @param {StartingPoints} starts */
  constructor(explorer, plane, starts) {
    const { data, engine, thumbnails } = explorer;
    this.explorer = explorer;
    this.starts = starts;
    this.colors = data.colors;
    this.images = thumbnails.about ? thumbnails : null;
    this.canvas = element("canvas");
    this.marker = element("div", {
      class: "marker",
      tabindex: 0,
      role: "slider",
      "aria-label": "Position on the map, in σ",
      "aria-roledescription": "point on a map",
      "data-testid": "map-marker",
    });
    this.preview = new Preview();
    thumbnails.ready.then(() => this.preview.draw());
    const parts = [this.canvas, this.marker, this.preview.root];
    this.field = element("div", { class: "field", "data-testid": "latent-map" }, parts);
    this.across = element("small", { class: "across" });
    this.upwards = element("small", { class: "upwards" });
    this.root = element("figure", { class: "map" }, [this.field, this.upwards, this.across]);
    this.listen();
    offerSaving(this.root, {
      name: `${data.run}-map`,
      svg: async () => this.svg(),
      csv: () => asCsv(this.rows()),
      alone: !engine.server,
    });
    this.plane = new Plane(plane);
    this.points = new Float32Array();
    this.reach = 3;
    this.setPlane(plane);
    this.watch = new ResizeObserver(() => this.paint());
    this.watch.observe(this.field);
  }

  remove() {
    this.watch.disconnect();
  }

  /** @param {PlaneData} plane */
  setPlane(plane) {
    this.plane = new Plane(plane);
    this.points = fromBase64(plane.points, Float32Array);
    const sizes = this.points.map(Math.abs).sort();
    this.reach = Math.max(3, 1.1 * (sizes[Math.floor(0.995 * sizes.length)] ?? 0));
    this.across.textContent = `${plane.names[0]}, σ`;
    this.upwards.textContent = plane.names[1] ? `${plane.names[1]}, σ` : "";
    this.paint();
    if (this.at) this.placeMarker(...this.at);
  }

  // --- between σ and pixels -----------------------------------------------------------------------

  /** @param {number} x @param {number} y @returns {[number, number]} */
  toPixels(x, y) {
    const { width, height } = this.size;
    return [(0.5 + x / (2 * this.reach)) * width, (0.5 - y / (2 * this.reach)) * height];
  }

  /** @param {PointerEvent} event @returns {[number, number]} */
  toSigma(event) {
    const { left, top, width, height } = this.field.getBoundingClientRect();
    /** @param {number} share */
    const within = (share) => clamp(2 * share - 1, -1, 1) * this.reach;
    const x = within((event.clientX - left) / width);
    const y = -within((event.clientY - top) / height);
    return [x, this.plane.vectors.length > 1 ? y : 0];
  }

  /** Of the point of row i. @param {number} i */
  pixelsOf(i) {
    return this.toPixels(this.points[2 * i], this.points[2 * i + 1]);
  }

  // --- drawing ------------------------------------------------------------------------------------

  paint() {
    this.size = this.field.getBoundingClientRect();
    const { width, height } = this.size;
    if (!width) return;
    const scale = devicePixelRatio;
    [this.canvas.width, this.canvas.height] = [width * scale, height * scale];
    const pen = context(this.canvas);
    pen.scale(scale, scale);
    this.draw(pen);
    if (this.at) this.placeMarker(...this.at);
  }

  /** @param {import("../shared/svg_pen.js").Pen} pen */
  draw(pen) {
    const { width, height } = this.size;
    pen.strokeStyle = getComputedStyle(this.field).borderTopColor;
    pen.beginPath();
    pen.moveTo(0, height / 2);
    pen.lineTo(width, height / 2);
    pen.moveTo(width / 2, 0);
    pen.lineTo(width / 2, height);
    pen.stroke();
    pen.globalAlpha = 0.6;
    for (let i = 0; i < this.points.length / 2; i++) {
      const [x, y] = this.pixelsOf(i);
      pen.fillStyle = this.color(i);
      pen.fillRect(x - 1.25, y - 1.25, 2.5, 2.5);
    }
    pen.globalAlpha = 1;
  }

  svg() {
    const pen = new SvgPen(this.size.width, this.size.height, ground(this.field));
    this.draw(pen);
    return pen.text();
  }

  /** A row for each point. */
  rows() {
    return Array.from({ length: this.points.length / 2 }, (_, i) => ({
      label: this.starts.labels?.[i],
      [this.across.textContent ?? "x"]: this.points[2 * i],
      [this.upwards.textContent || "y"]: this.points[2 * i + 1],
    }));
  }

  /** @param {number} i */
  color(i) {
    const label = Math.max(0, this.starts.labels?.[i] ?? 0); // −1: none is known
    return this.colors[label % this.colors.length];
  }

  /** @param {Float32Array} z */
  show(z) {
    this.placeMarker(...this.plane.locate(z));
  }

  /** @param {number} x @param {number} y */
  placeMarker(x, y) {
    this.at = [x, y];
    const { reach } = this;
    const [left, top] = this.toPixels(clamp(x, -reach, reach), clamp(y, -reach, reach));
    this.marker.style.transform = `translate(${left}px, ${top}px)`;
    const spoken = { valuemin: -reach, valuemax: reach, valuenow: x };
    for (const [name, value] of Object.entries(spoken)) {
      this.marker.setAttribute(`aria-${name}`, value.toFixed(2));
    }
    this.marker.setAttribute("aria-valuetext", `${signed(x)} σ across, ${signed(y)} σ upwards`);
  }

  // --- pointer and keys ---------------------------------------------------------------------------

  listen() {
    this.field.onpointerdown = (event) => {
      if (event.button) return;
      this.pressed = { x: event.clientX, y: event.clientY, moved: false };
      this.field.setPointerCapture(event.pointerId);
      this.preview.hide();
    };
    this.field.onpointermove = (event) => {
      if (this.pressed) this.drag(event, this.pressed);
      else this.hover(event);
    };
    this.field.onpointerup = (event) => this.release(event);
    this.field.onpointercancel = () => {
      this.pressed = null;
      this.explorer.release();
    };
    this.field.onpointerleave = () => this.preview.hide();
    this.marker.onkeydown = (event) => this.key(event);
  }

  /** @param {PointerEvent} event @param {{ x: number, y: number, moved: boolean }} pressed */
  drag(event, pressed) {
    const distance = Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y);
    pressed.moved ||= distance > MOVED_PX;
    if (pressed.moved) this.move(...this.toSigma(event));
  }

  /** The point, within the plane, to a place in σ. @param {number} x @param {number} y */
  move(x, y) {
    this.explorer.carry(this, this.plane.moved(this.explorer.point.vector(), x, y));
  }

  /** @param {PointerEvent} event */
  release(event) {
    if (!this.pressed) return;
    const { moved } = this.pressed;
    this.pressed = null;
    const index = moved ? -1 : this.nearest(event);
    if (index >= 0) {
      this.starts.pick(index);
      return;
    }
    if (!moved) this.move(...this.toSigma(event)); // empty space: what lies there?
    this.explorer.release();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const step = ARROWS[event.key];
    if (!step || !this.at) return;
    event.preventDefault();
    const size = event.shiftKey ? 10 * KEY_STEP : KEY_STEP;
    this.move(this.at[0] + size * step[0], this.at[1] + size * step[1]);
    this.explorer.releaseSoon();
  }

  /** The point under the pointer; −1 where there is none. @param {PointerEvent} event */
  nearest(event) {
    const { left, top } = this.field.getBoundingClientRect();
    let [best, distance] = [-1, NEAR_PX];
    for (let i = 0; i < this.points.length / 2; i++) {
      const [x, y] = this.pixelsOf(i);
      const away = Math.hypot(event.clientX - left - x, event.clientY - top - y);
      if (away < distance) [best, distance] = [i, away];
    }
    return best;
  }

  /** @param {PointerEvent} event */
  hover(event) {
    const index = this.nearest(event);
    if (index < 0) this.preview.hide();
    else {
      const width = this.field.clientWidth;
      const name = this.starts.nameOf(index, LONGEST_NAME);
      this.preview.show(index, this.pixelsOf(index), width, name, this.images);
    }
  }
}
