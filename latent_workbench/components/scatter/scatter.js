// Encodings as points under the hand: turn, pan, zoom, point at, click, draw around.

import { button, element, labelled } from "../shared/elements.js";
import { shortened } from "../shared/format.js";
import { Names } from "../shared/names.js";
import { Preview } from "../shared/preview.js";
import { Thumbnails } from "../shared/thumbnails.js";
import { fromBase64, toBase64 } from "../shared/vectors.js";
import { Controls } from "./controls.js";
import { Legend } from "./legend.js";
import { LinkedView } from "./linked_views.js";
import { PartImages } from "./part_images.js";
import { Points, Viewport } from "./plane.js";
import { Renderer } from "./renderer.js";
import { Space } from "./space.js";

const NEAR_PX = 9;
const LONGEST_NAME = 60; // letters beside a point
const KEYS = "Arrow keys move or turn, + and − zoom, Enter picks what is in the middle, Escape lets go";
const MODES = {
  turn: ["Turn", "Drag to turn, turn the wheel to zoom, click an image"],
  pan: ["Move", "Drag to move, turn the wheel to zoom, click an image or empty space"],
  lasso: ["Lasso", "Draw around images to select them"],
  box: ["Box", "Draw a box around images to select them"],
};

/**
 * @typedef {object} Plot
 * @property {string} run
 * @property {string} images what the points stand for; another one is another selection
 * @property {string} axes
 * @property {string} points as base64 of float32 [N, dimensions]
 * @property {number} dimensions 2 or 3
 * @property {string[]} titles of the axes
 * @property {number[]} circles
 * @property {boolean} decodes true where a click on empty space means a point of the latent space
 * @property {boolean} equal true where a unit is as long across as upwards
 * @property {boolean} plain true where the numbers along the axes mean nothing
 * @property {import("../shared/thumbnails.js").Atlas | { split: string, version: string } | null} thumbnails
 * @property {{ group: string, ids: string } | null} link
 * @property {string | null} names of the files of the images, as `Names` takes them
 *
 * @typedef {Plot & import("./legend.js").LegendData} ScatterData as Python sends it
 */

/** @type {WeakMap<object, Scatter>} */
const scatters = new WeakMap();

/** @param {ComponentCall<ScatterData>} call */
export default function ({ parentElement, data: [data], setStateValue }) {
  const scatter = scatters.get(parentElement) ?? new Scatter(parentElement);
  scatters.set(parentElement, scatter);
  scatter.show(data, (told) => setStateValue("told", told));
  return () => {
    scatter.remove();
    scatters.delete(parentElement);
  };
}

/**
 * A click brings all data again; what is the same need not be read again.
 *
 * @param {ScatterData} data
 * @param {ScatterData | null} before
 */
function sameColours(data, before) {
  /** @param {import("./legend.js").Colouring} each */
  const names = ({ name, values, low, high }) => `${name}/${low}/${high}/${values.length}`;
  return (
    data.images === before?.images &&
    data.labels === before.labels &&
    data.colourings.map(names).join() === before.colourings.map(names).join() &&
    data.categories.map(({ name }) => name).join() === before.categories.map(({ name }) => name).join()
  );
}

export class Scatter {
  /** @type {ScatterData | null} */
  data = null;
  /** @type {(told: object) => void} */
  tell = () => {};
  /** @type {Space | null} */
  space = null;
  points = new Points(new Float32Array());
  /** @type {Thumbnails | PartImages | null} */
  pictures = null;
  names = new Names(null);
  /** 1 for each selected row. @type {Uint8Array | null} */
  selected = null;
  /** Where the mark lies. @type {[number, number] | null} */
  mark = null;
  /** The row that is marked, −1 where it is none. */
  marked = -1;
  /** @type {[number, number][]} */
  outline = [];
  mode = "pan";
  /** @type {number | undefined} */
  frame;

