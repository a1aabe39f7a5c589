// What the colours mean: a choice of colouring, categories to hide, or a scale with its ends.

import { button, element, labelled } from "../shared/elements.js";
import { shortened } from "../shared/format.js";
import { countsOf } from "./filters.js";
import { MARKS } from "./marks.js";

const MOST_CHIPS = 24; // of more categories these are found by their name
const LONGEST_CHIP = 24; // letters
const UNKNOWN = 255; // in place of a step of the palette

/**
 * @typedef {import("../shared/arrays.js").Sent} Sent
 *
 * @typedef {object} Colouring
 * @property {string} name
 * @property {Sent} values float32, NaN where none is known
 * @property {[number, number]} ends where the colours end
 * @property {string} low what is written there
 * @property {string} high
 * @property {string} unit
 *
 * @typedef {object} Categories
 * @property {string} name
 * @property {Sent} values places among the names, −1 for none, of i2
 * @property {string[]} names
 *
 * @typedef {object} LegendData
 * @property {Sent | null} labels of i2
 * @property {string[]} label_names
 * @property {string[]} label_colors
 * @property {string[]} palette
 * @property {Colouring[]} colourings
 * @property {Categories[]} categories
 * @property {string} [colour_by] the colouring to turn to when it is first named
 */

export class Legend {
  /** The categories that are not shown. @type {Set<number>} */
  hidden = new Set();
  /** @type {LegendData} */
  data = { labels: null, label_names: [], label_colors: [], palette: [], colourings: [], categories: [] };
  /** @type {Int16Array | null} */
  labels = null;
  /** The category of each point, while they are coloured so. @type {Int16Array | null} */
  codes = null;
  /** @type {string[]} */
  codeNames = [];
  /** @type {Uint8Array | null} */
  values = null;
  /** @type {string[]} */
  names = [];
  chosen = "";
  asked = "";
  palettes = { labels: [0], values: [0], unknown: 0 };

  /** @param {() => void} onChange @param {import("../shared/arrays.js").Arrays} arrays */
  constructor(onChange, arrays) {
    this.onChange = onChange;
    this.arrays = arrays;
    this.choice = element("select", { "aria-label": "Colour by" });
    this.choice.onchange = () => this.choose(this.choice.value);
    this.keys = element("div", { class: "keys" });
    this.root = element("div", { class: "legend" }, [labelled("Colour by", this.choice), this.keys]);
  }

  /** @param {LegendData} data */
  show(data) {
    this.data = data;
    this.labels = data.labels ? this.arrays.read(data.labels, Int16Array) : null;
    const unknown = abgr(data.label_colors.at(-1) ?? "#888888");
    this.palettes = { labels: data.label_colors.map(abgr), values: data.palette.map(abgr), unknown };
    const names = [
      ...(this.labels ? ["label"] : []),
      ...[...data.categories, ...data.colourings].map(({ name }) => name),
    ];
    if (!names.length) names.push("one colour");
    if (this.names.join() !== names.join()) {
      this.names = names;
      this.choice.replaceChildren(...names.map((name) => element("option", { value: name }, [name])));
    }
    if (data.colour_by && data.colour_by !== this.asked) this.chosen = data.colour_by;
    this.asked = data.colour_by ?? "";
    this.choose(names.includes(this.chosen) ? this.chosen : names[0]);
  }

  /** @param {string} name */
  choose(name) {
    const scale = this.data.colourings.find((each) => each.name === name);
    const category = this.data.categories.find((each) => each.name === name);
    if (scale || name !== this.chosen) this.hidden.clear();
    this.chosen = this.choice.value = name;
    this.values = scale ? this.steps(scale) : null;
    this.codes = category ? this.arrays.read(category.values, Int16Array) : this.labels;
    this.codeNames = category?.names ?? this.data.label_names;
    this.keys.replaceChildren(...(scale ? this.scale(scale) : this.chips()));
    this.onChange();
  }

  /** @param {Colouring} scale */
  steps({ values, ends }) {
    return stepsOf(this.arrays.read(values, Float32Array), ends, this.data.palette.length);
  }

  /** @param {number} i */
  color(i) {
    const { labels, values, unknown } = this.palettes;
    if (this.values) return this.values[i] === UNKNOWN ? unknown : values[this.values[i]];
    const code = this.codes?.[i] ?? 0;
    return code < 0 ? unknown : labels[code % labels.length];
  }

  /** Every ten categories have another mark. @param {number} i */
  shape(i) {
    return this.values || !this.codes ? 0 : this.markOf(this.codes[i]);
  }

