// What the colours mean: a choice of colouring, labels to hide, or a scale with its ends.

import { button, element, labelled } from "../shared/elements.js";
import { fromBase64 } from "../shared/vectors.js";

const MOST_CHIPS = 24; // more labels than that are named by the pointer alone

/**
 * @typedef {object} Colouring
 * @property {string} name
 * @property {string} values places in the palette, as base64 of u1
 * @property {string} low
 * @property {string} high
 * @property {string} unit
 *
 * @typedef {object} LegendData
 * @property {string | null} labels as base64 of i2
 * @property {string[]} label_names
 * @property {string[]} label_colors
 * @property {string[]} palette
 * @property {Colouring[]} colourings
 * @property {string} [colour_by] the colouring to turn to when it is first named
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
  asked = "";
  palettes = { labels: [0], values: [0] };

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.onChange = onChange;
    this.choice = element("select", { "aria-label": "Colour by" });
    this.choice.onchange = () => this.choose(this.choice.value);
    this.keys = element("div", { class: "keys" });
    this.root = element("div", { class: "legend" }, [labelled("Colour by", this.choice), this.keys]);
  }

  /** @param {LegendData} data */
  show(data) {
    this.data = data;
    this.labels = data.labels ? fromBase64(data.labels, Int16Array) : null;
    this.palettes = { labels: data.label_colors.map(abgr), values: data.palette.map(abgr) };
    const names = [...(this.labels ? ["label"] : []), ...data.colourings.map(({ name }) => name)];
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
    this.chosen = this.choice.value = name;
    const scale = this.data.colourings.find((each) => each.name === name);
    this.values = scale ? fromBase64(scale.values, Uint8Array) : null;
    if (scale) this.hidden.clear();
    this.keys.replaceChildren(...(scale ? this.scale(scale) : this.chips()));
    this.onChange();
  }

  /** @param {number} i */
  color(i) {
    if (this.values) return this.palettes.values[this.values[i]];
    const { labels } = this.palettes;
    return labels[this.labels ? Math.max(0, this.labels[i]) % labels.length : 0];
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

  chips() {
    const found = [...new Set(this.labels ?? [])].sort((a, b) => a - b);
    if (found.length > MOST_CHIPS) return [`${found.length} labels; point at an image to see its own`];
    return found.map((label) => this.chip(label));
  }

  /** @param {number} label */
  chip(label) {
    const name = this.nameOfLabel(label);
    const toggle = () => {
      if (!this.hidden.delete(label)) this.hidden.add(label);
      chip.setAttribute("aria-pressed", String(!this.hidden.has(label)));
      this.onChange();
    };
    const pressed = String(!this.hidden.has(label));
    const chip = button(name, `Hide or show ${name}`, toggle, { class: "chip", "aria-pressed": pressed });
    const { label_colors: colors } = this.data;
    chip.style.setProperty("--hue", colors[Math.max(0, label) % colors.length]);
    return chip;
  }
}

/** "#rrggbb" as a canvas holds it: 0xAABBGGRR. @param {string} color */
export function abgr(color) {
  const value = Number.parseInt(color.slice(1), 16);
  return (0xff000000 | ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
}
