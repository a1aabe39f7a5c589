import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import {
  crossEntropy,
  divergence,
  entropy,
  frequencies,
  huffman,
  levelsOf,
  withEntry,
} from "../../latent_workbench/components/concepts/codes.js";
import {
  byNumber,
  byPath,
  byScore,
  exactly,
  histogram,
  spread,
} from "../../latent_workbench/components/concepts/estimators.js";
import {
  density,
  kl,
  kl as klOf,
  klTerms,
  normal,
  quadrature,
  random,
  reverseKl,
} from "../../latent_workbench/components/concepts/gaussian.js";
import {
  bestLogistic,
  choiceNats,
  gaussianNats,
  logisticNats,
  mean,
  variance,
} from "../../latent_workbench/components/concepts/mixtures.js";
import {
  correlated,
  lengths,
  median,
  unlikeness,
} from "../../latent_workbench/components/concepts/nearest.js";
import {
  best,
  between,
  elboOnGrid,
  evidence,
  expectation,
  moments,
  nodesOf,
  rate,
  where,
} from "../../latent_workbench/components/concepts/plane_posterior.js";
import { output, shrunk } from "../../latent_workbench/components/concepts/sums.js";
import {
  bestAnswer,
  points,
  ToyAutoencoder,
} from "../../latent_workbench/components/concepts/toy_autoencoders.js";
import { ToyVae } from "../../latent_workbench/components/concepts/toy_vae.js";
import { termIn } from "../../latent_workbench/components/shared/glossary.js";

/** @param {number} actual @param {number} expected @param {number} [far] */
function near(actual, expected, far = 1e-6) {
  assert.ok(Math.abs(actual - expected) <= far, `${actual} is not ${expected}`);
}

/** ∫ f by the midpoint rule. @param {(x: number) => number} f @param {number} a @param {number} b */
function integral(f, a, b, n = 20000) {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += f(a + ((b - a) * (i + 0.5)) / n);
  return (sum * (b - a)) / n;
}

test("figure 2: both divergences and their terms are the integrals that they stand for", () => {
  const p = { mu: 0, sigma: 1 };
  for (const q of [
    { mu: 1.2, sigma: 0.5 },
    { mu: -0.4, sigma: 1.7 },
  ]) {
    const ratio = (/** @type {number} */ x) => Math.log(density(x, q) / density(x, p));
    near(
      kl(q),
      integral((x) => density(x, q) * ratio(x), -12, 12),
    );
    near(
      reverseKl(q),
      integral((x) => -density(x, p) * ratio(x), -12, 12),
    );
    const { mean, width } = klTerms(q);
    near(
      mean,
      integral((t) => t, 0, Math.abs(q.mu)),
    );
    near(
      width,
      integral((t) => t - 1 / t, 1, q.sigma),
    );
  }
});

test("quadrature is exact for polynomials", () => {
  const { nodes, weights } = quadrature(20);
  const moment = (/** @type {number} */ power) =>
    nodes.reduce((sum, z, i) => sum + weights[i] * z ** power, 0);
  near(moment(0), 1, 1e-12);
  near(moment(2), 1, 1e-12);
  near(moment(4), 3, 1e-11);
  near(moment(10), 945, 1e-7);
});

// x = (z0, z1) + noise of σ: all of it is Gaussian, so log p(x), the posterior and the best q are known.
const NOISE = 0.3;
const X = [0.9, -0.6];
/** @param {number} a @param {number} b */
const logLikelihood = (a, b) =>
  -((X[0] - a) ** 2 + (X[1] - b) ** 2) / (2 * NOISE ** 2) - Math.log(2 * Math.PI * NOISE ** 2);
const MARGINAL = 1 + NOISE ** 2; // variance of x
const LOG_P = -(X[0] ** 2 + X[1] ** 2) / (2 * MARGINAL) - Math.log(2 * Math.PI * MARGINAL);

/** @param {import("../../latent_workbench/components/concepts/likelihood.js").Box} box @param {number} n */
function grid(box, n) {
  const values = new Float32Array(n * n);
  for (let k = 0; k < n * n; k++) {
    const a = box.x[0] + ((box.x[1] - box.x[0]) * (k % n)) / (n - 1);
    const b = box.y[0] + ((box.y[1] - box.y[0]) * Math.floor(k / n)) / (n - 1);
    values[k] = logLikelihood(a, b);
  }
  return { box, n, values };
}