  /** @param {HTMLElement} parent */
  constructor(parent) {
    this.canvas = element("canvas", {
      tabindex: 0,
      role: "img",
      "aria-description": KEYS,
      "data-testid": "scatter",
    });
    this.preview = new Preview();
    this.ring = element("i", { class: "ring" });
    this.field = element("div", { class: "field" }, [this.canvas, this.ring, this.preview.root]);
    this.legend = new Legend(() => this.paint());
    this.images = element("input", { type: "checkbox" });
    this.images.onchange = () => this.paint();
    this.imagesLabel = labelled("Images", this.images);
    this.modes = Object.entries(MODES).map(([mode, [name, title]]) =>
      button(name, title, () => this.setMode(mode), { "data-mode": mode }),
    );
    const fit = button("Fit", "Show all points again", () => this.fit());
    const tools = element("div", { class: "tools" }, [...this.modes, fit, this.imagesLabel]);
    this.root = element("div", { class: "scatter" }, [tools, this.field, this.legend.root]);
    parent.append(this.root);
    this.renderer = new Renderer(this.canvas);
    this.viewport = new Viewport();
    this.link = new LinkedView((kind, rows) => this.follow(kind, rows));
    this.setMode("pan");
    this.controls = new Controls(this);
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(this.field);
  }

  remove() {
    this.watch.disconnect();
    this.link.close();
    this.pictures?.close();
    if (this.frame !== undefined) cancelAnimationFrame(this.frame);
    this.root.remove();
  }

  /** @param {ScatterData} data @param {(told: object) => void} tell */
  show(data, tell) {
    const before = this.data;
    this.data = data;
    this.tell = tell;
    if (data.images !== before?.images) {
      this.selected = this.mark = null;
      this.outline = [];
      this.openImages(data);
      this.names = new Names(data.names);
      this.legend.hidden.clear();
    }
    if (data.link?.group !== this.link.group || data.images !== before?.images) this.link.join(data.link);
    if (data.points !== before?.points || data.dimensions !== before?.dimensions) this.place(data);
    if (sameColours(data, before)) this.paint();
    else this.legend.show(data);
  }

  /** @param {ScatterData} data */
  openImages({ run, thumbnails }) {
    this.pictures?.close();
    const onArrival = () => {
      this.preview.draw();
      if (this.images.checked) this.paint();
    };
    if (thumbnails && "split" in thumbnails) this.pictures = new PartImages(run, thumbnails, onArrival);
    else {
      const kept = new Thumbnails(run, thumbnails);
      kept.ready.then(onArrival);
      this.pictures = thumbnails && kept;
    }
    this.imagesLabel.hidden = !thumbnails;
  }

  /** @param {ScatterData} data */
  place({ points, dimensions }) {
    const numbers = fromBase64(points, Float32Array);
    const wasSpace = this.space !== null;
    this.space = dimensions === 3 ? new Space(numbers) : null;
    this.points = this.space ? this.space.seen() : new Points(numbers);
    this.outline = [];
    this.canvas.setAttribute("aria-label", `${this.points.count} encodings`);
    this.modes[0].hidden = !this.space;
    if (this.space && !wasSpace) this.setMode("turn");
    else if (!this.space && this.mode === "turn") this.setMode("pan");
    if (this.mark) this.mark = this.marked >= 0 ? this.points.at(this.marked) : null;
    this.fit();
  }

  /** @param {number} yaw @param {number} pitch */
  turn(yaw, pitch) {
    if (!this.space) return;
    this.space.turn(yaw, pitch);
    this.points = this.space.seen();
    if (this.mark) this.mark = this.points.at(this.marked);
    this.ring.classList.remove("shown");
  }

  fit() {
    const { width, height } = this.field.getBoundingClientRect();
    if (!width || !this.data) return;
    this.viewport.fit(this.points, width, height, this.data.equal);
    this.paint();
  }

  resize() {
    const { width, height } = this.field.getBoundingClientRect();
    if (!width) return;
    if (this.viewport.width) this.viewport.resize(width, height);
    else this.fit();
    this.paint();
  }

  /** True once there is something to see. */
  get ready() {
    return this.data !== null && this.viewport.width > 0;
  }

