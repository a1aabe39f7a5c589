// Points in a plane: which lie where, and how the plane lies on the screen.

import { clamp } from "../shared/vectors.js";

const CELLS = 128; // a side of the grid by which a point is found

/**
 * @typedef {{ low: number, high: number }} Bounds
 * @typedef {(i: number) => boolean} IsShown
 */

export class Points {
  /** Of a sample: every so manieth row alone is there. */
  step = 1;
  /** Seen in space, those that are farther away first. @type {Uint32Array | null} */
  farFirst = null;
  /** From 0, far, to 1. @type {(i: number) => number} */
  nearness = () => 1;
  /** @type {{ starts: Uint32Array, order: Uint32Array, places: Float32Array } | undefined} */
  cells;

  /** @param {Float32Array} numbers [2 N], x and y in turns @param {Bounds} [bounds] of both where known */
  constructor(numbers, bounds) {
    this.numbers = numbers;
    this.count = numbers.length / 2;
    this.x = bounds ?? this.bounds(0);
    this.y = bounds ?? this.bounds(1);
  }

  /** @param {number} axis @returns {Bounds} */
  bounds(axis) {
    let [low, high] = [Infinity, -Infinity];
    for (let i = axis; i < this.numbers.length; i += 2) {
      const value = this.numbers[i];
      if (value < low) low = value;
      if (value > high) high = value;
    }
    const alone = !(high - low > 0);
    return alone ? { low: (this.count ? low : 0) - 1, high: (this.count ? low : 0) + 1 } : { low, high };
  }

  /** Where row i lies. @param {number} i @returns {[number, number]} */
  at(i) {
    return [this.numbers[2 * i], this.numbers[2 * i + 1]];
  }

  /** @param {number} value @param {Bounds} bounds */
  cell(value, { low, high }) {
    return clamp(Math.floor(((value - low) / (high - low)) * CELLS), 0, CELLS - 1);
  }

  /** The rows ordered by their cells, and where each cell begins. */
  sortIntoCells() {
    const cells = new Uint32Array(this.count);
    const starts = new Uint32Array(CELLS * CELLS + 1);
    for (let i = 0; i < this.count; i++) {
      cells[i] = this.cell(this.numbers[2 * i + 1], this.y) * CELLS + this.cell(this.numbers[2 * i], this.x);
      starts[cells[i] + 1] += 1;
    }
    for (let c = 0; c < CELLS * CELLS; c++) starts[c + 1] += starts[c];
    const next = starts.slice();
    const order = new Uint32Array(this.count);
    const places = new Float32Array(2 * this.count); // in that order, to be read one after the other
    for (let i = 0; i < this.count; i++) {
      const k = next[cells[i]]++;
      order[k] = i;
      places[2 * k] = this.numbers[2 * i];
      places[2 * k + 1] = this.numbers[2 * i + 1];
    }
    return { starts, order, places };
  }

  /**
   * The shown point nearest to (x, y), at most dx and dy away; −1 where there is none.
   *
   * @param {number} x
   * @param {number} y
   * @param {number} dx
   * @param {number} dy
   * @param {IsShown} isShown
   */
  nearest(x, y, dx, dy, isShown) {
    this.cells ??= this.sortIntoCells();
    const { starts, order } = this.cells;
    let [best, least] = [-1, 1];
    const [left, right] = [this.cell(x - dx, this.x), this.cell(x + dx, this.x)];
    for (let row = this.cell(y - dy, this.y); row <= this.cell(y + dy, this.y); row++) {
      for (let k = starts[row * CELLS + left]; k < starts[row * CELLS + right + 1]; k++) {
        const i = order[k];
        const away = Math.hypot((this.numbers[2 * i] - x) / dx, (this.numbers[2 * i + 1] - y) / dy);
        if (away < least && isShown(i)) [best, least] = [i, away];
      }
    }
    return best;
  }

  /**
   * The shown points inside a polygon, by the even-odd rule: their rows, ascending.
   *
   * @param {[number, number][]} polygon
   * @param {IsShown} isShown
   */
  inside(polygon, isShown) {
    this.cells ??= this.sortIntoCells();
    const { starts, order, places } = this.cells;
    const found = new Uint8Array(this.count);
    const [left, right] = endsOf(polygon, 0).map((x) => this.cell(x, this.x));
    for (const [row, edges] of this.edgesByRow(polygon)) {
      const crossed = this.crossedBy(edges, row);
      for (let column = left; column <= right; column++) {
        const cell = row * CELLS + column;
        const [from, to] = [starts[cell], starts[cell + 1]];
        if (from === to) continue;
        // What no edge crosses lies altogether inside or outside.
        const whole = !crossed[column];
        if (whole && !isOdd(edges, places[2 * from], places[2 * from + 1])) continue;
        for (let k = from; k < to; k++) {
          if ((whole || isOdd(edges, places[2 * k], places[2 * k + 1])) && isShown(order[k]))
            found[order[k]] = 1;
        }
      }
    }
    return rowsWhere(found);
  }

  /** The columns of a row of cells that edges go through, 1 for each. @param {Edge[]} edges @param {number} row */
  crossedBy(edges, row) {
    const crossed = new Uint8Array(CELLS);
    const height = (this.y.high - this.y.low) / CELLS;
    // Numbers round: what is hardly beside the row counts as in it.
    const [low, high] = [this.y.low + (row - 0.01) * height, this.y.low + (row + 1.01) * height];
    for (const [ax, ay, bx, by] of edges) {
      const at = (/** @type {number} */ y) =>
        ay === by
          ? [ax, bx]
          : [ax + ((clamp(y, Math.min(ay, by), Math.max(ay, by)) - ay) / (by - ay)) * (bx - ax)];
      const ends = [...at(low), ...at(high)].map((x) => this.cell(x, this.x));
      const last = Math.min(CELLS - 1, Math.max(...ends) + 1);
      for (let column = Math.max(0, Math.min(...ends) - 1); column <= last; column++) crossed[column] = 1;
    }
    return crossed;
  }