test("figure 5: log p(x), ELBO and gap are those of a model that can be solved", () => {
  const coarse = grid({ x: [-5, 5], y: [-5, 5] }, 41);
  /** @type {import("../../latent_workbench/components/concepts/plane_posterior.js").Plane} */
  const guess = { mu: [0.8, -0.5], sigma: [0.2, 0.2] };
  const fine = grid(where(coarse, guess), 81);
  assert.ok(fine.box.x[1] - fine.box.x[0] < 5);
  near(evidence(coarse, fine), LOG_P, 2e-3);

  const posterior = { mu: X.map((each) => each / MARGINAL), sigma: NOISE / Math.sqrt(MARGINAL) };
  const found = moments(fine);
  near(found.mu[0], posterior.mu[0], 1e-3);
  near(found.sigma[1], posterior.sigma, 1e-3);

  const z = nodesOf(guess);
  const values = Array.from({ length: z.length / 2 }, (_, k) => logLikelihood(z[2 * k], z[2 * k + 1]));
  const elbo = expectation(values) - rate(guess);
  near(elboOnGrid(fine, guess), elbo, 2e-3);
  const s = posterior.sigma;
  const gap = guess.mu.reduce((sum, mu, d) => {
    const r = guess.sigma[d] / s;
    return sum + 0.5 * (r * r + ((mu - posterior.mu[d]) / s) ** 2 - 1) - Math.log(r);
  }, 0);
  near(LOG_P - elbo, gap, 1e-4);

  const snapped = best(fine, guess);
  near(snapped.mu[1], posterior.mu[1], 2e-3);
  near(snapped.sigma[0], posterior.sigma, 2e-3);
  near(elboOnGrid(fine, snapped), LOG_P, 2e-3);
  near(between(fine, 0.51, -0.42), logLikelihood(0.51, -0.42), 1e-3);
});

test("figure 1: entropies, their difference, and a code of whole bits", () => {
  const p = [0.5, 0.25, 0.125, 0.125];
  const q = [0.25, 0.25, 0.25, 0.25];
  near(entropy(p), 1.75);
  near(crossEntropy(p, q), 2);
  near(divergence(p, q), crossEntropy(p, q) - entropy(p));
  assert.deepEqual(
    huffman(p).map((word) => word.length),
    [1, 2, 3, 3],
  );
  const uneven = [0.4, 0.35, 0.15, 0.1];
  const mean = huffman(uneven).reduce((sum, word, i) => sum + uneven[i] * word.length, 0);
  assert.ok(mean >= entropy(uneven) && mean < entropy(uneven) + 1);
  const words = huffman(uneven);
  assert.ok(words.every((word, i) => words.every((other, k) => i === k || !other.startsWith(word))));
  near(
    withEntry(p, 1, 0.5).reduce((sum, each) => sum + each, 0),
    1,
  );
  assert.deepEqual(frequencies("Abba a", 8), { symbols: ["a", "b"], p: [0.6, 0.4] });
  assert.deepEqual(levelsOf([0, 0.1, 0.9, 1], 2), [0.5, 0.5]);
});

test("figure 4: both estimators have the gradient as their mean, and known variances", () => {
  // f(z) = z² on a fine table: ∇μ E f = 2 μ; Var f′ = 4 σ²; the score's by Gaussian moments.
  const values = Float64Array.from({ length: 16001 }, (_, k) => (-8 + k / 1000) ** 2);
  /** @type {import("../../latent_workbench/components/concepts/estimators.js").Table} */
  const f = { range: [-8, 8], values };
  const q = { mu: 0.7, sigma: 0.5 };
  const path = exactly((noise) => byPath(f, q, noise));
  const score = exactly((noise) => byScore(f, q, noise, 0));
  near(path.mean, 1.4, 1e-4);
  near(score.mean, 1.4, 1e-4);
  near(path.deviation ** 2, 4 * 0.25, 1e-4);
  const { mu, sigma } = q;
  const square = mu ** 4 / sigma ** 2 + 18 * mu ** 2 + 15 * sigma ** 2;
  near(score.deviation ** 2, square - 4 * mu ** 2, 1e-3);
  const less = exactly((noise) => byScore(f, q, noise, mu ** 2 + sigma ** 2));
  near(less.mean, 1.4, 1e-4);
  assert.ok(less.deviation < score.deviation);
  const noise = normal(random(7));
  const drawn = Array.from({ length: 20000 }, () => byPath(f, q, noise()));
  near(spread(drawn).mean, 1.4, 0.03);
  const [[one, alone], , [four, together]] = byNumber(drawn);
  assert.deepEqual([one, four], [1, 4]);
  near(together / alone, 0.5, 0.03);
  assert.deepEqual(histogram([0, 0.1, 0.9, 5], [0, 1], 2), [2, 1]);
});

