// Which images are looked at: by label and category, by what was measured, by name; all at once.

import { button, element, setText } from "../shared/elements.js";
import { grouped, shortened, significant } from "../shared/format.js";

const BINS = 32;
const STEPS = 100; // of a slider
const MOST_CHIPS = 24; // of more categories these are found by their name
const LONGEST_CHIP = 24; // letters
const CODES = 1 << 16; // that 16 bits tell apart
const KEPT = "scatter-filters:"; // in the session of the browser

/**
 * @typedef {object} Facet
 * @property {string} name
 * @property {ArrayLike<number>} [codes] categories [N], −1 for none
 * @property {string[]} [names] of the categories
 * @property {Float32Array} [values] [N], NaN where none is known
 * @property {string} [unit]
 *
 * @typedef {object} Chosen
 * @property {string} text in the names
 * @property {Record<string, number[]>} categories by facet: those that are wanted, none for all
 * @property {Record<string, [number, number]>} ranges by facet
 */

/** @returns {Chosen} */
export function everything() {
  return { text: "", categories: {}, ranges: {} };
}

/**
 * 1 for each image that passes every filter; null where nothing is filtered.
 *
 * @param {number} count
 * @param {Facet[]} facets
 * @param {Chosen} chosen
 * @param {((i: number) => string) | null} nameOf
 */
export function passing(count, facets, chosen, nameOf) {
  const text = nameOf ? chosen.text.trim().toLowerCase() : "";
  const active = facets.filter(({ name }) => chosen.categories[name]?.length || chosen.ranges[name]);
  if (!text && !active.length) return null;
  const mask = new Uint8Array(count).fill(1);
  for (const { name, codes, values } of active) {
    const wanted = new Uint8Array(CODES);
    for (const code of chosen.categories[name] ?? []) wanted[code & (CODES - 1)] = 1;
    const [low, high] = chosen.ranges[name] ?? [-Infinity, Infinity];
    for (let i = 0; i < count; i++) {
      if (codes && !wanted[codes[i] & (CODES - 1)]) mask[i] = 0;
      else if (values && !(values[i] >= low && values[i] <= high)) mask[i] = 0;
    }
  }
  if (text && nameOf) {
    for (let i = 0; i < count; i++) {
      if (mask[i] && !nameOf(i).toLowerCase().includes(text)) mask[i] = 0;
    }
  }
  return mask;
}

/** How many values lie in each of 32 steps between the ends. @param {Float32Array} values */
export function histogram(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const counts = new Uint32Array(BINS);
  const width = (high - low) / BINS || 1;
  for (const value of values) {
    if (value >= low) counts[Math.min(BINS - 1, Math.floor((value - low) / width))] += 1;
  }
  return { low, high, counts };
}

