// log p(x), the ELBO and what lies between them, of one image under a model with two latents whose
// prior is N(0, I): from grids of log p(x|z), and for any Gaussian with axes of its own widths.

import { kl, quadrature } from "./gaussian.js";

/** @import { Box } from "./likelihood.js" */

const LOG_TWO_PI = Math.log(2 * Math.PI);
const NODES = 20; // along each axis
const RULE = quadrature(NODES);

/**
 * @typedef {object} Grid of log p(x|z), row after row from below
 * @property {Box} box
 * @property {number} n points a side
 * @property {Float32Array} values [n²]
 *
 * @typedef {{ mu: [number, number], sigma: [number, number] }} Plane a Gaussian
 */

/** log N(z; 0, I). @param {number} x @param {number} y */
export function logPrior(x, y) {
  return -0.5 * (x * x + y * y) - LOG_TWO_PI;
}

/** Where log p(x|z) has to be known for E_q. @param {Plane} q @returns {Float32Array} [400, 2] */
export function nodesOf({ mu, sigma }) {
  const z = new Float32Array(2 * NODES * NODES);
  for (let j = 0; j < NODES; j++) {
    for (let i = 0; i < NODES; i++) {
      z[2 * (j * NODES + i)] = mu[0] + sigma[0] * RULE.nodes[i];
      z[2 * (j * NODES + i) + 1] = mu[1] + sigma[1] * RULE.nodes[j];
    }
  }
  return z;
}

/** E_q of what has these values at the nodes of q. @param {ArrayLike<number>} values [400] */
export function expectation(values) {
  let sum = 0;
  for (let j = 0; j < NODES; j++) {
    for (let i = 0; i < NODES; i++) sum += RULE.weights[i] * RULE.weights[j] * values[j * NODES + i];
  }
  return sum;
}

/** KL(q‖N(0, I)) in nats. @param {Plane} q */
export function rate({ mu, sigma }) {
  return kl({ mu: mu[0], sigma: sigma[0] }) + kl({ mu: mu[1], sigma: sigma[1] });
}

/**
 * The points of a grid with log p(x|z) + log p(z).
 * @param {Grid} grid
 * @returns {Generator<[number, number, number]>}
 */
function* joint({ box, n, values }) {
  const [width, height] = [box.x[1] - box.x[0], box.y[1] - box.y[0]];
  for (let j = 0; j < n; j++) {
    const y = box.y[0] + (height * j) / (n - 1);
    for (let i = 0; i < n; i++) {
      const x = box.x[0] + (width * i) / (n - 1);
      yield [x, y, values[j * n + i] + logPrior(x, y)];
    }
  }
}

/** The area that a point of the grid stands for. @param {Grid} grid */
function cell({ box, n }) {
  return ((box.x[1] - box.x[0]) * (box.y[1] - box.y[0])) / (n - 1) ** 2;
}

/**
 * log p(x) in nats: the integral of p(x|z) p(z) over the fine grid, and over the coarse one beside it.
 * @param {Grid} coarse @param {Grid} fine
 */
export function evidence(coarse, fine) {
  const { x, y } = fine.box;
  let top = -Infinity;
  for (const [, , value] of joint(fine)) top = Math.max(top, value);
  for (const [, , value] of joint(coarse)) top = Math.max(top, value);
  let sum = 0;
  for (const [, , value] of joint(fine)) sum += Math.exp(value - top) * cell(fine);
  for (const [a, b, value] of joint(coarse)) {
    const inside = a >= x[0] && a <= x[1] && b >= y[0] && b <= y[1];
    if (!inside) sum += Math.exp(value - top) * cell(coarse);
  }
  return top + Math.log(sum);
}

/**
 * The box in which a posterior lies, from a grid that is coarser than it: all points within some nats
 * of the most likely one, one step wider; never without what the encoder says.
 * @param {Grid} grid @param {Plane} encoder @param {number} [nats]
 * @returns {Box}
 */
export function where(grid, encoder, nats = 10) {
  let top = -Infinity;
  for (const [, , value] of joint(grid)) top = Math.max(top, value);
  const { mu, sigma } = encoder;
  const reach = 4;
  let [left, right] = [mu[0] - reach * sigma[0], mu[0] + reach * sigma[0]];
  let [low, high] = [mu[1] - reach * sigma[1], mu[1] + reach * sigma[1]];
  const stepX = (grid.box.x[1] - grid.box.x[0]) / (grid.n - 1);
  const stepY = (grid.box.y[1] - grid.box.y[0]) / (grid.n - 1);
  for (const [x, y, value] of joint(grid)) {
    if (value < top - nats) continue;
    left = Math.min(left, x - stepX);
    right = Math.max(right, x + stepX);
    low = Math.min(low, y - stepY);
    high = Math.max(high, y + stepY);
  }
  const half = Math.max(right - left, high - low) / 2; // a square: a unit is as long both ways
  const [x, y] = [(left + right) / 2, (low + high) / 2];
  return { x: [x - half, x + half], y: [y - half, y + half] };
}