  /**
   * The edges of a polygon that reach into each row of cells: the others decide nothing there.
   *
   * @param {[number, number][]} polygon
   * @returns {Map<number, Edge[]>}
   */
  edgesByRow(polygon) {
    /** @type {Map<number, Edge[]>} */
    const found = new Map();
    for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
      const [[ax, ay], [bx, by]] = [polygon[i], polygon[j]];
      const last = this.cell(Math.max(ay, by), this.y);
      for (let row = this.cell(Math.min(ay, by), this.y); row <= last; row++) {
        const here = found.get(row) ?? [];
        here.push([ax, ay, bx, by]);
        found.set(row, here);
      }
    }
    return found;
  }

  /**
   * The shown points within bounds: their rows, ascending; of more than about `most` an even sample.
   *
   * @param {Bounds} x
   * @param {Bounds} y
   * @param {IsShown} isShown
   * @param {number} most
   */
  within(x, y, isShown, most) {
    this.cells ??= this.sortIntoCells();
    const { starts, order } = this.cells;
    const { numbers, count } = this;
    const [left, right] = [this.cell(x.low, this.x), this.cell(x.high, this.x)];
    const [first, last] = [this.cell(y.low, this.y), this.cell(y.high, this.y)];
    let there = 0;
    for (let row = first; row <= last; row++) {
      there += starts[row * CELLS + right + 1] - starts[row * CELLS + left];
    }
    // The same rows whatever lies in sight, so that nothing flickers while the plane moves.
    const step = 2 ** Math.max(0, Math.ceil(Math.log2(there / most)));
    /** @type {number[]} */
    const found = [];
    const look = (/** @type {number} */ i) => {
      const [px, py] = [numbers[2 * i], numbers[2 * i + 1]];
      if (px >= x.low && px <= x.high && py >= y.low && py <= y.high && isShown(i)) found.push(i);
    };
    if (count / step < there) for (let i = 0; i < count; i += step) look(i);
    else {
      for (let row = first; row <= last; row++) {
        for (let k = starts[row * CELLS + left]; k < starts[row * CELLS + right + 1]; k++) {
          if (order[k] % step === 0) look(order[k]);
        }
      }
    }
    return { rows: Int32Array.from(found).sort(), step };
  }
}

/** The rows at which a mask is not 0. @param {Uint8Array} mask */
export function rowsWhere(mask) {
  let count = 0;
  for (let i = 0; i < mask.length; i++) if (mask[i]) count += 1;
  const rows = new Int32Array(count);
  for (let i = 0, k = 0; i < mask.length; i++) if (mask[i]) rows[k++] = i;
  return rows;
}

/** @typedef {[number, number, number, number]} Edge from x, y to x, y */

/** @param {[number, number][]} polygon @param {0 | 1} axis */
function endsOf(polygon, axis) {
  let [low, high] = [Infinity, -Infinity];
  for (const point of polygon) [low, high] = [Math.min(low, point[axis]), Math.max(high, point[axis])];
  return [low, high];
}

/** @param {Edge[]} edges @param {number} x @param {number} y */
function isOdd(edges, x, y) {
  let odd = false;
  for (const [ax, ay, bx, by] of edges) {
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
  }
  return odd;
}

/** The part of the plane in sight: its centre, and pixels a unit along both axes. */
export class Viewport {
  x = 0;
  y = 0;
  across = 1;
  upwards = 1;
  width = 0;
  height = 0;
  /** `across` where all points are in sight. */
  whole = 1;

  /** True until a hand moves it. */
  isWhole = true;

  /** 1 where all points are in sight, 2 where half of them across. */
  get closeness() {
    return this.across / this.whole;
  }

  /** @param {Points} points @param {number} width @param {number} height @param {boolean} equal */
  fit(points, width, height, equal) {
    /** @param {Bounds} bounds @param {number} pixels */
    const room = ({ low, high }, pixels) => (0.92 * pixels) / (high - low);
    this.x = (points.x.low + points.x.high) / 2;
    this.y = (points.y.low + points.y.high) / 2;
    this.across = room(points.x, width);
    this.upwards = room(points.y, height);
    if (equal) this.across = this.upwards = Math.min(this.across, this.upwards);
    this.whole = this.across;
    this.isWhole = true;
    this.resize(width, height);
  }

  /** @param {number} width @param {number} height */
  resize(width, height) {
    this.width = width;
    this.height = height;
  }

  /** @param {number} x @param {number} y @returns {[number, number]} */
  toPixels(x, y) {
    return [(x - this.x) * this.across + this.width / 2, (this.y - y) * this.upwards + this.height / 2];
  }

  /** @param {number} left @param {number} top @returns {[number, number]} */
  toPlane(left, top) {
    return [(left - this.width / 2) / this.across + this.x, this.y - (top - this.height / 2) / this.upwards];
  }

  /** @param {number} left @param {number} top */
  pan(left, top) {
    this.isWhole = false;
    this.x -= left / this.across;
    this.y += top / this.upwards;
  }

  /**
   * What lies under (left, top) stays there.
   *
   * @param {number} factor
   * @param {number} left
   * @param {number} top
   */
  zoom(factor, left, top) {
    const [x, y] = this.toPlane(left, top);
    this.isWhole = false;
    this.across *= factor;
    this.upwards *= factor;
    const [nowX, nowY] = this.toPlane(left, top);
    this.x += x - nowX;
    this.y += y - nowY;
  }
}