test("figure 9: sums of products are those of torch", async () => {
  const text = await readFile(new URL("../fixtures/convolution.json", import.meta.url), "utf8");
  for (const { setting, transposed, x, w, y } of JSON.parse(text)) {
    const found = output(x, w, setting, transposed);
    assert.equal(found.length, y.length);
    y.forEach((/** @type {number} */ each, /** @type {number} */ k) => near(found[k], each, 1e-4));
  }
  assert.deepEqual([...shrunk([1, 3, 5, 7], 2, 1)], [4]);
});

test("figure 3: how unlike a picture is to real ones, and draws with a covariance", () => {
  const real = [1, 0, 0, 0, 2, 0];
  const long = lengths(real, 3);
  near(unlikeness([0, 5, 0], real, long), 0);
  near(unlikeness([1, 1, 0], real, long), 1 - Math.SQRT1_2);
  near(unlikeness([0, 0, 1], real, long), 1);
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.deepEqual([...correlated([1, 2], [2, 0, 1, 3], [1, -1])], [3, 0]);
});

/** ∂f/∂w of weights, by differences. @param {import("../../latent_workbench/components/concepts/network.js").Layer[]} layers @param {() => number} f @param {number} [most] of each layer */
function bySteps(layers, f, most = Infinity) {
  const h = 1e-5;
  return layers.flatMap(({ weights }) =>
    Array.from(weights.slice(0, most), (weight, i) => {
      weights[i] = weight + h;
      const above = f();
      weights[i] = weight - h;
      const below = f();
      weights[i] = weight;
      return (above - below) / (2 * h);
    }),
  );
}

/** @param {import("../../latent_workbench/components/concepts/network.js").Layer[]} layers */
function taken(layers) {
  return layers.flatMap(({ slopes }) => {
    const found = [...slopes];
    slopes.fill(0);
    return found;
  });
}

test("figure 7: KL and its gradient are right, and a high β kills what free bits bring back", () => {
  const noise = normal(random(3));
  const vae = new ToyVae(6, 2, 5, noise);
  const batch = Array.from({ length: 3 }, () => Float64Array.from({ length: 6 }, random(4)));
  for (const price of [
    { beta: 2, free: 0 },
    { beta: 1.5, free: 0.05 },
  ]) {
    const loss = () => vae.measure(batch, price, normal(random(9))).loss;
    loss();
    const layers = [...vae.encoder, ...vae.decoder];
    taken(layers);
    const { kl } = vae.measure(batch, price, normal(random(9)));
    const slopes = taken(layers);
    bySteps(layers, loss).forEach((each, i) => near(slopes[i], each, 1e-5));
    const expected = [0, 1].map((d) =>
      batch
        .map((x) => vae.encode(x))
        .reduce((sum, { mu, logvar }) => sum + klOf({ mu: mu[d], sigma: Math.exp(logvar[d] / 2) }) / 3, 0),
    );
    expected.forEach((each, d) => near(kl[d], each));
  }
  taken([...vae.encoder, ...vae.decoder]);
  // Two patterns: a bit of code is worth some nats.
  const patterns = [0, 1].map((k) => Float64Array.from({ length: 6 }, (_, i) => Number(i % 2 === k)));
  const alive = new ToyVae(6, 2, 8, normal(random(5)));
  const after = (
    /** @type {number} */ steps,
    /** @type {import("../../latent_workbench/components/concepts/toy_vae.js").Price} */ price,
  ) => {
    let kl = new Float64Array();
    for (let i = 0; i < steps; i++) ({ kl } = alive.learn([...patterns, ...patterns], price, 0.01));
    return kl.reduce((sum, each) => sum + each, 0);
  };
  assert.ok(after(500, { beta: 1, free: 0 }) > 0.4);
  assert.ok(after(200, { beta: 8, free: 0 }) < 0.12);
  assert.ok(after(900, { beta: 8, free: 0.5 }) > 0.7);
});