  paint() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      if (!this.data || !this.ready) return;
      const style = getComputedStyle(this.root);
      const { viewport, points, space, selected, mark, outline, legend } = this;
      const { circles, titles, plain } = this.data;
      this.renderer.paint({
        ...{ viewport, points, space, selected, mark, outline, circles, titles, plain },
        color: (i) => legend.color(i),
        shape: (i) => legend.shape(i),
        isShown: (i) => legend.isShown(i),
        images: this.images.checked ? this.pictures : null,
        css: (name) => style.getPropertyValue(name).trim(),
      });
    });
  }

  /** @param {string} mode */
  setMode(mode) {
    this.mode = mode;
    this.field.dataset.mode = mode;
    for (const each of this.modes) each.setAttribute("aria-pressed", String(each.dataset.mode === mode));
  }

  // --- what a hand does ---------------------------------------------------------------------------

  clear() {
    this.take([]);
    this.link.broadcast("select", []);
    this.report({ kind: "none" });
  }

  /** @param {number} left @param {number} top */
  pick(left, top) {
    const [x, y] = this.viewport.toPlane(left, top);
    const index = this.under(left, top);
    if (index < 0 && !this.data?.decodes) return;
    this.setMark(index, index >= 0 ? this.points.at(index) : [x, y]);
    this.link.broadcast("mark", index >= 0 ? [index] : []);
    this.report(index >= 0 ? { kind: "image", index } : { kind: "spot", x, y, axes: this.data?.axes });
  }

  select() {
    const rows = this.points.inside(this.outline, (i) => this.legend.isShown(i));
    this.take(rows);
    this.link.broadcast("select", rows);
    this.report(rows.length ? { kind: "selection", rows: toBase64(rows) } : { kind: "none" });
  }

  // --- what shows ---------------------------------------------------------------------------------

  /** @param {number} index @param {[number, number] | null} place */
  setMark(index, place) {
    this.outline = [];
    this.selected = null;
    [this.marked, this.mark] = [index, place];
    this.paint();
  }

  /** @param {ArrayLike<number>} rows */
  take(rows) {
    this.setMark(-1, null);
    if (!rows.length) return;
    this.selected = new Uint8Array(this.points.count);
    for (const i of Array.from(rows)) this.selected[i] = 1;
  }

  /**
   * What the other view did, here.
   *
   * @param {import("./linked_views.js").Kind} kind
   * @param {Int32Array} rows
   */
  follow(kind, rows) {
    if (!this.ready) return;
    const index = rows[0] ?? -1;
    if (kind === "select") this.take(rows);
    else if (kind === "mark") this.setMark(index, index >= 0 ? this.points.at(index) : null);
    else {
      this.ring.classList.toggle("shown", index >= 0);
      if (index < 0) return;
      const [x, y] = this.viewport.toPixels(...this.points.at(index));
      this.ring.style.transform = `translate(${x}px, ${y}px)`;
    }
  }

  /** @param {object} told */
  report(told) {
    this.tell({ ...told, images: this.data?.images, at: Date.now() });
  }

  /** The row at a place; −1 where there is none. @param {number} left @param {number} top */
  under(left, top) {
    const [x, y] = this.viewport.toPlane(left, top);
    const { across, upwards } = this.viewport;
    return this.points.nearest(x, y, NEAR_PX / across, NEAR_PX / upwards, (i) => this.legend.isShown(i));
  }

  /** @param {MouseEvent} event */
  hover({ offsetX, offsetY }) {
    if (!this.ready) return;
    const index = this.under(offsetX, offsetY);
    this.canvas.classList.toggle("over", index >= 0 || Boolean(this.data?.decodes));
    this.pointAt(index);
  }

  /** @param {number} index −1 where nothing lies under the pointer */
  pointAt(index) {
    if (index !== this.preview.index) this.link.broadcast("hover", index >= 0 ? [index] : []);
    if (index < 0) {
      this.preview.hide();
      return;
    }
    const at = this.viewport.toPixels(...this.points.at(index));
    const file = shortened(this.names.of(index) ?? `image ${index + 1}`, LONGEST_NAME);
    const name = [this.legend.nameOf(index), file].filter(Boolean).join(" · ");
    this.preview.show(index, at, this.viewport.width, name, this.pictures);
  }
}
