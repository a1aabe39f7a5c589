// A small VAE that learns in the browser: Bernoulli likelihood, diagonal Gaussian, nats per image.

import { adam, backward, forward, network } from "./network.js";

/** @import { Layer } from "./network.js" */

const MOST_LOG = 8; // of a log-variance, either way

/**
 * @typedef {object} Price of the code
 * @property {number} beta
 * @property {number} free λ, nats of each dimension that cost nothing
 */

export class ToyVae {
  step = 0;

  /** @param {number} pixels @param {number} latents @param {number} hidden @param {() => number} normal */
  constructor(pixels, latents, hidden, normal) {
    this.latents = latents;
    this.normal = normal;
    /** @type {Layer[]} */
    this.encoder = network([pixels, hidden, 2 * latents], "relu", normal);
    /** @type {Layer[]} */
    this.decoder = network([latents, hidden, pixels], "relu", normal);
  }

  /** Mean and log-variance of q(z|x). @param {Float64Array} x */
  encode(x) {
    const all = forward(this.encoder, x);
    const out = all[all.length - 1];
    const mu = out.slice(0, this.latents);
    const logvar = out.slice(this.latents).map((each) => Math.max(-MOST_LOG, Math.min(MOST_LOG, each)));
    return { all, mu, logvar };
  }

  /** The picture of a code, from 0 to 1. @param {Float64Array} z */
  decode(z) {
    const all = forward(this.decoder, z);
    return all[all.length - 1].map((each) => 1 / (1 + Math.exp(-each)));
  }

  /**
   * The loss of a batch and its parts, with its gradient in the slopes.
   * @param {Float64Array[]} batch @param {Price} price @param {() => number} [noise] draws of N(0, 1)
   */
  measure(batch, { beta, free }, noise = this.normal) {
    const share = 1 / batch.length;
    const kl = new Float64Array(this.latents);
    const found = batch.map((x) => {
      const { all, mu, logvar } = this.encode(x);
      for (let d = 0; d < this.latents; d++) {
        kl[d] += share * 0.5 * (mu[d] ** 2 + Math.exp(logvar[d]) - 1 - logvar[d]);
      }
      return { x, all, mu, logvar };
    });
    const paid = kl.map((each) => (each > free ? beta : 0));
    let recon = 0;
    for (const { x, all, mu, logvar } of found) {
      const sigma = logvar.map((each) => Math.exp(each / 2));
      const noises = mu.map(() => noise());
      const z = mu.map((each, d) => each + sigma[d] * noises[d]);
      const layers = forward(this.decoder, z);
      const logits = layers[layers.length - 1];
      const slope = logits.map((logit, i) => {
        // −log p(x|z) = softplus(logit) − x · logit
        recon += share * (Math.max(logit, 0) + Math.log1p(Math.exp(-Math.abs(logit))) - x[i] * logit);
        return share * (1 / (1 + Math.exp(-logit)) - x[i]);
      });
      const down = backward(this.decoder, layers, slope);
      const up = new Float64Array(2 * this.latents);
      for (let d = 0; d < this.latents; d++) {
        up[d] = down[d] + share * paid[d] * mu[d];
        const inside = Math.abs(all[all.length - 1][this.latents + d]) < MOST_LOG;
        const byNoise = down[d] * noises[d] * sigma[d] * 0.5;
        up[this.latents + d] = inside ? byNoise + share * paid[d] * 0.5 * (Math.exp(logvar[d]) - 1) : 0;
      }
      backward(this.encoder, all, up);
    }
    const cost = kl.reduce((sum, each) => sum + beta * Math.max(each, free), 0);
    return { recon, kl, loss: recon + cost };
  }

  /** One step. @param {Float64Array[]} batch @param {Price} price @param {number} rate */
  learn(batch, price, rate) {
    const found = this.measure(batch, price);
    this.step += 1;
    adam([...this.encoder, ...this.decoder], rate, this.step);
    return found;
  }
}
