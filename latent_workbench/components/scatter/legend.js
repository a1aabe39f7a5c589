// What the colours mean: a choice of colouring, labels to hide, or a scale with its ends.

import { button, element, labelled } from "../shared/elements.js";
import { countsOf } from "./filters.js";
import { MARKS } from "./marks.js";

const MOST_CHIPS = 24; // of more labels these are found by their name
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
 * @typedef {object} LegendData
 * @property {Sent | null} labels of i2
 * @property {string[]} label_names
 * @property {string[]} label_colors
 * @property {string[]} palette
 * @property {Colouring[]} colourings
 */

export class Legend {
  /** The labels that are not shown. @type {Set<number>} */
  hidden = new Set();
  /** @type {LegendData} */
  data = { labels: null, label_names: [], label_colors: [], palette: [], colourings: [] };
  /** @type {Int16Array | null} */
  labels = null;
  /** @type {Uint8Array | null} */
  values = null;
  /** @type {string[]} */
  names = [];
  chosen = "";
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
    const names = [...(this.labels ? ["label"] : []), ...data.colourings.map(({ name }) => name)];
    if (!names.length) names.push("one colour");
    if (this.names.join() !== names.join()) {
      this.names = names;
      this.choice.replaceChildren(...names.map((name) => element("option", { value: name }, [name])));
    }
    this.choose(names.includes(this.chosen) ? this.chosen : names[0]);
  }

  /** @param {string} name */
  choose(name) {
    this.chosen = this.choice.value = name;
    const scale = this.data.colourings.find((each) => each.name === name);
    this.values = scale
      ? stepsOf(this.arrays.read(scale.values, Float32Array), scale.ends, this.data.palette.length)
      : null;
    if (scale) this.hidden.clear();
    this.keys.replaceChildren(...(scale ? this.scale(scale) : this.chips()));
    this.onChange();
  }

  /** @param {number} i */
  color(i) {
    const { labels, values, unknown } = this.palettes;
    if (this.values) return this.values[i] === UNKNOWN ? unknown : values[this.values[i]];
    return labels[this.labels ? Math.max(0, this.labels[i]) % labels.length : 0];
  }

  /** Every ten labels have another mark. @param {number} i */
  shape(i) {
    return this.values || !this.labels ? 0 : this.markOf(this.labels[i]);
  }

  /** @param {number} label */
  markOf(label) {
    return Math.max(0, Math.floor(label / this.palettes.labels.length)) % MARKS.length;
  }

  /** @param {number} i */
  isShown(i) {
    return !this.hidden.size || !this.labels || !this.hidden.has(this.labels[i]);
  }

  /** @param {number} i */
  nameOf(i) {
    return this.labels ? this.nameOfLabel(this.labels[i]) : "";
  }

  /** @param {number} label */
  nameOfLabel(label) {
    return this.data.label_names[label] ?? String(label);
  }

  /** @param {Colouring} scale */
  scale({ low, high, unit }) {
    const bar = element("i", { class: "bar" });
    bar.style.background = `linear-gradient(to right, ${this.data.palette.join()})`;
    return [low, bar, `${high}${unit ? ` ${unit}` : ""}`];
  }

  /** A chip for each label; of many those that are frequent, or that a name is typed of. */
  chips() {
    const counts = countsOf(this.labels ?? []);
    if (counts.length <= MOST_CHIPS) {
      return counts
        .map(([label]) => label)
        .sort((a, b) => a - b)
        .map((label) => this.chip(label));
    }
    const search = element("input", {
      type: "search",
      placeholder: `Find one of ${counts.length}`,
      "aria-label": `Find one of ${counts.length} labels`,
    });
    const list = element("span", { class: "keys" });
    const rest = element("small", { role: "status" });
    const show = () => {
      const typed = search.value.trim().toLowerCase();
      const found = counts.filter(([label]) => this.nameOfLabel(label).toLowerCase().includes(typed));
      list.replaceChildren(...found.slice(0, MOST_CHIPS).map(([label]) => this.chip(label)));
      const more = found.length - MOST_CHIPS;
      rest.textContent = more > 0 ? `and ${more} more` : found.length ? "" : "none is called so";
    };
    search.oninput = show;
    show();
    return [search, list, rest];
  }

  /** @param {number} label */
  chip(label) {
    const name = this.nameOfLabel(label);
    const toggle = () => {
      if (!this.hidden.delete(label)) this.hidden.add(label);
      chip.setAttribute("aria-pressed", String(!this.hidden.has(label)));
      this.onChange();
    };
    const look = {
      class: "chip",
      "aria-pressed": String(!this.hidden.has(label)),
      "data-mark": this.markOf(label),
    };
    const chip = button(name, `Hide or show ${name}`, toggle, look);
    const { label_colors: colors } = this.data;
    chip.style.setProperty("--hue", colors[Math.max(0, label) % colors.length]);
    return chip;
  }
}

/**
 * Places in a palette for numbers between its ends.
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
