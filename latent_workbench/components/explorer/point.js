// The point of the latent space under the hand, and the way back to where it was.
// z = base + Σ value · deviation · direction: what the sliders cannot express stays in the base.

import { clamp, dot, fromBase64, rowsOf, toBase64 } from "../shared/vectors.js";

export const REACH = 3; // a slider goes from −3 σ to 3 σ
export const STEP = 0.05;
const MOST_UNDOS = 200;

/**
 * @typedef {object} Directions as Python names them; arrays are base64 of float32
 * @property {string} id changes with anything that changes them
 * @property {string} center [D]
 * @property {string} vectors [K, D]
 * @property {number[]} deviations [K]
 * @property {number[] | null} explained [K], the shares of the variance
 * @property {string[]} names [K]
 * @property {boolean[]} dead [K], true of those that nothing uses
 * @property {boolean} orthogonal
 * @property {number} total how many there are, with those that are not shown
 *
 * @typedef {{ id: string, values: number[], base: Float32Array, z: Float32Array }} PointState
 */

export class Point {
  /** @param {Directions} directions */
  constructor(directions) {
    this.id = directions.id;
    this.deviations = directions.deviations;
    this.orthogonal = directions.orthogonal;
    this.center = fromBase64(directions.center, Float32Array);
    const numbers = fromBase64(directions.vectors, Float32Array);
    this.vectors = rowsOf(numbers, this.deviations.length, this.center.length);
    this.values = this.vectors.map(() => 0);
    /** @type {Float32Array} */
    this.base = this.center.slice();
  }

  toCenter() {
    this.values = this.vectors.map(() => 0);
    this.base = this.center.slice();
  }

  /**
   * z, with one value replaced where `changed` names a direction: Float32Array [D].
   * @param {number} [changed] @param {number} [value]
   */
  vector(changed = -1, value = 0) {
    const z = this.base.slice();
    this.vectors.forEach((direction, k) => {
      const amount = (k === changed ? value : this.values[k]) * this.deviations[k];
      if (amount) for (let d = 0; d < z.length; d++) z[d] += amount * direction[d];
    });
    return z;
  }

  /**
   * Read slider values off z; the remainder becomes the base. Directions that are not at right
   * angles have no values of their own there: their sliders start at 0, from z.
   * @param {Float32Array} z
   */
  goTo(z) {
    const from = z.map((x, d) => x - this.center[d]);
    this.values = this.vectors.map((direction, k) => {
      if (!this.orthogonal || this.deviations[k] < 1e-6) return 0;
      const rounded = Math.round(dot(direction, from) / this.deviations[k] / STEP) * STEP;
      return clamp(rounded, -REACH, REACH);
    });
    this.base = z;
    const expressed = this.vector();
    this.base = z.map((x, d) => x - (expressed[d] - x));
  }

  /** @returns {PointState} */
  state() {
    return { id: this.id, values: [...this.values], base: this.base, z: this.vector() };
  }

  /**
   * The values as they were, unless the directions are others by now: then the same z.
   * @param {PointState} state
   */
  restore(state) {
    if (state.id !== this.id) this.goTo(state.z);
    else [this.values, this.base] = [[...state.values], state.base];
  }

  /** What the page keeps, and puts into the address. */
  report() {
    const atCenter = this.base.every((x, d) => x === this.center[d]);
    return {
      directions: this.id,
      values: this.values,
      base: atCenter ? null : toBase64(this.base),
      z: toBase64(this.vector()),
    };
  }
}

/** States to go back to, and forth again. @template State */
export class UndoStack {
  /** @type {State[]} */
  past = [];
  /** @type {State[]} */
  future = [];

  /** @param {State} state */
  add(state) {
    this.past = [...this.past, state].slice(-MOST_UNDOS);
    this.future = [];
  }

  /** From the state `now`, the state to restore; undefined at the end. @param {State} now */
  undo(now) {
    return this.step(this.past, this.future, now);
  }

  /** @param {State} now */
  redo(now) {
    return this.step(this.future, this.past, now);
  }

  /** @param {State[]} from @param {State[]} to @param {State} now */
  step(from, to, now) {
    if (from.length) to.push(now);
    return from.pop();
  }
}
