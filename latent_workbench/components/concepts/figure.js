// What all figures have in common: a place in the page that stays, numbers that are read, and rows of
// controls.

import { button, choice, element, setText } from "../shared/elements.js";
import { significant } from "../shared/format.js";
import { linkedLabel } from "../shared/glossary.js";
import { placed } from "../shared/places.js";

/**
 * @template Data
 * @typedef {object} Figure
 * @property {Node[]} parts what it consists of, in their order
 * @property {(data: Data) => void} [update] when the page runs again
 * @property {() => void} redraw
 * @property {() => void} [remove]
 */

/** @typedef {(name: string, value: unknown) => void} Tell to Python */

/**
 * The component of a figure.
 *
 * @template Data
 * @param {string} name
 * @param {(data: Data, tell: Tell) => Figure<Data>} make
 */
export function figure(name, make) {
  /** @param {ComponentCall<Data>} call */
  return ({ parentElement, data: [data], setTriggerValue }) => {
    const { made, leave } = placed(parentElement, name, () => {
      const inside = make(data, (key, value) => setTriggerValue(key, value));
      const root = element("div", { class: "concept", "data-testid": `concept-${name}` }, inside.parts);
      parentElement.append(root);
      return {
        inside,
        remove: () => {
          inside.remove?.();
          root.remove();
        },
      };
    });
    made.inside.update?.(data);
    made.inside.redraw(); // in the colours of the theme as it is now
    return leave;
  };
}

/**
 * @typedef {object} Readout
 * @property {string} key by which it is set, and found by tests
 * @property {string} label
 * @property {string} [unit]
 * @property {string} [color] of CSS
 * @property {string} [title] what it is, in a sentence
 */

/** Numbers that follow the hand. */
export class Readouts {
  /** @type {Map<string, { value: HTMLElement, unit: HTMLElement }>} */
  places = new Map();

  /** @param {Readout[]} list */
  constructor(list) {
    this.root = element("dl", { class: "readouts", "aria-live": "off" });
    for (const { key, label, unit = "", color, title } of list) {
      const value = element("span", { "data-testid": key });
      const small = element("small", {}, [unit]);
      const mark = color ? [element("i", { style: `background:${color}` })] : [];
      const term = element("dt", title ? { title } : {}, [...mark, title ? label : linkedLabel(label)]);
      this.root.append(element("div", {}, [term, element("dd", {}, [value, " ", small])]));
      this.places.set(key, { value, unit: small });
    }
  }

  /** @param {string} key @param {number | string} value @param {string} [unit] */
  set(key, value, unit) {
    const place = this.places.get(key);
    if (!place) return;
    setText(place.value, typeof value === "string" ? value : written(value));
    if (unit !== undefined) setText(place.unit, unit);
  }
}

/** Three decimals below ten, fewer above; "—" for what is no number. @param {number} value */
export function written(value) {
  if (!Number.isFinite(value)) return "—";
  const size = Math.abs(value);
  const digits = size < 10 ? 3 : size < 100 ? 2 : 1;
  const text = size < 1e-4 && size > 0 ? significant(value, 2) : value.toFixed(digits);
  return text.replace("-", "−");
}

/** @param {Node[]} children @param {string} [name] */
export function row(children, name = "") {
  return element("div", { class: `controls ${name}` }, children);
}

/** @param {string} label @param {() => void} act @param {string} [title] */
export function push(label, act, title = label) {
  const made = button(label, title, act);
  made.dataset.testid = `push-${label.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`;
  return made;
}

/** @param {string} label @param {[string | number, string][]} options @param {(value: string) => void} act */
export function pick(label, options, act) {
  const made = choice(options, label, act);
  return Object.assign(element("label", { class: "labelled" }, [label, made]), { choice: made });
}

/**
 * A slider that acts while it moves.
 * @param {string} label
 * @param {{ min: number, max: number, step: number, value: number, text?: (value: number) => string }} about
 * @param {(value: number) => void} act
 */
export function slide(label, { min, max, step, value, text = (each) => significant(each, 3) }, act) {
  const input = element("input", { type: "range", min, max, step, value, "aria-label": label });
  const output = element("output", {}, [text(value)]);
  input.setAttribute("aria-valuetext", text(value));
  input.dataset.testid = `slide-${label.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`;
  /** @param {number} now */
  const show = (now) => {
    setText(output, text(now));
    input.setAttribute("aria-valuetext", text(now));
  };
  input.oninput = () => {
    const now = Number(input.value);
    show(now);
    act(now);
  };
  const root = element("label", { class: "labelled slide" }, [label, input, output]);
  const set = (/** @type {number} */ now) => {
    input.value = String(now);
    show(Number(input.value));
  };
  return Object.assign(root, { set, input });
}
