// A plot that a hand can take hold of: axes, whatever a figure draws between them, and handles. A
// handle is a button that lies over the drawing, so that the keyboard and a screen reader have it too.

import { context, resize } from "../shared/canvas.js";
import { element } from "../shared/elements.js";
import { significant } from "../shared/format.js";
import { ground } from "../shared/plotly_source.js";
import { asCsv, offerSaving } from "../shared/save_chart.js";
import { SvgPen } from "../shared/svg_pen.js";
import { clamp } from "../shared/vectors.js";

/** @import { Pen } from "../shared/svg_pen.js" */

const MARGIN = { left: 46, right: 10, top: 10, bottom: 38 };
const BARE = { left: 1, right: 1, top: 1, bottom: 1 };
const FAST = 5; // steps, with the shift key

/**
 * @typedef {[number, number]} Range
 *
 * @typedef {object} Colors as the page has them now
 * @property {string} text
 * @property {string} ground
 * @property {string} line
 * @property {string} blue q, reconstruction
 * @property {string} orange KL
 * @property {string} red what is wrong
 * @property {string} green
 * @property {string} pink β
 *
 * @typedef {object} StageOptions
 * @property {string} name of saved files
 * @property {string} label what is seen here, for who does not see it
 * @property {Range} x
 * @property {Range} y
 * @property {string} [xTitle]
 * @property {string} [yTitle]
 * @property {number} [height] px
 * @property {boolean} [square] as high as it is wide, at most `height`
 * @property {boolean} [bare] without axes
 * @property {boolean} [logX]
 * @property {boolean} [logY]
 * @property {(pen: Pen, stage: Stage, colors: Colors) => void} draw
 * @property {() => Record<string, unknown>[]} [rows] the numbers, for who saves them
 *
 * @typedef {object} HandleOptions
 * @property {string} label
 * @property {() => Range} at where it lies, in the plot's numbers
 * @property {(x: number, y: number) => void} move
 * @property {"x" | "y" | "both"} axis
 * @property {number} step of an arrow key, in the plot's numbers
 * @property {() => string} text its value, in words
 * @property {keyof Colors} [color]
 * @property {() => void} [released]
 */

/** @param {Element} root @returns {Colors} */
export function colorsOf(root) {
  const style = getComputedStyle(root);
  const of = (/** @type {string} */ name, /** @type {string} */ otherwise) =>
    style.getPropertyValue(name).trim() || otherwise;
  return {
    text: of("--st-text-color", "#1d2127"),
    ground: of("--st-background-color", "#ffffff"),
    line: of("--st-border-color", "#d9dde3"),
    blue: of("--st-blue-color", "#0072B2"),
    orange: of("--st-orange-color", "#E69F00"),
    red: of("--st-red-color", "#D55E00"),
    green: "#009E73",
    pink: "#CC79A7",
  };
}

/** Round numbers from low to high, about `count` of them. @param {Range} range @param {number} count */
export function ticks([low, high], count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((each) => each * power >= rough) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) =>
    Number(((first + i) * step).toPrecision(12)),
  );
}

/** Whole powers of ten between low and high. @param {Range} range */
function decades([low, high]) {
  const first = Math.ceil(Math.log10(low) - 1e-9);
  const last = Math.floor(Math.log10(high) + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => 10 ** (first + i));
}

export class Stage {
  width = 0;
  height = 0;
  /** @type {{ button: HTMLButtonElement, options: HandleOptions }[]} */
  handles = [];
  waiting = 0;

  /** @param {StageOptions} options */
  constructor(options) {
    this.options = options;
    this.x = options.x;
    this.y = options.y;
    this.margin = options.bare ? BARE : MARGIN;
    this.canvas = element("canvas", { role: "img", "aria-label": options.label });
    this.root = element("div", { class: "stage" }, [this.canvas]);
    if (options.square) this.root.style.maxWidth = `${options.height ?? 260}px`;
    this.observer = new ResizeObserver(() => this.redraw());
    this.observer.observe(this.root);
    const { name, rows } = options;
    const svg = async () => this.svg();
    offerSaving(this.root, rows ? { name, svg, csv: () => asCsv(rows()) } : { name, svg });
  }