  /** @param {number} code */
  markOf(code) {
    return Math.max(0, Math.floor(code / this.palettes.labels.length)) % MARKS.length;
  }

  /** @param {number} i */
  isShown(i) {
    return !this.hidden.size || !this.codes || !this.hidden.has(this.codes[i]);
  }

  /** Its label, and what else it is coloured by. @param {number} i */
  nameOf(i) {
    const label = this.labels ? this.nameOfLabel(this.labels[i]) : "";
    if (this.values || !this.codes || this.codes === this.labels) return label;
    return [label, `${this.chosen}: ${this.nameOfCode(this.codes[i])}`].filter(Boolean).join(" · ");
  }

  /** @param {number} label */
  nameOfLabel(label) {
    return this.data.label_names[label] ?? String(label);
  }

  /** @param {number} code */
  nameOfCode(code) {
    return this.codeNames[code] ?? (code < 0 ? "not known" : String(code));
  }

  /** @param {Colouring} scale */
  scale({ low, high, unit }) {
    const bar = element("i", { class: "bar" });
    bar.style.background = `linear-gradient(to right, ${this.data.palette.join()})`;
    return [low, bar, `${high}${unit ? ` ${unit}` : ""}`];
  }

  /** A chip for each category; of many those that are frequent, or that a name is typed of. */
  chips() {
    const found = countsOf(this.codes ?? []).map(([code]) => code);
    if (found.length <= MOST_CHIPS) return found.sort((a, b) => a - b).map((code) => this.chip(code));
    const search = element("input", {
      type: "search",
      placeholder: `Find one of ${found.length}`,
      "aria-label": `Find one of ${found.length}: ${this.chosen}`,
    });
    const list = element("span", { class: "keys" });
    const rest = element("small", { role: "status" });
    const show = () => {
      const typed = search.value.trim().toLowerCase();
      const fitting = found.filter((code) => this.nameOfCode(code).toLowerCase().includes(typed));
      list.replaceChildren(...fitting.slice(0, MOST_CHIPS).map((code) => this.chip(code)));
      const more = fitting.length - MOST_CHIPS;
      rest.textContent = more > 0 ? `and ${more} more` : fitting.length ? "" : "none is called so";
    };
    const all = button("Show all", "Show all of them", () => this.hide([]));
    const none = button("Hide all", "Hide all of them, to show some", () => this.hide(found));
    search.oninput = show;
    show();
    return [search, all, none, list, rest];
  }

  /** Hide these and no others. @param {Iterable<number>} codes */
  hide(codes) {
    this.hidden = new Set(codes);
    for (const chip of this.keys.querySelectorAll(".chip")) {
      const code = Number(/** @type {HTMLElement} */ (chip).dataset.code);
      chip.setAttribute("aria-pressed", String(!this.hidden.has(code)));
    }
    this.onChange();
  }

  /** @param {number} code */
  chip(code) {
    const name = this.nameOfCode(code);
    const toggle = () => {
      if (!this.hidden.delete(code)) this.hidden.add(code);
      chip.setAttribute("aria-pressed", String(!this.hidden.has(code)));
      this.onChange();
    };
    const look = {
      class: "chip",
      "aria-pressed": String(!this.hidden.has(code)),
      "data-code": code,
      "data-mark": this.markOf(code),
    };
    const chip = button(shortened(name, LONGEST_CHIP), `Hide or show ${name}`, toggle, look);
    const { label_colors: colors } = this.data;
    const hue = code < 0 ? colors.length - 1 : code % colors.length;
    chip.style.setProperty("--hue", colors[hue]);
    return chip;
  }
}

/**
 * Places in a palette for numbers between its ends, `UNKNOWN` for none.
 * @param {Float32Array} values @param {[number, number]} ends @param {number} steps
 */
export function stepsOf(values, [low, high], steps) {
  const found = new Uint8Array(values.length);
  const scale = (steps - 1) / Math.max(high - low, 1e-12);
  for (let i = 0; i < values.length; i++) {
    const step = Math.round((values[i] - low) * scale);
    found[i] = Number.isNaN(step) ? UNKNOWN : Math.min(steps - 1, Math.max(0, step));
  }
  return found;
}

/** "#rrggbb" as a canvas holds it: 0xAABBGGRR. @param {string} color */
export function abgr(color) {
  const value = Number.parseInt(color.slice(1), 16);
  return (0xff000000 | ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
}
