// Where a point lies among the encodings: vae_core/latent/region.py measures what is usual, and this
// is the part of it that is asked for each point. And how likely the prior makes it.

import { fromBase64, rowsOf } from "../shared/vectors.js";

/** @import { Location } from "../explorer/frames.js" */

/**
 * @typedef {object} RegionData arrays are base64 of float32
 * @property {string} mean [D]
 * @property {string | null} axes [D, D], of the covariance; null where it is taken to be diagonal
 * @property {string} deviations [D]
 * @property {string} known distances of training draws to the mean, ascending
 * @property {number} shell
 * @property {string} weights [D], what a dimension tells of images
 * @property {string} gaps how far from their neighbours training draws are, ascending
 * @property {number} usual of the gaps
 * @property {number} neighbours
 * @property {number} rare the share of draws beyond which a distance is unusual
 *
 * @typedef {object} MixtureData
 * @property {string} mu [K, D]
 * @property {string} logvar [K, D]
 */

export class Region {
  /** @param {Float32Array} mu [N, D] @param {RegionData} data */
  constructor(mu, data) {
    this.data = data;
    this.mean = fromBase64(data.mean, Float32Array);
    this.deviations = fromBase64(data.deviations, Float32Array);
    this.weights = fromBase64(data.weights, Float32Array);
    this.known = fromBase64(data.known, Float32Array);
    this.gaps = fromBase64(data.gaps, Float32Array);
    const size = this.mean.length;
    const axes = data.axes && fromBase64(data.axes, Float32Array);
    this.axes = axes && rowsOf(axes, size, size);
    this.mu = rowsOf(mu, mu.length / size, size);
    this.weighed = this.mu.map((row) => row.map((x, d) => (x - this.mean[d]) * this.weights[d]));
  }

  /** @param {Float32Array} z @param {number} nearest @returns {Omit<Location, "log_density">} */
  place(z, nearest) {
    const { shell, usual, neighbours, rare } = this.data;
    const centred = z.map((x, d) => x - this.mean[d]);
    const distance = this.distance(centred);
    const nearer = rank(this.known, distance);
    const weighed = centred.map((x, d) => x * this.weights[d]);
    const kth = neighbours ? (nearestOf(this.weighed, weighed, neighbours).at(-1)?.distance ?? 0) : 0;
    const closer = rank(this.gaps, kth);
    let verdict = distance < shell ? "near" : "typical";
    if (nearer > 1 - rare) verdict = "far";
    else if (closer > 1 - rare) verdict = "hole";
    const gap = neighbours ? kth / usual : 1;
    return { distance, nearer, gap, closer, verdict, nearest: nearestOf(this.mu, z, nearest) };
  }

  /** Mahalanobis, in σ. @param {Float32Array} centred */
  distance(centred) {
    let sum = 0;
    this.deviations.forEach((deviation, k) => {
      let along = this.axes ? 0 : centred[k];
      // Column k of the axes: an eigenvector.
      if (this.axes) for (let d = 0; d < centred.length; d++) along += centred[d] * this.axes[d][k];
      sum += (along / deviation) ** 2;
    });
    return Math.sqrt(sum);
  }
}

/** The share of `ascending` below a value, ties by half. @param {Float32Array} ascending @param {number} value */
function rank(ascending, value) {
  const x = Math.fround(value);
  let [below, upto] = [0, 0];
  for (const each of ascending) {
    if (each < x) below += 1;
    if (each <= x) upto += 1;
  }
  return (below + upto) / (2 * ascending.length);
}

/**
 * The k rows nearest to z, the nearest first.
 * @param {Float32Array[]} rows @param {Float32Array} z @param {number} k
 */
function nearestOf(rows, z, k) {
  /** @type {{ index: number, distance: number }[]} */
  const found = [];
  let furthest = Number.POSITIVE_INFINITY;
  rows.forEach((row, index) => {
    let square = 0;
    for (let d = 0; d < z.length; d++) square += (row[d] - z[d]) ** 2;
    if (square >= furthest) return;
    const at = found.findIndex((each) => each.distance > square);
    found.splice(at < 0 ? found.length : at, 0, { index, distance: square });
    if (found.length > k) found.pop();
    if (found.length === k) furthest = found[k - 1].distance;
  });
  return found.map(({ index, distance }) => ({ index, distance: Math.sqrt(distance) }));
}

export class Mixture {
  /** @param {MixtureData} data @param {number} size of the latent */
  constructor({ mu, logvar }, size) {
    const rows = (/** @type {string} */ text) => {
      const numbers = fromBase64(text, Float32Array);
      return rowsOf(numbers, numbers.length / size, size);
    };
    this.mu = rows(mu);
    this.logvar = rows(logvar);
  }

  /** log p(z) in nats. @param {Float32Array} z */
  logDensity(z) {
    const each = this.mu.map((mu, k) => {
      let sum = 0;
      for (let d = 0; d < z.length; d++) {
        const logvar = this.logvar[k][d];
        sum -= 0.5 * (Math.log(2 * Math.PI) + logvar + (z[d] - mu[d]) ** 2 / Math.exp(logvar));
      }
      return sum;
    });
    const most = Math.max(...each);
    return most + Math.log(each.reduce((sum, x) => sum + Math.exp(x - most), 0) / each.length);
  }
}
