// Figure 4: two estimators of one gradient, on the log-likelihood of a real image along one latent.

import { element, setText } from "../shared/elements.js";
import { clamp } from "../shared/vectors.js";
import { byNumber, byPath, byScore, exactly, histogram, spread, valueAt } from "./estimators.js";
import { figure, pick, push, Readouts, row, slide } from "./figure.js";
import { density, kl, normal, random } from "./gaussian.js";
import { Choice, Images } from "./images.js";
import { Likelihood } from "./likelihood.js";
import { area, line, path, Stage, sampled } from "./stage.js";

/** @import { ImagesData } from "./images.js" */
/** @import { Table } from "./estimators.js" */
/** @import { Gaussian } from "./gaussian.js" */
/** @import { Range } from "./stage.js" */

/** @type {Range} */
const REACH = [-4, 4];
const POINTS = 801;
const ESTIMATES = 2048; // kept of each kind
const A_FRAME = 64;
const BINS = 61;
const NARROWEST = 0.02;
const WIDEST = 1.5;

export default figure("reparameterisation", (/** @type {{ run: string, images: ImagesData }} */ data) => {
  const images = new Images(data.images);
  const dimensions = data.images.mu[0].length;
  let [image, dimension] = [3 % images.count, 0];
  /** @type {Table | null} */
  let f = null;
  /** @type {Gaussian} */
  let q = { mu: 0.5, sigma: 0.3 };
  let draws = 1; // L
  let baseline = false;
  let [turn, frame] = [0, 0];
  /** @type {{ score: number[], path: number[] }} */
  let kept = { score: [], path: [] };
  let noise = normal(random(1));
  let exact = { score: exactly(() => 0), path: exactly(() => 0), value: 0 };
  /** @type {Likelihood | null} */
  let likelihood = null;
  const status = element("p", { class: "status", role: "status" });
  const problem = element("p", { class: "problem", role: "alert" });

  const curve = new Stage({
    name: "reparameterisation-f",
    label: "log p(x|z) along one latent, and q",
    x: REACH,
    y: [-400, 0],
    height: 200,
    xTitle: "z",
    yTitle: "f(z) = log p(x|z), nats",
    draw(pen, stage, colors) {
      if (!f) return;
      const [low, high] = stage.y;
      const bell = sampled(REACH, (z) => low + 0.55 * (high - low) * (density(z, q) / density(q.mu, q)), 500);
      pen.globalAlpha = 0.25;
      pen.fillStyle = colors.blue;
      area(pen, stage, bell, [
        [REACH[0], low],
        [REACH[1], low],
      ]);
      pen.globalAlpha = 1;
      pen.lineWidth = 1.6;
      pen.strokeStyle = colors.text;
      const table = f;
      path(
        pen,
        stage,
        sampled(REACH, (z) => clamp(valueAt(table, z), low, high), 500),
      );
      pen.stroke();
      pen.lineWidth = 2;
      pen.strokeStyle = colors.orange;
      const half = 0.35;
      const tangent = (/** @type {number} */ z) =>
        clamp(exact.value + exact.path.mean * (z - q.mu), low, high);
      path(pen, stage, sampled([q.mu - half, q.mu + half], tangent, 2));
      pen.stroke();
    },
    rows: () =>
      f ? sampled(REACH, (z) => valueAt(/** @type {Table} */ (f), z)).map(([z, y]) => ({ z, f: y })) : [],
  });
  curve.handle({
    label: "Mean of q",
    axis: "x",
    step: 0.05,
    at: () => [q.mu, curve.y[0] + 0.55 * (curve.y[1] - curve.y[0])],
    move: (x) => set({ mu: x, sigma: q.sigma }),
    text: () => `μ ${q.mu.toFixed(2)}`,
  });
  curve.handle({
    label: "Width of q",
    axis: "x",
    step: 0.02,
    at: () => [q.mu + q.sigma, curve.y[0] + 0.55 * Math.exp(-0.5) * (curve.y[1] - curve.y[0])],
    move: (x) => set({ mu: q.mu, sigma: clamp(x - q.mu, NARROWEST, WIDEST) }),
    text: () => `σ ${q.sigma.toFixed(2)}`,
  });

  /** @param {"score" | "path"} kind @param {string} name @param {"orange" | "blue"} color */
  function bars(kind, name, color) {
    return new Stage({
      name: `reparameterisation-${kind}`,
      label: `Histogram of the gradients by ${name}`,
      x: [-1, 1],
      y: [0, 1],
      height: 130,
      xTitle: kind === "path" ? "estimate of the gradient, nats per unit of z" : "",
      yTitle: name,
      draw(pen, stage, colors) {
        const counts = histogram(kept[kind], stage.x, BINS);
        const top = Math.max(1, ...counts);
        const wide = (stage.x[1] - stage.x[0]) / BINS;
        pen.fillStyle = colors[color];
        counts.forEach((count, k) => {
          const left = stage.px(stage.x[0] + k * wide);
          const y = stage.py(count / top);
          pen.fillRect(left, y, stage.px(stage.x[0] + (k + 1) * wide) - left - 0.5, stage.py(0) - y);
        });
        pen.strokeStyle = colors.text;
        pen.lineWidth = 1.5;
        pen.setLineDash([4, 3]);
        const at = stage.px(exact.path.mean);
        line(pen, at, stage.py(0), at, stage.py(1));
        pen.setLineDash([]);
      },
      rows: () => kept[kind].map((gradient) => ({ gradient })),
    });
  }
  const byScoreStage = bars("score", "score function", "orange");
  const byPathStage = bars("path", "reparameterisation", "blue");

  const falling = new Stage({
    name: "reparameterisation-variance",
    label: "Variance of a mean of n estimates, against n",
    x: [1, 256],
    y: [0.01, 1e6],
    height: 190,
    logX: true,
    logY: true,
    xTitle: "number of draws n",
    yTitle: "variance of their mean",
    draw(pen, stage, colors) {
      for (const kind of /** @type {const} */ (["score", "path"])) {
        const one = exact[kind].deviation ** 2;
        if (!(one > 0)) continue;
        pen.strokeStyle = pen.fillStyle = kind === "score" ? colors.orange : colors.blue;
        pen.lineWidth = 1.5;
        path(pen, stage, [
          [1, clamp(one, ...stage.y)],
          [256, clamp(one / 256, ...stage.y)],
        ]);
        pen.stroke();
        for (const [n, deviation] of byNumber(kept[kind])) {
          const [many, variance] = [n * draws, deviation ** 2];
          if (many > 256 || variance < stage.y[0] || variance > stage.y[1]) continue;
          pen.beginPath();
          pen.arc(stage.px(many), stage.py(variance), 3, 0, 7);
          pen.fill();
        }
      }
    },
    rows: () =>
      /** @type {const} */ (["score", "path"]).flatMap((estimator) =>
        byNumber(kept[estimator]).map(([n, deviation]) => ({
          estimator,
          draws: n * draws,
          variance: deviation ** 2,
        })),
      ),
  });

  const numbers = new Readouts([
    { key: "grad-exact", label: "exact gradient" },
    { key: "grad-score", label: "score: mean ± sd", color: "var(--st-orange-color)" },
    { key: "grad-path", label: "reparam.: mean ± sd", color: "var(--st-blue-color)" },
    { key: "grad-ratio", label: "draws for the same precision", title: "The ratio of the two variances." },
  ]);

  /** @param {Gaussian} next */
  function set(next) {
    q = next;
    begin();
  }

  /** Forget the estimates, and draw new ones. */
  function begin() {
    kept = { score: [], path: [] };
    noise = normal(random(1));
    if (!f) return show();
    const table = f;
    exact.value = exactly((e) => valueAt(table, q.mu + q.sigma * e)).mean;
    const less = baseline ? exact.value : 0;
    exact = {
      value: exact.value,
      score: exactly((e) => byScore(table, q, e, less)),
      path: exactly((e) => byPath(table, q, e)),
    };
    const reach = (3 * Math.max(exact.score.deviation, exact.path.deviation, 1e-6)) / Math.sqrt(draws);
    for (const stage of [byScoreStage, byPathStage]) {
      stage.x = [exact.path.mean - reach, exact.path.mean + reach];
    }
    const variances = [exact.score.deviation ** 2, exact.path.deviation ** 2].filter((each) => each > 0);
    falling.y = [
      10 ** Math.floor(Math.log10(Math.min(...variances, 1) / 256)),
      10 ** Math.ceil(Math.log10(Math.max(...variances, 10))),
    ];
    cancelAnimationFrame(frame);
    more();
  }

  function more() {
    const table = f;
    if (!table) return;
    const less = baseline ? exact.value : 0;
    for (let k = 0; k < A_FRAME; k++) {
      let [score, along] = [0, 0];
      for (let l = 0; l < draws; l++) {
        const e = noise();
        score += byScore(table, q, e, less) / draws;
        along += byPath(table, q, e) / draws;
      }
      kept.score.push(score);
      kept.path.push(along);
    }
    show();
    if (kept.path.length < ESTIMATES) frame = requestAnimationFrame(more);
  }

  function show() {
    const [score, along] = [spread(kept.score), spread(kept.path)];
    const told = (/** @type {{ mean: number, deviation: number }} */ each) =>
      f && kept.path.length
        ? `${each.mean.toFixed(1)} ± ${each.deviation.toFixed(1)}`.replaceAll("-", "−")
        : "—";
    numbers.set("grad-exact", f ? exact.path.mean : Number.NaN);
    numbers.set("grad-score", told(score));
    numbers.set("grad-path", told(along));
    const ratio = (exact.score.deviation / exact.path.deviation) ** 2;
    numbers.set("grad-ratio", f ? `× ${ratio < 10 ? ratio.toFixed(1) : Math.round(ratio)}` : "—");
    for (const stage of [curve, byScoreStage, byPathStage, falling]) stage.redraw();
  }

  /** Ask the decoder for f along the dimension. */
  async function look() {
    const now = ++turn;
    likelihood?.close();
    likelihood = new Likelihood(data.run, data.images.rows[image], (sentence) => setText(problem, sentence));
    f = null;
    begin();
    setText(status, `Asking the decoder of ${data.run} for log p(x|z) at ${POINTS} codes…`);
    const mu = data.images.mu[image];
    const z = new Float32Array(POINTS * dimensions);
    for (let k = 0; k < POINTS; k++) {
      z.set(mu, k * dimensions);
      z[k * dimensions + dimension] = REACH[0] + ((REACH[1] - REACH[0]) * k) / (POINTS - 1);
    }
    const values = await likelihood.ask(z);
    if (now !== turn) return;
    f = { range: REACH, values };
    const high = Math.max(...values);
    const low = Math.max(Math.min(...values), high - 400);
    curve.y = [low, high + 0.25 * (high - low)];
    setText(status, `log p(x|z) of ${images.name(image)} as ${data.run} decodes it, along z${dimension}.`);
    set({ mu: clamp(mu[dimension] + 0.3, -3, 3), sigma: Math.max(images.sigma(image)[dimension], 0.1) });
  }

  const which = pick(
    "Along",
    Array.from({ length: dimensions }, (_, d) => [d, `z${d}`]),
    (value) => {
      dimension = Number(value);
      look();
    },
  );
  const choice = new Choice(images, (i) => {
    image = i;
    dimension = busiest();
    which.choice.value = String(dimension);
    look();
  });
  /** The dimension that says most of the image. */
  function busiest() {
    const each = images.sigma(image).map((sigma, d) => kl({ mu: data.images.mu[image][d], sigma }));
    return each.indexOf(Math.max(...each));
  }
  const samples = slide(
    "L, draws a step",
    { min: 0, max: 6, step: 1, value: 0, text: (power) => String(2 ** power) },
    (power) => {
      draws = 2 ** power;
      begin();
    },
  );
  const less = element("input", { type: "checkbox" });
  less.onchange = () => {
    baseline = less.checked;
    begin();
  };
  dimension = busiest();
  which.choice.value = String(dimension);
  choice.show(image);
  look();
  return {
    parts: [
      row([choice.root, which]),
      numbers.root,
      element("div", { class: "side wide" }, [
        element("div", {}, [curve.root, falling.root]),
        element("div", {}, [byScoreStage.root, byPathStage.root]),
      ]),
      row([
        samples,
        element("label", { class: "labelled" }, [less, "baseline E f for the score function"]),
        push("Draw again", begin),
        push("Use the encoder's q", () =>
          set({
            mu: data.images.mu[image][dimension],
            sigma: Math.max(NARROWEST, images.sigma(image)[dimension]),
          }),
        ),
      ]),
      status,
      problem,
    ],
    redraw: show,
    remove: () => {
      turn += 1;
      cancelAnimationFrame(frame);
      likelihood?.close();
      for (const stage of [curve, byScoreStage, byPathStage, falling]) stage.remove();
    },
  };
});
