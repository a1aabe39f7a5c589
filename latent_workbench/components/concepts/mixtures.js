// Two images under one code, of weights w and 1 − w: the best that each likelihood can do, in bits for
// the 256 grey levels of each value, so that densities and probabilities compare.

const LEVELS = 256;
const LOG_TWO_PI = Math.log(2 * Math.PI);
export const NARROWEST = 2 ** -13; // scale: a sixteenth of a half grey level, so all but certain

/** @param {number} t */
const sigmoid = (t) => 1 / (1 + Math.exp(-t));

/** w a + (1 − w) b. @param {ArrayLike<number>} a @param {ArrayLike<number>} b @param {number} w */
export function mean(a, b, w) {
  return Float64Array.from(a, (each, i) => w * each + (1 - w) * b[i]);
}

/** The mean squared error of that mean. @param {ArrayLike<number>} a @param {ArrayLike<number>} b @param {number} w */
export function variance(a, b, w) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += w * (1 - w) * (a[i] - b[i]) ** 2;
  return sum / a.length;
}

/**
 * Nats per image of a Gaussian around the mean with one σ for all values, each a grey level wide.
 * @param {number} squared mean squared error @param {number} sigma @param {number} values
 */
export function gaussianNats(squared, sigma, values) {
  return values * (0.5 * (LOG_TWO_PI + 2 * Math.log(sigma) + squared / sigma ** 2) + Math.log(LEVELS));
}

/**
 * −log of the probability of a grey level under a logistic, at its ends all that lies beyond.
 * Source: Salimans et al., PixelCNN++ (2017), equation 2.
 * @param {number} x from 0 to 1 @param {number} mu @param {number} scale
 */
export function logisticNats(x, mu, scale) {
  const half = 0.5 / (LEVELS - 1);
  const above = x > 1 - half ? 1 : sigmoid((x + half - mu) / scale);
  const below = x < half ? 0 : sigmoid((x - half - mu) / scale);
  return -Math.log(Math.max(above - below, 1e-12));
}

/**
 * The best logistic of one value that is a with weight w, else b: found on a grid of both numbers.
 * @param {number} a @param {number} b @param {number} w @returns {{ mu: number, scale: number, nats: number }}
 */
export function bestLogistic(a, b, w) {
  let best = { mu: 0, scale: NARROWEST, nats: Infinity };
  const step = Math.abs(a - b) < 1e-9 ? 1 : 12;
  for (let k = 0; k <= step; k++) {
    const mu = a + ((b - a) * k) / step;
    for (let power = -13; power <= 1; power += 0.5) {
      const scale = 2 ** power;
      const nats = w * logisticNats(a, mu, scale) + (1 - w) * logisticNats(b, mu, scale);
      if (nats < best.nats) best = { mu, scale, nats };
    }
  }
  return best;
}

/** Entropy of one choice, in nats. @param {number} w */
export function choiceNats(w) {
  return [w, 1 - w].reduce((sum, p) => sum - (p > 0 ? p * Math.log(p) : 0), 0);
}
