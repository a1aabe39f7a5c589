// Encodings as points under the hand: turn, pan, zoom, point at, click, draw around.

import { Arrays, sameArray } from "../shared/arrays.js";
import { button, choice, element, labelled } from "../shared/elements.js";
import { shortened } from "../shared/format.js";
import { Names } from "../shared/names.js";
import { Preview } from "../shared/preview.js";
import { asCsv, saveMenu } from "../shared/save_chart.js";
import { Thumbnails } from "../shared/thumbnails.js";
import { toBase64 } from "../shared/vectors.js";
import { Controls } from "./controls.js";
import { regionsOf } from "./detail.js";
import { Filters } from "./filters.js";
import { Legend } from "./legend.js";
import { LinkedView } from "./linked_views.js";
import { lookOf } from "./look.js";
import { PartImages } from "./part_images.js";
import { Points, rowsWhere, Viewport } from "./plane.js";
import { Renderer } from "./renderer.js";
import { Rings } from "./rings.js";
import { Space } from "./space.js";

const NEAR_PX = 9;
const LONGEST_REGION = 24; // letters over the points
const LONGEST_NAME = 60; // letters beside a point
const KEYS = "Arrow keys move or turn, + and − zoom, Enter picks what is in the middle, Escape lets go";
const MODES = {
  turn: ["Turn", "Drag to turn, turn the wheel to zoom, click an image"],
  pan: ["Move", "Drag to move, turn the wheel to zoom, click an image or empty space"],
  lasso: ["Lasso", "Draw around images to select them"],
  box: ["Box", "Draw a box around images to select them"],
};

const PICTURES = /** @type {[string, string][]} */ ([
  ["near", "from near"],
  ["always", "always"],
  ["never", "never"],
]);

