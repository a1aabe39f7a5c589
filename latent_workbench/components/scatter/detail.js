// What shows as one comes closer: pictures in place of points, and the names of what lies together.

import { clamp } from "../shared/vectors.js";

const SMALLEST_PX = 24;
const LARGEST_PX = 64;
const SPARSE_PX = 26; // between neighbours: from here on pictures appear
const FADE_PX = 10; // within so much more of it they are there altogether
const MOST_LOOKED_AT = 6000; // rows that are thought of for pictures
const FEW = 200; // so many images are shown as such from the beginning

/**
 * @typedef {import("./plane.js").Points} Points
 * @typedef {import("./plane.js").Viewport} Viewport
 * @typedef {import("./plane.js").IsShown} IsShown
 */

/** The shown rows in sight; of very many an even sample. @param {Viewport} viewport @param {Points} points @param {IsShown} isShown */
export function inSight(viewport, points, isShown) {
  const [left, bottom] = viewport.toPlane(0, viewport.height);
  const [right, top] = viewport.toPlane(viewport.width, 0);
  return points.within({ low: left, high: right }, { low: bottom, high: top }, isShown, MOST_LOOKED_AT);
}

/**
 * How large pictures are and how much of them shows, where `count` points in sight make room.
 *
 * @param {number} count
 * @param {Viewport} viewport
 * @param {number} all points that there are
 */
export function pictureLevel(count, viewport, all) {
  const spacing = Math.sqrt((viewport.width * viewport.height) / Math.max(1, count));
  const side = Math.round(clamp(spacing * 0.8, SMALLEST_PX, LARGEST_PX));
  const near = all <= FEW || viewport.closeness > 1.5;
  return { side, alpha: near ? clamp((spacing - SPARSE_PX) / FADE_PX, 0, 1) : 0 };
}

/**
 * The points that have room for their image, in their order: as many as fit without covering each
 * other. Two that share a cell would, so one place for each cell is all that has to be known.
 *
 * @param {Viewport} viewport
 * @param {Points} points
 * @param {ArrayLike<number>} rows those that are thought of
 * @param {number} side of a picture in px
 */
export function* imagePlaces(viewport, points, rows, side) {
  const columns = Math.ceil(viewport.width / side) + 2;
  /** @type {[number, number][]} */
  const taken = [];
  /** @param {number} x @param {number} y @param {number} cell */
  const isFree = (x, y, cell) => {
    for (let row = cell - columns; row <= cell + columns; row += columns) {
      for (let at = row - 1; at <= row + 1; at++) {
        const other = taken[at];
        if (other && Math.abs(other[0] - x) < side && Math.abs(other[1] - y) < side) return false;
      }
    }
    return true;
  };
  for (let k = 0; k < rows.length; k++) {
    const i = rows[k];
    const [x, y] = viewport.toPixels(...points.at(i));
    if (x < 0 || y < 0 || x > viewport.width || y > viewport.height) continue;
    const cell = (Math.floor(y / side) + 1) * columns + Math.floor(x / side) + 1;
    if (!isFree(x, y, cell)) continue;
    taken[cell] = [x, y];
    yield { i, x, y };
  }
}

// --- names ----------------------------------------------------------------------------------------

const GRID = 64; // cells a side in which points are counted
const MOST_NAMED = 400; // of categories, the most frequent
const DENSE = 0.3; // of a category's densest cell: from there on a cell belongs to a region
const LEAST_SHARE = 0.08; // of a category, that a region of it has at least

/** @typedef {{ x: number, y: number, code: number, count: number }} Region a dense place of a category */

/**
 * Where each category lies densely: its name is written there. The regions are connected cells that
 * are nearly as full as the category's fullest; a place is the mean of the points around the peak.
 *
 * @param {Points} points
 * @param {ArrayLike<number>} codes a category for each point, −1 for none
 * @param {IsShown} isShown
 * @returns {Region[]} the largest first
 */