/** Mean and widths of the posterior on a grid. @param {Grid} grid @returns {Plane} */
export function moments(grid) {
  let top = -Infinity;
  for (const [, , value] of joint(grid)) top = Math.max(top, value);
  let [sum, sx, sy, sxx, syy] = [0, 0, 0, 0, 0];
  for (const [x, y, value] of joint(grid)) {
    const w = Math.exp(value - top);
    sum += w;
    sx += w * x;
    sy += w * y;
    sxx += w * x * x;
    syy += w * y * y;
  }
  const [mx, my] = [sx / sum, sy / sum];
  return { mu: [mx, my], sigma: [Math.sqrt(sxx / sum - mx * mx), Math.sqrt(syy / sum - my * my)] };
}

/**
 * log p(x|z) between the points of a grid, by Catmull and Rom's cubics; at its edge beyond it.
 * @param {Grid} grid @param {number} x @param {number} y
 */
export function between({ box, n, values }, x, y) {
  const u = Math.max(0, Math.min(n - 1, ((x - box.x[0]) / (box.x[1] - box.x[0])) * (n - 1)));
  const v = Math.max(0, Math.min(n - 1, ((y - box.y[0]) / (box.y[1] - box.y[0])) * (n - 1)));
  const [i, j] = [Math.min(n - 2, Math.floor(u)), Math.min(n - 2, Math.floor(v))];
  const [a, b] = [cubic(u - i), cubic(v - j)];
  let sum = 0;
  for (let q = 0; q < 4; q++) {
    const row = Math.max(0, Math.min(n - 1, j + q - 1)) * n;
    for (let p = 0; p < 4; p++) sum += b[q] * a[p] * values[row + Math.max(0, Math.min(n - 1, i + p - 1))];
  }
  return sum;
}

/** @param {number} t */
function cubic(t) {
  return [
    ((2 - t) * t - 1) * t * 0.5,
    ((3 * t - 5) * t * t + 2) * 0.5,
    ((4 - 3 * t) * t + 1) * t * 0.5,
    (t - 1) * t * t * 0.5,
  ];
}

/** The ELBO of q in nats, from a grid in which it lies. @param {Grid} grid @param {Plane} q */
export function elboOnGrid(grid, q) {
  const z = nodesOf(q);
  const values = Array.from({ length: z.length / 2 }, (_, k) => between(grid, z[2 * k], z[2 * k + 1]));
  return expectation(values) - rate(q);
}

/**
 * The Gaussian with the highest ELBO, found from `start` on a grid: Nelder and Mead's simplex over
 * means and log-widths.
 * @param {Grid} grid @param {Plane} start @returns {Plane}
 */
export function best(grid, start) {
  const { mu, sigma } = start;
  const read = (/** @type {number[]} */ v) =>
    /** @type {Plane} */ ({ mu: [v[0], v[1]], sigma: [Math.exp(v[2]), Math.exp(v[3])] });
  const found = simplex(
    (v) => -elboOnGrid(grid, read(v)),
    [mu[0], mu[1], Math.log(sigma[0]), Math.log(sigma[1])],
    [sigma[0], sigma[1], 0.3, 0.3],
  );
  return read(found);
}

/**
 * A point at which f is smallest.
 * Source: Nelder and Mead, A simplex method for function minimization (1965).
 * @param {(v: number[]) => number} f @param {number[]} start @param {number[]} steps @param {number} [turns]
 */
export function simplex(f, start, steps, turns = 240) {
  let corners = [
    start,
    ...steps.map((step, d) => start.map((each, k) => (k === d ? each + step : each))),
  ].map((v) => ({ v, value: f(v) }));
  for (let turn = 0; turn < turns; turn++) {
    corners.sort((a, b) => a.value - b.value);
    const worst = corners[corners.length - 1];
    if (worst.value - corners[0].value < 1e-7) break;
    const others = corners.slice(0, -1);
    const middle = start.map((_, k) => others.reduce((sum, { v }) => sum + v[k], 0) / others.length);
    const along = (/** @type {number} */ t) => {
      const v = middle.map((each, k) => each + t * (worst.v[k] - each));
      return { v, value: f(v) };
    };
    let next = along(-1);
    if (next.value < corners[0].value) {
      const farther = along(-2);
      if (farther.value < next.value) next = farther;
    } else if (next.value >= others[others.length - 1].value) {
      next = along(next.value < worst.value ? -0.5 : 0.5);
      if (next.value >= worst.value) {
        const [first] = corners;
        corners = corners.map(({ v }) => {
          const nearer = v.map((each, k) => (each + first.v[k]) / 2);
          return { v: nearer, value: f(nearer) };
        });
        continue;
      }
    }
    corners[corners.length - 1] = next;
  }
  return corners.sort((a, b) => a.value - b.value)[0].v;
}
