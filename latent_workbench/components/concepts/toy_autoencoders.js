// Autoencoders of points in a plane: what each one's loss adds, and the answer that is known exactly.

import { adam, backward, forward, network } from "./network.js";

/** @import { Layer } from "./network.js" */
/** @typedef {"denoising" | "sparse" | "contractive" | "plain"} Kind */

const HIDDEN = 48;

/** Points on a curve with a little noise. @param {string} shape @param {number} count @param {() => number} even @param {() => number} normal @returns {[number, number][]} */
export function points(shape, count, even, normal) {
  return Array.from({ length: count }, () => {
    const t = even();
    const [dx, dy] = [0.04 * normal(), 0.04 * normal()];
    if (shape === "circle") {
      const angle = 2 * Math.PI * t;
      return [1.2 * Math.cos(angle) + dx, 1.2 * Math.sin(angle) + dy];
    }
    if (shape === "moons") {
      const upper = even() < 0.5;
      const angle = Math.PI * t;
      const [x, y] = upper
        ? [Math.cos(angle), Math.sin(angle)]
        : [1 - Math.cos(angle), 0.5 - Math.sin(angle)];
      return [1.1 * (x - 0.5) + dx, 1.1 * (y - 0.25) + dy];
    }
    const angle = 1.5 + 8 * t;
    const radius = 0.2 + 0.16 * angle;
    return [radius * Math.cos(angle) + dx, radius * Math.sin(angle) + dy];
  });
}

/**
 * The best answer to a damaged point: the mean of what it may have been, E(x | x̃) for noise of σ.
 * Source: Alain and Bengio, What Regularized Auto-Encoders Learn (2014), theorem 1.
 * @param {[number, number][]} data @param {[number, number]} at @param {number} sigma @returns {[number, number]}
 */
export function bestAnswer(data, at, sigma) {
  const logs = data.map(([x, y]) => -((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * sigma * sigma));
  const top = Math.max(...logs);
  let [sum, sx, sy] = [0, 0, 0];
  data.forEach(([x, y], i) => {
    const w = Math.exp(logs[i] - top);
    sum += w;
    sx += w * x;
    sy += w * y;
  });
  return [sx / sum, sy / sum];
}

export class ToyAutoencoder {
  step = 0;

  /**
   * @param {Kind} kind
   * @param {number} strength σ of the noise, or the weight of what is added to the loss
   * @param {() => number} normal
   * @param {number} [hidden] units of each of two layers
   */
  constructor(kind, strength, normal, hidden = HIDDEN) {
    this.hidden = hidden;
    this.kind = kind;
    this.strength = strength;
    this.normal = normal;
    /** @type {Layer[]} */
    this.layers = network([2, hidden, hidden, 2], "tanh", normal);
  }

  /** @param {[number, number]} at @returns {[number, number]} */
  answer(at) {
    const all = forward(this.layers, Float64Array.from(at));
    const [x, y] = all[all.length - 1];
    return [x, y];
  }

  /**
   * One step on points; returns the mean loss.
   * @param {[number, number][]} batch @param {number} rate of learning
   */
  learn(batch, rate) {
    let loss = 0;
    const share = 1 / batch.length;
    for (const clean of batch) {
      const given = Float64Array.from(clean);
      if (this.kind === "denoising") {
        for (let d = 0; d < 2; d++) given[d] += this.strength * this.normal();
      }
      const all = forward(this.layers, given);
      const out = all[all.length - 1];
      const slope = Float64Array.from(out, (each, d) => 2 * share * (each - clean[d]));
      loss += share * ((out[0] - clean[0]) ** 2 + (out[1] - clean[1]) ** 2);
      const code = all[1];
      backward(this.layers, all, slope, (layer, at) => {
        if (layer !== 0 || this.kind !== "sparse") return;
        for (let h = 0; h < this.hidden; h++) {
          at[h] += share * this.strength * Math.sign(code[h]); // of the mean size of the code
          loss += share * this.strength * Math.abs(code[h]);
        }
      });
      if (this.kind === "contractive") loss += share * this.strength * this.contract(given, share);
    }
    this.step += 1;
    adam(this.layers, rate, this.step);
    return loss;
  }

  /**
   * ‖J‖² of the whole map by its directional derivatives, Σ ‖r(x + h e) − r(x − h e)‖²/4h² over both axes,
   * whose gradient comes by the same two passes back; adds to the slopes.
   * Source: Rifai et al., Contractive Auto-Encoders (2011), for the encoder; here for the whole.
   * @param {Float64Array} x @param {number} share
   */
  contract(x, share) {
    const h = 0.02;
    let size = 0;
    for (let d = 0; d < 2; d++) {
      const [up, down] = [Float64Array.from(x), Float64Array.from(x)];
      up[d] += h;
      down[d] -= h;
      const [above, below] = [forward(this.layers, up), forward(this.layers, down)];
      const [a, b] = [above[above.length - 1], below[below.length - 1]];
      const slope = Float64Array.from(a, (each, k) => (share * this.strength * (each - b[k])) / (2 * h * h));
      for (let k = 0; k < 2; k++) size += ((a[k] - b[k]) / (2 * h)) ** 2;
      backward(this.layers, above, slope);
      backward(
        this.layers,
        below,
        slope.map((each) => -each),
      );
    }
    return size;
  }
}
