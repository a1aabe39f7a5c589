// Figure 2: KL between a Gaussian and N(0,1), whose terms are areas.

import { element } from "../shared/elements.js";
import { clamp } from "../shared/vectors.js";
import { figure, pick, Readouts, row } from "./figure.js";
import { density, kl, klTerms, logDensity, NATS_A_BIT, reverseKl, turned } from "./gaussian.js";
import { Choice, Images } from "./images.js";
import { area, path, Stage, sampled } from "./stage.js";

/** @import { ImagesData } from "./images.js" */
/** @import { Gaussian } from "./gaussian.js" */
/** @import { Range } from "./stage.js" */

const NARROWEST = 0.05;
const WIDEST = 3;
const PRIOR = { mu: 0, sigma: 1 };
/** @type {Range} */
const ACROSS = [-4, 4];

export default figure("kl", (/** @type {{ run: string, images: ImagesData }} */ data) => {
  /** @type {Gaussian} */
  let q = { mu: 1.2, sigma: 0.5 };
  let forward = true;
  let unit = "nats";
  let image = -1;
  let dimension = 0;
  const images = new Images(data.images);
  const dimensions = data.images.mu[0].length;

  const top = new Stage({
    name: "kl-densities",
    label: "Densities of q and of N(0,1)",
    x: ACROSS,
    y: [0, 1],
    height: 210,
    yTitle: "density",
    draw(pen, stage, colors) {
      pen.lineWidth = 1;
      pen.globalAlpha = 0.35;
      pen.strokeStyle = colors.blue;
      if (image >= 0) {
        const mu = data.images.mu[image];
        images.sigma(image).forEach((sigma, d) => {
          path(
            pen,
            stage,
            sampled(stage.x, (x) => Math.min(stage.y[1], density(x, { mu: mu[d], sigma }))),
          );
          pen.stroke();
        });
      }
      pen.globalAlpha = 0.12;
      pen.fillStyle = colors.text;
      area(
        pen,
        stage,
        sampled(stage.x, (x) => density(x, PRIOR)),
      );
      pen.fillStyle = colors.blue;
      pen.globalAlpha = 0.2;
      const curve = sampled(stage.x, (x) => density(x, q), 600);
      area(pen, stage, curve);
      pen.globalAlpha = 1;
      pen.lineWidth = 2;
      path(
        pen,
        stage,
        sampled(stage.x, (x) => density(x, PRIOR)),
      );
      pen.strokeStyle = colors.text;
      pen.stroke();
      path(pen, stage, curve);
      pen.strokeStyle = colors.blue;
      pen.stroke();
      pen.font = `bold 12px ${getComputedStyle(stage.root).fontFamily}`;
      pen.textAlign = "left";
      stage.words(pen, colors, "p = N(0, 1)", stage.px(-2.9), stage.py(density(-1.6, PRIOR)) - 4);
      stage.words(pen, colors, "q", stage.px(q.mu) - 4, stage.py(density(q.mu, q)) - 12, colors.blue);
    },
    rows: () => sampled(ACROSS, (x) => density(x, q)).map(([x, y]) => ({ x, q: y, p: density(x, PRIOR) })),
  });
  top.handle({
    label: "Mean of q",
    axis: "x",
    step: 0.05,
    at: () => [q.mu, density(q.mu, q)],
    move: (x) => set({ mu: x, sigma: q.sigma }),
    text: () => `μ ${q.mu.toFixed(2)}`,
  });
  top.handle({
    label: "Width of q",
    axis: "x",
    step: 0.02,
    at: () => [q.mu + q.sigma, density(q.mu + q.sigma, q)],
    move: (x) => set({ mu: q.mu, sigma: clamp(x - q.mu, NARROWEST, WIDEST) }),
    text: () => `σ ${q.sigma.toFixed(2)}`,
  });

  /** What is integrated for the direction that is shown. @param {number} x */
  const integrand = (x) => {
    const ratio = logDensity(x, q) - logDensity(x, PRIOR);
    return forward ? density(x, q) * ratio : -density(x, PRIOR) * ratio;
  };
  const middle = new Stage({
    name: "kl-integrand",
    label: "What is integrated over x",
    x: ACROSS,
    y: [-0.5, 1],
    height: 190,
    xTitle: "x; the orange area minus the grey one is the KL",
    yTitle: "",
    draw(pen, stage, colors) {
      const curve = sampled(stage.x, integrand, 600);
      pen.globalAlpha = 0.75;
      pen.fillStyle = colors.orange;
      area(
        pen,
        stage,
        curve.map(([x, y]) => /** @type {Range} */ ([x, Math.max(0, y)])),
      );
      pen.globalAlpha = 0.3;
      pen.fillStyle = colors.text;
      area(
        pen,
        stage,
        curve.map(([x, y]) => /** @type {Range} */ ([x, Math.min(0, y)])),
      );
      pen.globalAlpha = 1;
      pen.textAlign = "left";
      pen.font = `11px ${getComputedStyle(stage.root).fontFamily}`;
      stage.words(pen, colors, forward ? "q(x) · ln q(x)/p(x)" : "p(x) · ln p(x)/q(x)", 51, 22);
    },
    rows: () => sampled(ACROSS, integrand).map(([x, y]) => ({ x, integrand: y })),
  });

  const terms = new Stage({
    name: "kl-terms",
    label: "The two terms of the closed form as areas",
    x: [0, 3],
    y: [0, 3],
    height: 400,
    square: true,
    xTitle: "t",
    draw(pen, stage, colors) {
      const { mu, sigma } = forward ? q : turned(q);
      const far = stage.x[1];
      pen.lineWidth = 1.5;
      pen.fillStyle = colors.blue;
      pen.globalAlpha = 0.45;
      const reach = Math.min(Math.abs(mu), far);
      area(pen, stage, [
        [0, 0],
        [reach, reach],
      ]);
      const between = sampled([Math.min(1, sigma), Math.max(1, sigma)], (t) => t, 120);
      pen.fillStyle = colors.orange;
      pen.globalAlpha = 0.75;
      area(
        pen,
        stage,
        between,
        between.map(([t]) => /** @type {Range} */ ([t, Math.min(1 / t, stage.y[1])])),
      );
      pen.globalAlpha = 1;
      pen.strokeStyle = colors.text;
      path(pen, stage, [
        [0, 0],
        [far, Math.min(far, stage.y[1])],
      ]);
      pen.stroke();
      path(
        pen,
        stage,
        sampled([1 / stage.y[1], far], (t) => 1 / t),
      );
      pen.stroke();
      pen.font = `12px ${getComputedStyle(stage.root).fontFamily}`;
      pen.textAlign = "left";
      const names = forward ? ["|μ|", "σ"] : ["|μ|/σ", "1/σ"];
      stage.words(pen, colors, "y = t", stage.px(0.8 * far), stage.py(0.87 * far));
      stage.words(pen, colors, "y = 1/t", stage.px(0.75 * far), stage.py(1 / (0.75 * far)) - 8);
      stage.words(
        pen,
        colors,
        `blue: below y = t, from 0 to ${names[0]}`,
        stage.margin.left + 8,
        stage.margin.top + 16,
        colors.blue,
      );
      stage.words(
        pen,
        colors,
        `orange: between the lines, 1 to ${names[1]}`,
        stage.margin.left + 8,
        stage.margin.top + 33,
        colors.orange,
      );
    },
  });

  const numbers = new Readouts([
    { key: "kl-forward", label: "KL(q‖p)", color: "var(--st-orange-color)" },
    { key: "kl-reverse", label: "KL(p‖q)" },
    { key: "kl-mean", label: "mean", color: "var(--st-blue-color)" },
    { key: "kl-width", label: "width", color: "var(--st-orange-color)" },
    { key: "kl-mu", label: "μ" },
    { key: "kl-sigma", label: "σ" },
    { key: "kl-image", label: "the image, all dimensions" },
  ]);
  const direction = pick(
    "Direction",
    [
      ["forward", "KL(q‖p)"],
      ["reverse", "KL(p‖q)"],
    ],
    (value) => {
      forward = value === "forward";
      show();
    },
  );
  const units = pick(
    "Unit",
    [
      ["nats", "nats"],
      ["bits", "bits"],
    ],
    (value) => {
      unit = value;
      show();
    },
  );
  const which = pick(
    "Dimension",
    Array.from({ length: dimensions }, (_, d) => [d, `z${d}`]),
    (value) => {
      dimension = Number(value);
      take(Math.max(image, 0));
    },
  );
  const choice = new Choice(images, take, `Images of ${data.run}`);

  /** q of a real image. @param {number} i */
  function take(i) {
    image = i;
    choice.show(i);
    set({ mu: data.images.mu[i][dimension], sigma: images.sigma(i)[dimension] });
  }

  /** @param {Gaussian} next */
  function set(next) {
    q = next;
    show();
  }

  function show() {
    const a = unit === "bits" ? 1 / NATS_A_BIT : 1;
    const shown = forward ? q : turned(q);
    const { mean, width } = klTerms(shown);
    numbers.set("kl-forward", kl(q) * a, unit);
    numbers.set("kl-reverse", reverseKl(q) * a, unit);
    numbers.set("kl-mean", mean * a, unit);
    numbers.set("kl-width", width * a, unit);
    numbers.set("kl-mu", q.mu);
    numbers.set("kl-sigma", q.sigma);
    if (image >= 0) {
      const each = images.sigma(image).map((sigma, d) => kl({ mu: data.images.mu[image][d], sigma }));
      numbers.set("kl-image", each.reduce((sum, one) => sum + one, 0) * a, unit);
    } else numbers.set("kl-image", "—", "");
    top.y = [0, Math.max(1, 1.12 * density(q.mu, q))];
    const peaks = sampled(ACROSS, integrand, 400).map(([, y]) => y);
    middle.y = [Math.min(-0.3, 1.1 * Math.min(...peaks)), Math.max(0.8, 1.1 * Math.max(...peaks))];
    const far = clamp(Math.max(3, 1.1 * Math.abs(shown.mu), 1.1 * shown.sigma), 3, 100);
    terms.x = [0, far];
    terms.y = [0, far];
    for (const stage of [top, middle, terms]) stage.redraw();
  }

  show();
  const left = element("div", { class: "column" }, [top.root, middle.root]);
  const right = element("div", { class: "column" }, [terms.root]);
  return {
    parts: [
      row([choice.root, which]),
      numbers.root,
      element("div", { class: "side wide" }, [left, right]),
      row([direction, units]),
    ],
    redraw: show,
    remove: () => [top, middle, terms].forEach((stage) => stage.remove()),
  };
});