/**
 * @typedef {import("../shared/arrays.js").Sent} Sent
 *
 * @typedef {object} Plot
 * @property {string} run
 * @property {string} images what the points stand for; another one is another selection
 * @property {string} axes
 * @property {Sent} points of float32 [N, dimensions]
 * @property {number} dimensions 2 or 3
 * @property {string[]} titles of the axes
 * @property {number[]} circles
 * @property {boolean} decodes true where a click on empty space means a point of the latent space
 * @property {boolean} equal true where a unit is as long across as upwards
 * @property {boolean} plain true where the numbers along the axes mean nothing
 * @property {import("../shared/thumbnails.js").Atlas | { split: string, version: string } | null} thumbnails
 * @property {{ group: string, ids: Sent } | null} link ids: int32 [N]
 * @property {import("./rings.js").RingsData | null} [marks] other images among the points
 * @property {{ version: string, rows: Sent } | null} recalled a selection that was saved: int32 [M]
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
  const names = ({ name, values, low, high }) =>
    `${name}/${low}/${high}/${typeof values === "string" ? values.length : values.array}`;
  return (
    data.images === before?.images &&
    sameArray(data.labels, before.labels) &&
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
  /** As sent. */
  numbers = new Float32Array();
  /** In the plane; null where they have to be looked at anew. @type {Points | null} */
  seen = null;
  arrays = new Arrays();
  /** Grows with every call, so that an older one whose arrays come late is dropped. */
  calls = 0;
  /** @type {import("./look.js").Look | null} */
  look = null;
  /** @type {import("./detail.js").Region[] | null} */
  regions = null;
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
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  rest;

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
    this.rings = new Rings();
    const above = [this.rings.root, this.ring, this.preview.root];
    this.field = element("div", { class: "field" }, [this.canvas, ...above]);
    this.legend = new Legend(() => this.repaint(), this.arrays);
    this.filters = new Filters(
      () => this.repaint(),
      () => this.selectShown(),
    );
    this.images = choice(PICTURES, "Pictures in place of points", () => this.paint());
    this.imagesLabel = labelled("Pictures", this.images);
    this.named = element("input", { type: "checkbox", checked: "" });
    this.named.onchange = () => this.paint();
    this.namedLabel = labelled("Names", this.named);
    this.problem = element("p", { role: "alert", class: "problem" });
    this.modes = Object.entries(MODES).map(([mode, [name, title]]) =>
      button(name, title, () => this.setMode(mode), { "data-mode": mode }),
    );
    const fit = button("Fit", "Show all points again", () => this.fit());
    const save = saveMenu(this.source());
    const tools = element("div", { class: "tools" }, [
      ...this.modes,
      fit,
      save,
      this.namedLabel,
      this.imagesLabel,
    ]);
    const parts = [tools, this.filters.root, this.problem, this.field, this.legend.root];
    this.root = element("div", { class: "scatter" }, parts);
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
    this.calls += 1;
    clearTimeout(this.rest);
    if (this.frame !== undefined) cancelAnimationFrame(this.frame);
    this.renderer.close();
    this.root.remove();
  }

  /** @param {ScatterData} data @param {(told: object) => void} tell */
  async show(data, tell) {
    const call = ++this.calls;
    this.tell = tell;
    const problem = await this.arrays.fetch(data);
    if (call !== this.calls) return;
    this.problem.textContent = problem;
    if (problem) return;
    const before = this.data;
    this.data = data;
    const others = data.images !== before?.images;
    if (others) {
      this.selected = this.mark = null;
      this.outline = [];
      this.openImages(data);
      this.names = new Names(data.names);
      this.legend.hidden.clear();
    }
    if (data.link?.group !== this.link.group || others) {
      const { link } = data;
      this.link.join(link?.group, link ? this.arrays.read(link.ids, Int32Array) : new Int32Array());
    }
    if (!sameArray(data.points, before?.points ?? null) || data.dimensions !== before?.dimensions)
      this.place(data);
    this.rings.show(data.marks ?? null, data.dimensions);
    if (!sameColours(data, before)) {
      this.legend.show(data);
      this.showFilters(data);
    }
    if (data.recalled && data.recalled.version !== before?.recalled?.version) {
      this.take(this.arrays.read(data.recalled.rows, Int32Array));
    }
    this.paint();
  }

  /** @param {ScatterData} data */
  showFilters(data) {
    const nameOf = data.names ? (/** @type {number} */ i) => this.names.of(i) ?? "" : null;
    this.filters.show(data.images, this.count, this.facets(data), nameOf);
    if (nameOf) this.names.ready.then(() => this.filters.apply()); // what was typed before
  }

  /** @param {ScatterData} data @returns {import("./filters.js").Facet[]} */
  facets({ label_names, colourings, categories }) {
    const { labels } = this.legend;
    return [
      ...(labels ? [{ name: "label", codes: labels, names: label_names }] : []),
      ...categories.map(({ name, names, values }) => ({
        name,
        names,
        codes: this.arrays.read(values, Int16Array),
      })),
      ...colourings.map(({ name, values, unit }) => ({
        name,
        unit,
        values: this.arrays.read(values, Float32Array),
      })),
    ];
  }

  /** @param {ScatterData} data */
  openImages({ run, thumbnails }) {
    this.pictures?.close();
    const onArrival = () => {
      this.preview.draw();
      if (this.images.value !== "never") this.paint();
    };
    if (thumbnails && "split" in thumbnails) this.pictures = new PartImages(run, thumbnails, onArrival);
    else {
      const kept = new Thumbnails(run, thumbnails);
      kept.ready.then(onArrival);
      this.pictures = thumbnails && kept;
    }
    this.imagesLabel.hidden = !thumbnails;
  }

  get count() {
    return this.numbers.length / (this.space ? 3 : 2);
  }

  /** The points in the plane that is seen. */
  get points() {
    this.seen ??= this.space ? this.space.seen() : new Points(this.numbers);
    return this.seen;
  }

  /** @param {ScatterData} data */
  place({ points, dimensions }) {
    this.numbers = this.arrays.read(points, Float32Array);
    const wasSpace = this.space !== null;
    this.space = dimensions === 3 ? new Space(this.numbers) : null;
    this.seen = this.look = this.regions = null;
    this.outline = [];
    this.canvas.setAttribute("aria-label", `${this.count} encodings`);
    this.modes[0].hidden = !this.space;
    if (this.space && !wasSpace) this.setMode("turn");
    else if (!this.space && this.mode === "turn") this.setMode("pan");
    if (this.mark) this.mark = this.marked >= 0 ? this.at(this.marked) : null;
    this.fit();
  }

  /** Where row i is seen. @param {number} i */
  at(i) {
    return this.space ? this.space.at(i) : this.points.at(i);
  }

  /** @param {number} yaw @param {number} pitch */
  turn(yaw, pitch) {
    if (!this.space) return;
    this.space.turn(yaw, pitch);
    this.seen = null;
    if (this.mark) this.mark = this.at(this.marked);
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
    if (this.viewport.isWhole) this.fit();
    else this.viewport.resize(width, height);
    this.paint();
  }

  /** True once there is something to see. */
  get ready() {
    return this.data !== null && this.viewport.width > 0;
  }

  /** After colours, filters or the selection have changed. */
  repaint() {
    this.look = this.regions = null;
    this.paint();
  }

  /** Whether a row can be pointed at and selected. @param {number} i */
  isShown(i) {
    return this.legend.isShown(i) && (this.filters.mask?.[i] ?? 1) > 0;
  }

  /** The names of what lies together, where that can be told. */
  namesShown() {
    const { codes } = this.legend;
    if (this.space || !codes || !this.named.checked) return null;
    this.regions ??= regionsOf(this.points, codes, (i) => this.isShown(i));
    const nameOf = (/** @type {number} */ code) => shortened(this.legend.nameOfCode(code), LONGEST_REGION);
    return { regions: this.regions, nameOf };
  }

  paint() {
    clearTimeout(this.rest);
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      if (!this.data || !this.ready) return;
      this.rings.draw(this.viewport, this.space);
      this.namedLabel.hidden = !this.legend.codes || this.space !== null;
      const again = this.renderer.paint(this.scene(this.data));
      if (again) this.rest = setTimeout(() => this.paint(), again);
    });
  }

  /** What there is to be painted. @param {ScatterData} data @returns {import("./renderer.js").Scene} */
  scene({ circles, titles, plain }) {
    const style = getComputedStyle(this.root);
    const { viewport, space, numbers, selected, mark, outline, legend, filters } = this;
    this.look ??= lookOf(this.count, legend, filters.mask, filters.hides.checked, selected);
    return {
      ...{ viewport, space, numbers, mark, outline, circles, titles, plain, look: this.look },
      pointsOf: (step) => (space && !this.seen && step > 1 ? space.seen(step) : this.points),
      isShown: (i) => this.isShown(i),
      names: this.namesShown(),
      images: this.images.value === "never" || space ? null : this.pictures,
      always: this.images.value === "always",
      css: (name) => style.getPropertyValue(name).trim(),
    };
  }

  /** The chart as it is seen, to be saved. @returns {import("../shared/save_chart.js").Source} */
  source() {
    const scene = () => {
      if (!this.data || !this.ready) throw new Error("there are no points yet");
      return this.scene(this.data);
    };
    return {
      name: "encodings",
      svg: async () => this.renderer.svg(scene()),
      csv: () => asCsv(this.rows()),
    };
  }

  /** A row for each point that is shown: its place in the data, its name and label, where it lies. */
  rows() {
    const { numbers, legend, names } = this;
    const dimensions = this.space ? 3 : 2;
    const titles = this.data?.titles ?? [];
    return Array.from({ length: this.count }, (_, i) => i)
      .filter((i) => this.isShown(i))
      .map((i) => {
        /** @type {Record<string, unknown>} */
        const row = { row: i, file: names.of(i), label: legend.nameOf(i) };
        for (let axis = 0; axis < dimensions; axis++) {
          row[titles[axis] || `axis ${axis + 1}`] = numbers[dimensions * i + axis];
        }
        return row;
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
    this.setMark(index, index >= 0 ? this.at(index) : [x, y]);
    this.link.broadcast("mark", index >= 0 ? [index] : []);
    this.report(index >= 0 ? { kind: "image", index } : { kind: "spot", x, y, axes: this.data?.axes });
  }

  select() {
    this.selectRows(this.points.inside(this.outline, (i) => this.isShown(i)));
  }

  /** What the legend and the filters leave. */
  selectShown() {
    const shown = new Uint8Array(this.count);
    for (let i = 0; i < shown.length; i++) shown[i] = Number(this.isShown(i));
    this.selectRows(rowsWhere(shown));
  }

  /** @param {Int32Array} rows */
  selectRows(rows) {
    this.take(rows);
    this.link.broadcast("select", rows);
    this.report(rows.length ? { kind: "selection", ...packed(rows, this.count) } : { kind: "none" });
  }

  // --- what shows ---------------------------------------------------------------------------------

  /** @param {number} index @param {[number, number] | null} place */
  setMark(index, place) {
    this.outline = [];
    if (this.selected) this.look = null;
    this.selected = null;
    [this.marked, this.mark] = [index, place];
    this.paint();
  }

  /** @param {ArrayLike<number>} rows */
  take(rows) {
    this.setMark(-1, null);
    if (!rows.length) return;
    this.selected = new Uint8Array(this.count);
    for (let k = 0; k < rows.length; k++) this.selected[rows[k]] = 1;
    this.look = null;
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
    else if (kind === "mark") this.setMark(index, index >= 0 ? this.at(index) : null);
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
    return this.points.nearest(x, y, NEAR_PX / across, NEAR_PX / upwards, (i) => this.isShown(i));
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

/**
 * Rows as they travel: their numbers, or where that is shorter a bit for each of all.
 *
 * @param {Int32Array} rows
 * @param {number} count
 */
export function packed(rows, count) {
  if (rows.length * 32 <= count) return { rows: toBase64(rows) };
  const bits = new Uint8Array(Math.ceil(count / 8));
  for (const i of rows) bits[i >> 3] |= 1 << (i & 7);
  return { bits: toBase64(bits) };
}