  /** @param {HandleOptions} options */
  handle(options) {
    const made = element("button", {
      type: "button",
      class: "handle",
      role: "slider",
      "aria-label": options.label,
      title: options.label,
      "data-testid": `handle-${options.label.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`,
    });
    let [grabX, grabY] = [0, 0];
    made.onpointerdown = (event) => {
      if (event.button) return;
      made.setPointerCapture(event.pointerId);
      const [x, y] = this.under(event);
      const [atX, atY] = options.at();
      [grabX, grabY] = [atX - x, atY - y];
      made.classList.add("held");
    };
    made.onpointermove = (event) => {
      if (!made.hasPointerCapture(event.pointerId)) return;
      const [x, y] = this.under(event);
      this.moved(options, x + grabX, y + grabY);
    };
    made.onlostpointercapture = () => {
      made.classList.remove("held");
      options.released?.();
    };
    made.onkeydown = (event) => {
      const step = options.step * (event.shiftKey ? FAST : 1);
      /** @type {Record<string, Range>} */
      const ways = {
        ArrowLeft: options.axis === "y" ? [0, -step] : [-step, 0],
        ArrowRight: options.axis === "y" ? [0, step] : [step, 0],
        ArrowUp: options.axis === "x" ? [step, 0] : [0, step],
        ArrowDown: options.axis === "x" ? [-step, 0] : [0, -step],
      };
      const way = ways[event.key];
      if (!way) return;
      event.preventDefault();
      const [x, y] = options.at();
      this.moved(options, x + way[0], y + way[1]);
      options.released?.();
    };
    this.root.append(made);
    this.handles.push({ button: made, options });
    return made;
  }

  /** @param {HandleOptions} options @param {number} x @param {number} y */
  moved(options, x, y) {
    const [atX, atY] = options.at();
    options.move(
      options.axis === "y" ? atX : clamp(x, ...this.x),
      options.axis === "x" ? atY : clamp(y, ...this.y),
    );
  }

  /** What lies under the pointer, in the plot's numbers. @param {MouseEvent} event @returns {Range} */
  under(event) {
    const box = this.canvas.getBoundingClientRect();
    return [this.fromX(event.clientX - box.left), this.fromY(event.clientY - box.top)];
  }

  /** @param {number} value @param {Range} range @param {boolean} [log] */
  share(value, [low, high], log) {
    return log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  }

  /** @param {number} x */
  px(x) {
    const { left, right } = this.margin;
    return left + this.share(x, this.x, this.options.logX) * (this.width - left - right);
  }

  /** @param {number} y */
  py(y) {
    const { top, bottom } = this.margin;
    return this.height - bottom - this.share(y, this.y, this.options.logY) * (this.height - top - bottom);
  }

  /** @param {number} px */
  fromX(px) {
    const { left, right } = this.margin;
    return this.x[0] + ((px - left) / (this.width - left - right)) * (this.x[1] - this.x[0]);
  }

  /** @param {number} py */
  fromY(py) {
    const { top, bottom } = this.margin;
    return this.y[0] + ((this.height - bottom - py) / (this.height - top - bottom)) * (this.y[1] - this.y[0]);
  }

  /** Draw before the next frame. */
  redraw() {
    this.waiting ||= requestAnimationFrame(() => {
      this.waiting = 0;
      this.paint();
    });
  }

  paint() {
    const width = this.root.clientWidth;
    if (!width) return;
    const { height = 260, square } = this.options;
    this.width = square ? Math.min(width, height) : width;
    this.height = square ? this.width : height;
    const scale = window.devicePixelRatio || 1;
    resize(this.canvas, Math.round(this.width * scale), Math.round(this.height * scale));
    this.canvas.style.width = `${this.width}px`;
    this.canvas.style.height = `${this.height}px`;
    const pen = context(this.canvas);
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    this.everything(pen);
    const colors = colorsOf(this.root);
    for (const { button, options } of this.handles) {
      const [x, y] = options.at();
      button.style.left = `${this.px(clamp(x, ...this.x))}px`;
      button.style.top = `${this.py(clamp(y, ...this.y))}px`;
      button.style.setProperty("--dot", colors[options.color ?? "blue"]);
      button.setAttribute("aria-valuetext", options.text());
      button.setAttribute("aria-valuenow", (options.axis === "y" ? y : x).toFixed(3));
    }
  }

