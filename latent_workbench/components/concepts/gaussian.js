// Gaussians in one dimension: densities, divergences, and their parts; nats throughout.

const ROOT_TWO_PI = Math.sqrt(2 * Math.PI);
export const NATS_A_BIT = Math.LN2;

/** @typedef {{ mu: number, sigma: number }} Gaussian */

/** @param {number} x @param {Gaussian} q */
export function density(x, { mu, sigma }) {
  return Math.exp(-0.5 * ((x - mu) / sigma) ** 2) / (sigma * ROOT_TWO_PI);
}

/** @param {number} x @param {Gaussian} q */
export function logDensity(x, { mu, sigma }) {
  return -0.5 * ((x - mu) / sigma) ** 2 - Math.log(sigma * ROOT_TWO_PI);
}

/**
 * KL(q‖N(0,1)) by what it is made of: ½ μ² for the mean, ½ (σ² − 1) − ln σ for the width.
 * As areas: ∫ t dt from 0 to |μ|, and ∫ (t − 1/t) dt from 1 to σ.
 * @param {Gaussian} q
 */
export function klTerms({ mu, sigma }) {
  return { mean: 0.5 * mu * mu, width: 0.5 * (sigma * sigma - 1) - Math.log(sigma) };
}

/** KL(q‖N(0,1)). @param {Gaussian} q */
export function kl(q) {
  const { mean, width } = klTerms(q);
  return mean + width;
}

/** KL(N(0,1)‖q): the same, seen with q as the unit. @param {Gaussian} q */
export function reverseKl(q) {
  return kl(turned(q));
}

/** Where N(0,1) lies for who measures from q in its σ. @param {Gaussian} q @returns {Gaussian} */
export function turned({ mu, sigma }) {
  return { mu: -mu / sigma, sigma: 1 / sigma };
}

/** An even generator of numbers in [0, 1) that can be repeated: mulberry32. @param {number} seed */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Draws of N(0,1), by the method of Box and Muller. @param {() => number} even */
export function normal(even) {
  return () => Math.sqrt(-2 * Math.log(1 - even())) * Math.cos(2 * Math.PI * even());
}

/**
 * Where to look and how much each counts, so that Σ weight · f(μ + σ node) is E f(z) under N(μ, σ²)
 * exactly for polynomials below degree 2 n: Gauss and Hermite's.
 * Source: Press et al., Numerical Recipes, section 4.6, for the physicists' weight, scaled.
 * @param {number} n
 */
export function quadrature(n) {
  const nodes = new Float64Array(n);
  const weights = new Float64Array(n);
  let z = 0;
  for (let i = 0; i < (n + 1) >> 1; i++) {
    if (i === 0) z = Math.sqrt(2 * n + 1) - 1.85575 * (2 * n + 1) ** -0.16667;
    else if (i === 1) z -= (1.14 * n ** 0.426) / z;
    else if (i === 2) z = 1.86 * z - 0.86 * nodes[0];
    else if (i === 3) z = 1.91 * z - 0.91 * nodes[1];
    else z = 2 * z - nodes[i - 2];
    let slope = 1;
    for (let turn = 0; turn < 50; turn++) {
      let [p, before] = [Math.PI ** -0.25, 0];
      for (let j = 0; j < n; j++) {
        [p, before] = [z * Math.sqrt(2 / (j + 1)) * p - Math.sqrt(j / (j + 1)) * before, p];
      }
      slope = Math.sqrt(2 * n) * before;
      const step = p / slope;
      z -= step;
      if (Math.abs(step) < 1e-14) break;
    }
    nodes[i] = z;
    nodes[n - 1 - i] = -z;
    weights[i] = weights[n - 1 - i] = 2 / (slope * slope);
  }
  return {
    nodes: nodes.map((each) => each * Math.SQRT2),
    weights: weights.map((each) => each / Math.sqrt(Math.PI)),
  };
}