export function regionsOf(points, codes, isShown) {
  const { numbers, count } = points;
  /** @type {Map<number, number>} */
  const sizes = new Map();
  for (let i = 0; i < count; i++) {
    if (codes[i] >= 0 && isShown(i)) sizes.set(codes[i], (sizes.get(codes[i]) ?? 0) + 1);
  }
  const named = [...sizes.keys()].sort((a, b) => (sizes.get(b) ?? 0) - (sizes.get(a) ?? 0));
  const place = new Map(named.slice(0, MOST_NAMED).map((code, k) => [code, k]));
  const cells = GRID * GRID;
  const filled = new Float32Array(place.size * cells);
  /** @type {(value: number, bounds: { low: number, high: number }) => number} */
  const cellOf = (value, { low, high }) =>
    clamp(Math.floor(((value - low) / (high - low)) * GRID), 0, GRID - 1);
  for (let i = 0; i < count; i++) {
    const k = place.get(codes[i]);
    if (k === undefined || !isShown(i)) continue;
    filled[k * cells + cellOf(numbers[2 * i + 1], points.y) * GRID + cellOf(numbers[2 * i], points.x)] += 1;
  }
  /** @type {Region[]} */
  const found = [];
  for (const [code, k] of place) {
    const own = filled.subarray(k * cells, (k + 1) * cells);
    for (const region of denseRegions(own)) {
      if (region.count < LEAST_SHARE * (sizes.get(code) ?? 0)) continue;
      found.push({
        x: points.x.low + (region.x / GRID) * (points.x.high - points.x.low),
        y: points.y.low + (region.y / GRID) * (points.y.high - points.y.low),
        code,
        count: region.count,
      });
    }
  }
  return found.sort((a, b) => b.count - a.count);
}

/** Connected cells of a blurred count, in cells from the lowest corner. @param {Float32Array} own */
function denseRegions(own) {
  const smooth = blurred(own);
  let peak = 0;
  for (const value of smooth) peak = Math.max(peak, value);
  const seen = new Uint8Array(smooth.length);
  const regions = [];
  for (let start = 0; start < smooth.length; start++) {
    if (seen[start] || smooth[start] < DENSE * peak || !peak) continue;
    const stack = [start];
    seen[start] = 1;
    let [top, count] = [start, 0];
    while (stack.length) {
      const at = /** @type {number} */ (stack.pop());
      count += own[at];
      if (smooth[at] > smooth[top]) top = at;
      for (const next of neighbours(at)) {
        if (seen[next] || smooth[next] < DENSE * peak) continue;
        seen[next] = 1;
        stack.push(next);
      }
    }
    let [x, y, weight] = [0, 0, 0];
    for (const at of [top, ...neighbours(top)]) {
      x += own[at] * ((at % GRID) + 0.5);
      y += own[at] * (Math.floor(at / GRID) + 0.5);
      weight += own[at];
    }
    regions.push(
      weight
        ? { x: x / weight, y: y / weight, count }
        : { x: (top % GRID) + 0.5, y: Math.floor(top / GRID) + 0.5, count },
    );
  }
  return regions;
}

/** @param {Float32Array} own */
function blurred(own) {
  const smooth = new Float32Array(own.length);
  for (let at = 0; at < own.length; at++) {
    if (!own[at]) continue;
    smooth[at] += 2 * own[at];
    for (const next of neighbours(at)) smooth[next] += own[at];
  }
  return smooth;
}

/** @param {number} at */
function neighbours(at) {
  const [column, row] = [at % GRID, Math.floor(at / GRID)];
  const found = [];
  for (let y = Math.max(0, row - 1); y <= Math.min(GRID - 1, row + 1); y++) {
    for (let x = Math.max(0, column - 1); x <= Math.min(GRID - 1, column + 1); x++) {
      if (y * GRID + x !== at) found.push(y * GRID + x);
    }
  }
  return found;
}

/**
 * The regions whose names have room, the largest first: coming closer parts them and brings more.
 *
 * @param {Region[]} regions
 * @param {Viewport} viewport
 * @param {(code: number) => number} widthOf the name of a category in px
 * @param {number} height of a name in px
 */
export function* namePlaces(regions, viewport, widthOf, height) {
  /** @type {[number, number, number][]} */
  const taken = [];
  for (const { x, y, code } of regions) {
    const [left, top] = viewport.toPixels(x, y);
    if (left < 0 || top < 0 || left > viewport.width || top > viewport.height) continue;
    const half = widthOf(code) / 2 + 3;
    const isFree = taken.every(
      ([otherX, otherY, otherHalf]) =>
        Math.abs(otherX - left) > half + otherHalf || Math.abs(otherY - top) > height,
    );
    if (!isFree) continue;
    taken.push([left, top, half]);
    yield { code, x: left, y: top };
  }
}
