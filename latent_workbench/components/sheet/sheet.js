// A sheet of pictures: one image, names at its sides, and a frame around the picture pointed at.

import { element } from "../shared/elements.js";
import { clamp } from "../shared/vectors.js";

// Names that would not fit beside each other are thinned out.
const MOST_COLUMNS = 12;
const MOST_ROWS = 24;

/**
 * @typedef {object} SheetData as Python sends it
 * @property {string} source of the image
 * @property {number} ratio width over height
 * @property {string[]} rows their names
 * @property {string[]} columns
 * @property {string[]} row_titles what each says when it is pointed at
 * @property {string[]} column_titles
 * @property {string} across what the columns stand for
 * @property {string} upwards
 * @property {string} hint what a click does; "" where it does nothing
 */

/** @type {WeakMap<object, Sheet>} */
const sheets = new WeakMap();

/** @param {ComponentCall<SheetData>} call */
export default function ({ parentElement, data: [data], setTriggerValue }) {
  const sheet = sheets.get(parentElement) ?? new Sheet(parentElement, data);
  sheets.set(parentElement, sheet);
  sheet.show(data, (cell) => setTriggerValue("cell", cell));
}

/** @param {string} name @param {Node[]} [children] */
function part(name, children = []) {
  return element("div", { class: name }, children);
}

/** Evenly, the ends kept; "" for those left out. @param {string[]} names @param {number} most */
export function thinned(names, most) {
  const last = names.length - 1;
  const every = Math.max(1, Math.ceil(last / (most - 1)));
  return names.map((name, i) => (i % every === 0 || i === last ? name : ""));
}

/** @param {HTMLElement} target @param {string[]} names @param {number} most */
function write(target, names, most) {
  target.replaceChildren(...thinned(names, most).map((name) => element("span", {}, [name])));
}

class Sheet {
  image = element("img");
  mark = part("sheet-mark");
  picture = part("sheet-picture", [this.image, this.mark]);
  upwards = part("sheet-upwards");
  rows = part("sheet-rows");
  columns = part("sheet-columns");
  across = part("sheet-across");
  /** @type {(cell: [number, number]) => void} */
  choose = () => {};

  /** @param {HTMLElement} parent @param {SheetData} data */
  constructor(parent, data) {
    this.data = data;
    const side = part("sheet-side", [this.upwards, this.rows]);
    const rest = [part("sheet-rest"), part("sheet-corner")];
    this.root = part("sheet", [side, this.picture, ...rest, this.columns, this.across]);
    parent.append(part("sheet-frame", [this.root]));
    this.picture.onmousemove = (event) => this.pointAt(this.cellAt(event));
    this.picture.onmouseleave = () => {
      this.mark.style.visibility = "hidden";
    };
    this.picture.onclick = (event) => {
      if (this.data.hint) this.choose(this.cellAt(event));
    };
  }

  /** Row and column. @param {MouseEvent} event @returns {[number, number]} */
  cellAt(event) {
    const { left, top, width, height } = this.picture.getBoundingClientRect();
    /** @param {number} share @param {string[]} names */
    const place = (share, { length }) => clamp(Math.floor(share * length), 0, length - 1);
    return [
      place((event.clientY - top) / height, this.data.rows),
      place((event.clientX - left) / width, this.data.columns),
    ];
  }

  /** @param {[number, number]} cell */
  pointAt([row, column]) {
    const { rows, columns, row_titles, column_titles, hint } = this.data;
    const [height, width] = [100 / rows.length, 100 / columns.length];
    Object.assign(this.mark.style, {
      visibility: "visible",
      left: `${column * width}%`,
      top: `${row * height}%`,
      width: `${width}%`,
      height: `${height}%`,
    });
    const names = [column_titles[column], row_titles[row]].filter(Boolean).join(" · ");
    this.picture.title = [names, hint].filter(Boolean).join("\n");
  }

  /** @param {SheetData} data @param {(cell: [number, number]) => void} choose */
  show(data, choose) {
    this.data = data;
    this.choose = choose;
    this.root.style.setProperty("--ratio", String(data.ratio));
    this.root.style.setProperty("--columns", String(data.columns.length));
    this.root.style.setProperty("--beside", data.rows.some(Boolean) ? "8rem" : "1rem");
    if (this.image.src !== data.source) this.image.src = data.source;
    this.image.alt = `${data.rows.length} × ${data.columns.length} pictures`;
    this.picture.classList.toggle("sheet-live", Boolean(data.hint));
    this.upwards.textContent = data.upwards;
    this.across.textContent = data.across;
    write(this.rows, data.rows, MOST_ROWS);
    write(this.columns, data.columns, MOST_COLUMNS);
  }
}
