// The gradient of E f(z) under q = N(μ, σ²) with respect to μ: exactly, by the score function, and by
// reparameterisation. f is a table; between its points it is straight, and its slope is that.

import { density } from "./gaussian.js";

/** @import { Gaussian } from "./gaussian.js" */

/**
 * @typedef {object} Table
 * @property {[number, number]} range of z
 * @property {ArrayLike<number>} values of f, at even steps
 */

/** @param {Table} table @param {number} z */
function placeIn({ range, values }, z) {
  const steps = values.length - 1;
  const at = Math.max(0, Math.min(steps, ((z - range[0]) / (range[1] - range[0])) * steps));
  const i = Math.min(steps - 1, Math.floor(at));
  return { i, rest: at - i, step: (range[1] - range[0]) / steps };
}

/** f(z), and as at its ends beyond them. @param {Table} table @param {number} z */
export function valueAt(table, z) {
  const { i, rest } = placeIn(table, z);
  return table.values[i] + rest * (table.values[i + 1] - table.values[i]);
}

/** f′(z). @param {Table} table @param {number} z */
export function slopeAt(table, z) {
  if (z <= table.range[0] || z >= table.range[1]) return 0;
  const { i, step } = placeIn(table, z);
  return (table.values[i + 1] - table.values[i]) / step;
}

/** One draw's answer by the score function. @param {Table} f @param {Gaussian} q @param {number} noise ε @param {number} baseline */
export function byScore(f, { mu, sigma }, noise, baseline) {
  return ((valueAt(f, mu + sigma * noise) - baseline) * noise) / sigma;
}

/** One draw's answer by reparameterisation. @param {Table} f @param {Gaussian} q @param {number} noise ε */
export function byPath(f, { mu, sigma }, noise) {
  return slopeAt(f, mu + sigma * noise);
}

/**
 * E and standard deviation of g(ε) under N(0, 1), by the midpoint rule.
 * @param {(noise: number) => number} g
 */
export function exactly(g) {
  const [reach, n] = [8, 16000];
  const unit = { mu: 0, sigma: 1 };
  let [mean, square] = [0, 0];
  for (let k = 0; k < n; k++) {
    const noise = -reach + (2 * reach * (k + 0.5)) / n;
    const weight = (density(noise, unit) * 2 * reach) / n;
    const value = g(noise);
    mean += weight * value;
    square += weight * value * value;
  }
  return { mean, deviation: Math.sqrt(Math.max(0, square - mean * mean)) };
}

/** Mean and standard deviation of numbers. @param {ArrayLike<number>} all */
export function spread(all) {
  let [mean, square] = [0, 0];
  for (let k = 0; k < all.length; k++) mean += all[k] / all.length;
  for (let k = 0; k < all.length; k++) square += (all[k] - mean) ** 2 / Math.max(1, all.length - 1);
  return { mean, deviation: Math.sqrt(square) };
}

/**
 * How far means of n of the numbers scatter, for n = 1, 2, 4, …; as long as there are eight means.
 * @param {ArrayLike<number>} all @returns {[number, number][]}
 */
export function byNumber(all) {
  /** @type {[number, number][]} */
  const found = [];
  for (let n = 1; all.length / n >= 8; n *= 2) {
    const means = Array.from({ length: Math.floor(all.length / n) }, (_, k) => {
      let sum = 0;
      for (let i = 0; i < n; i++) sum += all[k * n + i];
      return sum / n;
    });
    found.push([n, spread(means).deviation]);
  }
  return found;
}

/** How many numbers lie in each of so many even parts of a range. @param {ArrayLike<number>} all @param {[number, number]} range @param {number} bins */
export function histogram(all, [low, high], bins) {
  const counts = new Array(bins).fill(0);
  for (let k = 0; k < all.length; k++) {
    const bin = Math.floor(((all[k] - low) / (high - low)) * bins);
    if (bin >= 0 && bin < bins) counts[bin] += 1;
  }
  return counts;
}