  /** @param {Pen} pen */
  everything(pen) {
    const colors = colorsOf(this.root);
    if (!this.options.bare) this.axes(pen, colors);
    this.options.draw(pen, this, colors);
  }

  /** @param {Pen} pen @param {Colors} colors */
  axes(pen, colors) {
    const { xTitle, yTitle, logX, logY } = this.options;
    const { left, right, top, bottom } = this.margin;
    const font = getComputedStyle(this.root).fontFamily;
    pen.font = `11px ${font}`;
    pen.fillStyle = colors.text;
    pen.strokeStyle = colors.line;
    pen.lineWidth = 1;
    pen.textAlign = "center";
    pen.textBaseline = "alphabetic";
    const across = Math.max(2, Math.floor((this.width - left - right) / 50));
    const up = Math.max(2, Math.floor((this.height - top - bottom) / 38));
    for (const x of logX ? decades(this.x) : ticks(this.x, across)) {
      line(pen, this.px(x), top, this.px(x), this.height - bottom);
      pen.fillText(significant(x, 4), this.px(x), this.height - bottom + 14);
    }
    pen.textAlign = "right";
    for (const y of logY ? decades(this.y) : ticks(this.y, up)) {
      line(pen, left, this.py(y), this.width - right, this.py(y));
      pen.fillText(significant(y, 4), left - 5, this.py(y) + 4);
    }
    pen.textAlign = "center";
    if (xTitle) pen.fillText(xTitle, (left + this.width - right) / 2, this.height - 6);
    pen.textAlign = "left";
    if (yTitle) this.words(pen, colors, yTitle, left + 5, top + 12);
  }

  /**
   * Words that can be read on whatever lies below.
   * @param {Pen} pen @param {Colors} colors @param {string} text @param {number} px @param {number} py
   * @param {string} [color]
   */
  words(pen, colors, text, px, py, color = colors.text) {
    pen.strokeStyle = colors.ground;
    pen.lineWidth = 3;
    pen.strokeText(text, px, py);
    pen.fillStyle = color;
    pen.fillText(text, px, py);
  }

  svg() {
    const pen = new SvgPen(this.width, this.height, ground(this.root));
    this.everything(pen);
    return pen.text();
  }

  remove() {
    cancelAnimationFrame(this.waiting);
    this.observer.disconnect();
    this.root.remove();
  }
}

/** @param {Pen} pen @param {number} x1 @param {number} y1 @param {number} x2 @param {number} y2 */
export function line(pen, x1, y1, x2, y2) {
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.lineTo(x2, y2);
  pen.stroke();
}

/** Through the points, in the plot's numbers. @param {Pen} pen @param {Stage} stage @param {Iterable<Range>} points */
export function path(pen, stage, points) {
  pen.beginPath();
  let first = true;
  for (const [x, y] of points) {
    if (first) pen.moveTo(stage.px(x), stage.py(y));
    else pen.lineTo(stage.px(x), stage.py(y));
    first = false;
  }
}

/** Points of a function between two numbers. @param {Range} range @param {(x: number) => number} f @param {number} [n] */
export function sampled([low, high], f, n = 240) {
  return Array.from({ length: n + 1 }, (_, i) => {
    const x = low + ((high - low) * i) / n;
    return /** @type {Range} */ ([x, f(x)]);
  });
}

/** Between a curve and another one, or zero. @param {Pen} pen @param {Stage} stage @param {Range[]} above @param {Range[]} [below] */
export function area(pen, stage, above, below) {
  const back =
    below ??
    (above.length
      ? /** @type {Range[]} */ ([
          [above[0][0], 0],
          [above[above.length - 1][0], 0],
        ])
      : []);
  path(pen, stage, [...above, ...back.toReversed()]);
  pen.closePath();
  pen.fill();
}