test("figure 10: gradients are right, and a denoiser learns what is known exactly", () => {
  const even = random(1);
  /** @type {[number, number][]} */
  const two = [
    [0.3, -0.2],
    [-0.8, 0.5],
  ];
  for (const kind of /** @type {const} */ (["sparse", "contractive", "plain"])) {
    const model = new ToyAutoencoder(kind, 0.1, normal(random(2)), 8);
    // `learn` steps at once; at rate 0 it only measures, but empties the slopes: so by differences.
    const before = model.layers.map(({ weights }) => Float64Array.from(weights));
    const loss = () => model.learn(two, 0);
    const [layer] = model.layers;
    const found = bySteps([layer], loss, 20);
    const first = layer.first.slice();
    loss();
    const slopes = layer.first.map((each, i) => (each - 0.9 * first[i]) / 0.1);
    // Adam's first moment moved by a tenth of the slope of the last call, after those of the differences.
    const last = layer.first.slice();
    loss();
    const now = layer.first.map((each, i) => (each - 0.9 * last[i]) / 0.1);
    found.forEach((each, i) => near(now[i], each, 2e-4));
    near(slopes[0], now[0], 1e-9);
    model.layers.forEach(({ weights }, k) => assert.deepEqual(weights, before[k]));
  }
  const data = points("circle", 200, even, normal(random(3)));
  const denoiser = new ToyAutoencoder("denoising", 0.3, normal(random(4)), 20);
  for (let i = 0; i < 1500; i++) {
    const batch = Array.from({ length: 16 }, () => data[Math.floor(even() * data.length)]);
    denoiser.learn(batch, 0.006);
  }
  /** @type {[number, number]} */
  const outside = [1.6, 0];
  const best = bestAnswer(data, outside, 0.3);
  const answer = denoiser.answer(outside);
  near(answer[0], best[0], 0.12);
  near(answer[1], best[1], 0.12);
  // Of two points alone, the best answer is their mean weighed by how likely each is: Bayes by hand.
  const far = [0.1, 0.2].map((d) => Math.exp((-d * d) / 0.08));
  near(
    bestAnswer(
      [
        [0, 0],
        [0.3, 0],
      ],
      [0.1, 0],
      0.2,
    )[0],
    (0.3 * far[1]) / (far[0] + far[1]),
    1e-12,
  );
});

test("figure 8: each decoder's price is what its density says, and the mean is the best guess", () => {
  const [a, b, w] = [[0, 1, 0.5], [1, 1, 0.25], 0.25];
  const middle = mean(a, b, w);
  assert.deepEqual([...middle], [0.75, 1, 0.3125]);
  const squared = variance(a, b, w);
  const byHand = middle.reduce((sum, m, i) => sum + w * (a[i] - m) ** 2 + (1 - w) * (b[i] - m) ** 2, 0) / 3;
  near(squared, byHand);
  const sigma = 0.2;
  const logs = [a, b].map((x) =>
    x.reduce((sum, each, i) => sum - Math.log(density(each, { mu: middle[i], sigma }) / 256), 0),
  );
  near(gaussianNats(squared, sigma, 3), w * logs[0] + (1 - w) * logs[1]);
  for (const other of [0.9, 1.1]) {
    const best = Math.sqrt(squared);
    assert.ok(gaussianNats(squared, best, 3) < gaussianNats(squared, best * other, 3));
  }
  const levels = Array.from({ length: 256 }, (_, k) => Math.exp(-logisticNats(k / 255, 0.4, 0.05)));
  near(
    levels.reduce((sum, each) => sum + each, 0),
    1,
    1e-9,
  );
  near(bestLogistic(0.5, 0.5, 0.3).mu, 0.5);
  assert.ok(bestLogistic(0.5, 0.5, 0.3).nats < 0.01);
  assert.ok(bestLogistic(0, 1, 0.5).nats > Math.LN2); // one value alone cannot say which of two
  near(choiceNats(0.5), Math.LN2);
});

test("titles of charts lead to their terms, as in Python", () => {
  /** @type {Record<string, string | null>} */
  const titles = {
    "KL (nats)": "KL",
    "nats per image": "nat",
    "−log p(x) (nats) ↓": "log p(x)",
    "rate R = KL, nats per image": "rate",
    "distortion D": "distortion",
    "active units": "active unit",
    "training total": "loss",
    "images/s": null,
    bitmap: null,
  };
  for (const [title, term] of Object.entries(titles)) assert.equal(termIn(title)?.term ?? null, term, title);
});