/** How often each category is there, the most frequent first. @param {ArrayLike<number>} codes */
export function countsOf(codes) {
  /** @type {Map<number, number>} */
  const counts = new Map();
  for (let i = 0; i < codes.length; i++) counts.set(codes[i], (counts.get(codes[i]) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
}

export class Filters {
  chosen = everything();
  /** 1 for what passes; null where nothing is filtered. @type {Uint8Array | null} */
  mask = null;
  left = 0;
  count = 0;
  /** @type {Facet[]} */
  facets = [];
  /** @type {((i: number) => string) | null} */
  nameOf = null;
  key = "";
  /** @type {number | undefined} */
  waiting;

  /** @param {() => void} onChange @param {() => void} onSelect */
  constructor(onChange, onSelect) {
    this.onChange = onChange;
    this.status = element("span", { role: "status", "data-testid": "scatter-filtered" });
    const reset = button("Reset", "Show every image again", () => this.reset());
    const select = button("Select these", "Select the images that pass the filters", onSelect);
    this.hides = element("input", { type: "checkbox" });
    this.hides.onchange = () => this.onChange();
    const hides = element("label", { class: "labelled" }, ["Hide the others", this.hides]);
    this.active = element("span", { class: "active" }, [this.status, hides, select, reset]);
    this.body = element("div", { class: "facets" });
    this.summary = element("summary", {}, ["Filter"]);
    this.root = element("details", { class: "filters", "data-testid": "scatter-filters" }, [
      this.summary,
      this.active,
      this.body,
    ]);
  }

  /**
   * @param {string} key of the images: what was chosen for them is remembered by it
   * @param {number} count
   * @param {Facet[]} facets
   * @param {((i: number) => string) | null} nameOf null where images have no names
   */
  show(key, count, facets, nameOf) {
    if (key !== this.key) {
      this.key = key;
      this.chosen = remembered(key);
    }
    [this.count, this.facets, this.nameOf] = [count, facets, nameOf];
    this.draw();
    this.apply();
  }

  draw() {
    const search = nameSearch(this.chosen, () => this.applySoon());
    this.body.replaceChildren(
      ...(this.nameOf ? [search] : []),
      ...this.facets.map((facet) => (facet.codes ? this.categories(facet) : this.range(facet))),
    );
    this.root.hidden = !this.body.children.length;
  }

  reset() {
    this.chosen = everything();
    this.draw();
    this.apply();
  }

  /** A hand on a slider is followed once a frame. */
  applySoon() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = undefined;
      this.apply();
    });
  }

  apply() {
    this.mask = passing(this.count, this.facets, this.chosen, this.nameOf);
    this.left = this.count;
    if (this.mask) {
      this.left = 0;
      for (let i = 0; i < this.count; i++) this.left += this.mask[i];
    }
    setText(this.status, `${grouped(this.left)} of ${grouped(this.count)} images`);
    setText(this.summary, this.mask ? `Filter: ${grouped(this.left)} left` : "Filter");
    this.active.classList.toggle("filtered", this.mask !== null);
    remember(this.key, this.chosen);
    this.onChange();
  }

  /** @param {Facet} facet */
  categories({ name, codes = [], names = [] }) {
    const counts = countsOf(codes);
    const nameOf = (/** @type {number} */ code) => names[code] ?? (code < 0 ? "not known" : String(code));
    const list = element("span", { class: "keys", role: "group", "aria-label": `Only these: ${name}` });
    const rest = element("small", {});
    const search = element("input", {
      type: "search",
      placeholder: `Find one of ${counts.length}`,
      "aria-label": `Find one of ${counts.length}: ${name}`,
    });
    const isChosen = (/** @type {number} */ code) => this.chosen.categories[name]?.includes(code) ?? false;
    const show = () => {
      const typed = search.value.trim().toLowerCase();
      const found = counts.filter(([code]) => nameOf(code).toLowerCase().includes(typed));
      found.sort(([a], [b]) => Number(isChosen(b)) - Number(isChosen(a)));
      list.replaceChildren(...found.slice(0, MOST_CHIPS).map(([code, count]) => chip(code, count)));
      const more = found.length - MOST_CHIPS;
      setText(rest, more > 0 ? `and ${more} more` : found.length ? "" : "none is called so");
    };
    const chip = (/** @type {number} */ code, /** @type {number} */ count) => {
      const made = button(
        element("span", {}, [
          `${shortened(nameOf(code), LONGEST_CHIP)} `,
          element("small", {}, [grouped(count)]),
        ]),
        `Only ${name} ${nameOf(code)}, ${grouped(count)} images`,
        () => {
          const before = this.chosen.categories[name] ?? [];
          const now = isChosen(code) ? before.filter((each) => each !== code) : [...before, code];
          this.chosen.categories[name] = now;
          made.setAttribute("aria-pressed", String(isChosen(code)));
          this.applySoon();
        },
        { class: "pick", "aria-pressed": String(isChosen(code)) },
      );
      return made;
    };
    search.oninput = show;
    show();
    return facetOf(name, [...(counts.length > MOST_CHIPS ? [search] : []), list, rest]);
  }

  /** @param {Facet} facet */
  range({ name, values = new Float32Array(), unit = "" }) {
    const { low, high, counts } = histogram(values);
    if (!(high > low)) return facetOf(name, [`${significant(low, 3)} for all`]);
    const most = Math.max(...counts);
    const bars = element(
      "span",
      { class: "bars", "aria-hidden": "true" },
      Array.from(counts, (count) => {
        const bar = element("i");
        bar.style.height = `${count ? Math.max(4, (100 * count) / most) : 0}%`;
        return bar;
      }),
    );
    const said = element("small", { class: "ends" });
    const at = (/** @type {number} */ step) => low + ((high - low) * step) / STEPS;
    const stepOf = (/** @type {number} */ value) => Math.round(((value - low) / (high - low)) * STEPS);
    const sliders = ["From", "To"].map((end) =>
      element("input", { type: "range", min: 0, max: STEPS, "aria-label": `${end}: ${name}` }),
    );
    const [from, to] = sliders;
    const chosen = this.chosen.ranges[name];
    from.value = String(chosen ? stepOf(chosen[0]) : 0);
    to.value = String(chosen ? stepOf(chosen[1]) : STEPS);
    const say = () => {
      const [a, b] = [Number(from.value), Number(to.value)];
      const all = a === 0 && b === STEPS;
      setText(said, `${significant(at(a), 4)} to ${significant(at(b), 4)}${unit ? ` ${unit}` : ""}`);
      bars.childNodes.forEach((bar, k) => {
        const middle = ((k + 0.5) / BINS) * STEPS;
        /** @type {HTMLElement} */ (bar).classList.toggle("out", middle < a || middle > b);
      });
      for (const each of sliders) each.setAttribute("aria-valuetext", significant(at(Number(each.value)), 4));
      return all;
    };
    const follow = (/** @type {HTMLInputElement} */ moved, /** @type {HTMLInputElement} */ other) => {
      moved.oninput = () => {
        const crossed =
          moved === from
            ? Number(moved.value) > Number(other.value)
            : Number(moved.value) < Number(other.value);
        if (crossed) other.value = moved.value;
        const all = say();
        // The ends themselves belong to it, though numbers of 32 bits round.
        if (all) delete this.chosen.ranges[name];
        else {
          this.chosen.ranges[name] = [
            from.value === "0" ? low : at(Number(from.value)),
            to.value === String(STEPS) ? high : at(Number(to.value)),
          ];
        }
        this.applySoon();
      };
    };
    follow(from, to);
    follow(to, from);
    say();
    return facetOf(name, [element("span", { class: "range" }, [bars, from, to]), said]);
  }
}

/** @param {Chosen} chosen @param {() => void} onChange */
function nameSearch(chosen, onChange) {
  const search = element("input", {
    type: "search",
    "aria-label": "Part of the name",
    placeholder: "Part of a name",
  });
  search.value = chosen.text;
  search.oninput = () => {
    chosen.text = search.value;
    onChange();
  };
  return facetOf("name", [search]);
}

/** @param {string} name @param {(Node | string)[]} children */
function facetOf(name, children) {
  return element("div", { class: "facet" }, [element("b", {}, [name]), ...children]);
}

/** @param {string} key @returns {Chosen} */
function remembered(key) {
  try {
    return { ...everything(), ...JSON.parse(sessionStorage.getItem(KEPT + key) ?? "{}") };
  } catch {
    return everything(); // no storage here, or not ours
  }
}

/** @param {string} key @param {Chosen} chosen */
function remember(key, chosen) {
  try {
    sessionStorage.setItem(KEPT + key, JSON.stringify(chosen));
  } catch {
    // no storage here: it is forgotten with the page
  }
}
