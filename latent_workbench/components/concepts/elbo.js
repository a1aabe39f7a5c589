// Figure 5: prior, likelihood, true posterior, and a Gaussian that a hand moves, in a plane of latents.

import { LiveDecoder } from "../explorer/decoder.js";
import { drawPixels } from "../shared/canvas.js";
import { element, setText } from "../shared/elements.js";
import { figure, pick, push, Readouts, row } from "./figure.js";
import { Choice, Images } from "./images.js";
import { gridPoints, Likelihood } from "./likelihood.js";
import { best, evidence, expectation, logPrior, moments, nodesOf, rate, where } from "./plane_posterior.js";
import { Stage } from "./stage.js";

/** @import { Box } from "./likelihood.js" */
/** @import { ImagesData } from "./images.js" */
/** @import { Grid, Plane } from "./plane_posterior.js" */
/** @import { Pen } from "../shared/svg_pen.js" */
/** @import { Colors } from "./stage.js" */

const SIDE = 81; // points of a grid
/** @type {Box} */
const WHOLE = { x: [-5, 5], y: [-5, 5] };
const TURNS = 5; // of looking closer
const CLOSE_ENOUGH = 0.85; // of a box's side: nearer is no gain
const NARROWEST = 0.002;
const WIDEST = 4;

export default figure("elbo", (/** @type {{ run: string, images: ImagesData }} */ data) => {
  const images = new Images(data.images);
  let image = 0;
  /** @type {Grid | null} */
  let coarse = null;
  /** @type {Grid | null} */
  let fine = null;
  let logP = Number.NaN;
  /** @type {Plane} */
  let q = encoder();
  let layer = "both";
  let expected = Number.NaN;
  /** Of which q that is. @type {Plane | null} */
  let expectedOf = null;
  let asked = 0;
  /** @type {Map<string, HTMLCanvasElement>} */
  const painted = new Map();

  /** What the encoder says of the image. @returns {Plane} */
  function encoder() {
    const sigma = images.sigma(image);
    const [a, b] = data.images.mu[image];
    return { mu: [a, b], sigma: [sigma[0], sigma[1]] };
  }

  const problem = element("p", { class: "problem", role: "alert" });
  const say = (/** @type {string} */ sentence) => setText(problem, sentence);
  let likelihood = new Likelihood(data.run, data.images.rows[0], say);
  const picture = element("canvas", { role: "img", "aria-label": "What the middle of q decodes to" });
  const original = element("canvas", { role: "img", "aria-label": "The image" });
  const decoder = new LiveDecoder(data.run, null, {
    onPictures: (_, pictures) => drawPixels(picture, pictures, 0),
    onVector: () => {},
    onProblem: () => {},
  });
  const status = element("p", { class: "status", role: "status", "data-testid": "elbo-status" });

  const whole = stageOf("elbo-plane", "The latent plane", WHOLE, () => coarse);
  const near = stageOf("elbo-posterior", "Near the posterior", WHOLE, () => fine ?? coarse);

  /** @param {string} name @param {string} label @param {Box} box @param {() => Grid | null} grid */
  function stageOf(name, label, box, grid) {
    const stage = new Stage({
      name,
      label: `${label}: the true posterior of the image and the Gaussian q`,
      x: box.x,
      y: box.y,
      height: 360,
      square: true,
      xTitle: `z0 · ${label.toLowerCase()}`,
      yTitle: "z1",
      draw(pen, here, colors) {
        surface(pen, here, grid(), name);
        circles(pen, here, colors);
        ellipses(pen, here, colors);
      },
      rows: () => rows(grid()),
    });
    stage.handle({
      label: `Middle of q, ${label.toLowerCase()}`,
      axis: "both",
      get step() {
        return (stage.x[1] - stage.x[0]) / 100;
      },
      at: () => q.mu,
      move: (x, y) => set({ mu: [x, y], sigma: q.sigma }),
      text: () => `z0 ${q.mu[0].toFixed(3)}, z1 ${q.mu[1].toFixed(3)}`,
      color: "blue",
    });
    return stage;
  }
  near.handle({
    label: "Width of q along z0",
    axis: "x",
    get step() {
      return (near.x[1] - near.x[0]) / 200;
    },
    at: () => [q.mu[0] + 2 * q.sigma[0], q.mu[1]],
    move: (x) => set({ mu: q.mu, sigma: [width((x - q.mu[0]) / 2), q.sigma[1]] }),
    text: () => `σ ${q.sigma[0].toFixed(4)}`,
    color: "orange",
  });
  near.handle({
    label: "Width of q along z1",
    axis: "y",
    get step() {
      return (near.y[1] - near.y[0]) / 200;
    },
    at: () => [q.mu[0], q.mu[1] + 2 * q.sigma[1]],
    move: (_, y) => set({ mu: q.mu, sigma: [q.sigma[0], width((y - q.mu[1]) / 2)] }),
    text: () => `σ ${q.sigma[1].toFixed(4)}`,
    color: "orange",
  });

  /** @param {number} value */
  function width(value) {
    return Math.max(NARROWEST, Math.min(WIDEST, value));
  }

  /** @param {Pen} pen @param {Stage} stage @param {Grid | null} grid @param {string} name */
  function surface(pen, stage, grid, name) {
    if (!grid || layer === "prior") return;
    const kind = layer === "both" ? (name === "elbo-plane" ? "likelihood" : "posterior") : layer;
    const key = `${name}/${kind}`;
    let canvas = painted.get(key);
    if (!canvas) {
      canvas = heat(grid, kind);
      painted.set(key, canvas);
    }
    const { x, y } = grid.box;
    const step = [(x[1] - x[0]) / (grid.n - 1), (y[1] - y[0]) / (grid.n - 1)];
    const [left, right] = [stage.px(x[0] - step[0] / 2), stage.px(x[1] + step[0] / 2)];
    const [top, bottom] = [stage.py(y[1] + step[1] / 2), stage.py(y[0] - step[1] / 2)];
    pen.imageSmoothingEnabled = true;
    pen.drawImage(canvas, 0, 0, grid.n, grid.n, left, top, right - left, bottom - top);
  }

  /** One, two and three σ of the prior. @param {Pen} pen @param {Stage} stage @param {Colors} colors */
  function circles(pen, stage, colors) {
    pen.strokeStyle = colors.text;
    pen.lineWidth = 1;
    pen.globalAlpha = 0.45;
    pen.setLineDash([4, 4]);
    for (const radius of [1, 2, 3]) {
      round(pen, stage, { mu: [0, 0], sigma: [radius, radius] }, 1);
      pen.stroke();
    }
    pen.setLineDash([]);
    pen.globalAlpha = 1;
  }

  /** One and two σ of q. @param {Pen} pen @param {Stage} stage @param {Colors} colors */
  function ellipses(pen, stage, colors) {
    for (const many of [1, 2]) {
      round(pen, stage, q, many);
      pen.globalAlpha = 0.12;
      pen.fillStyle = colors.blue;
      pen.fill();
      pen.globalAlpha = 1;
      pen.lineWidth = 3.5;
      pen.strokeStyle = colors.ground;
      pen.stroke();
      pen.lineWidth = 1.8;
      pen.strokeStyle = colors.blue;
      pen.stroke();
    }
  }

  const numbers = new Readouts([
    { key: "elbo-evidence", label: "log p(x)", unit: "nats", title: "Integrated over the grid." },
    { key: "elbo-elbo", label: "ELBO", unit: "nats", color: "var(--st-blue-color)" },
    { key: "elbo-gap", label: "gap = KL(q‖p(z|x))", unit: "nats", color: "var(--st-red-color)" },
    { key: "elbo-expected", label: "E log p(x|z)", unit: "nats" },
    { key: "elbo-kl", label: "KL(q‖p(z))", unit: "nats", color: "var(--st-orange-color)" },
  ]);
  const bar = element("div", { class: "bound", role: "img", "aria-label": "The ELBO below log p(x)" }, [
    element("i", { class: "reached" }),
    element("i", { class: "missing" }),
  ]);

  /** @param {Plane} next */
  function set(next) {
    q = next;
    show();
    follow();
  }

  /** Ask the model for what this q expects of it. */
  function follow() {
    const of = q;
    likelihood.follow(nodesOf(of), (values) => {
      expected = expectation(values);
      expectedOf = of;
      show();
    });
    decoder.ask("picture", [Float32Array.from(of.mu)]);
  }

  function show() {
    const of = expectedOf ?? q;
    const elbo = expected - rate(of);
    numbers.set("elbo-evidence", logP);
    numbers.set("elbo-elbo", elbo);
    numbers.set("elbo-gap", logP - elbo);
    numbers.set("elbo-expected", expected);
    numbers.set("elbo-kl", rate(of));
    bar.style.setProperty("--share", `${100 * Math.exp(-Math.max(0, logP - elbo) / 12)}%`);
    whole.redraw();
    near.redraw();
  }

  /** Look at the image: the whole plane, then closer and closer to where its posterior lies. */
  async function look() {
    const turn = ++asked;
    const before = likelihood;
    likelihood = new Likelihood(data.run, data.images.rows[image], say);
    before.close();
    coarse = fine = null;
    logP = expected = Number.NaN;
    painted.clear();
    q = encoder();
    images.draw(original, image);
    set(q);
    /** @param {Box} box @param {number} step @returns {Promise<Grid | null>} */
    const over = async (box, step) => {
      setText(status, `Looking at ${SIDE * SIDE} codes of the plane, ${step} of ${TURNS}…`);
      const values = await likelihood.ask(gridPoints(box, SIDE));
      return turn === asked ? { box, n: SIDE, values } : null;
    };
    coarse = await over(WHOLE, 1);
    if (!coarse) return;
    fine = coarse;
    for (let step = 2; step <= TURNS; step++) {
      const box = where(fine, encoder());
      if (box.x[1] - box.x[0] > CLOSE_ENOUGH * (fine.box.x[1] - fine.box.x[0])) break;
      const next = await over(box, step);
      if (!next) return;
      fine = next;
      painted.clear();
      near.x = box.x;
      near.y = box.y;
      logP = evidence(coarse, fine);
      show();
    }
    logP = evidence(coarse, fine);
    setText(status, `log p(x) from ${coarse === fine ? 1 : 2} grids of ${SIDE} × ${SIDE} codes.`);
    show();
  }

  const choice = new Choice(
    images,
    (i) => {
      image = i;
      look();
    },
    `Images of ${data.run}`,
  );
  const layers = pick(
    "Colour",
    [
      ["both", "likelihood, near by the posterior"],
      ["posterior", "true posterior p(z|x)"],
      ["likelihood", "likelihood log p(x|z)"],
      ["prior", "prior alone"],
    ],
    (value) => {
      layer = value;
      show();
    },
  );
  const snaps = row([
    push("Snap to the encoder's answer", () => set(encoder())),
    push("Snap to the best", () => {
      if (!fine) return;
      const start = moments(fine);
      set(best(fine, start.sigma.every((each) => each > 0) ? start : encoder()));
    }),
    push("Snap to the prior", () => set({ mu: [0, 0], sigma: [1, 1] })),
    layers,
  ]);
  choice.show(0);
  look();
  const shown = element("div", { class: "pictures" }, [
    element("figure", {}, [original, element("figcaption", {}, ["image"])]),
    element("figure", {}, [picture, element("figcaption", {}, ["middle of q"])]),
  ]);
  return {
    parts: [
      choice.root,
      row([numbers.root]),
      bar,
      element("div", { class: "planes" }, [whole.root, near.root, shown]),
      snaps,
      status,
      problem,
    ],
    redraw: show,
    remove: () => {
      asked += 1;
      likelihood.close();
      decoder.close();
      whole.remove();
      near.remove();
    },
  };
});

/** As much of an ellipse of so many σ as lies in sight. @param {Pen} pen @param {Stage} stage @param {Plane} q @param {number} many */
function round(pen, stage, { mu, sigma }, many) {
  pen.beginPath();
  let drawn = false;
  for (let i = 0; i <= 360; i++) {
    const angle = (2 * Math.PI * i) / 360;
    const [x, y] = [mu[0] + many * sigma[0] * Math.cos(angle), mu[1] + many * sigma[1] * Math.sin(angle)];
    const inside = x >= stage.x[0] && x <= stage.x[1] && y >= stage.y[0] && y <= stage.y[1];
    if (inside && drawn) pen.lineTo(stage.px(x), stage.py(y));
    else if (inside) pen.moveTo(stage.px(x), stage.py(y));
    drawn = inside;
  }
}

const NATS_SHOWN = 200; // below the highest likelihood, colours end

/** A grid as a picture of its points, upwards. @param {Grid} grid @param {string} layer */
function heat({ n, box, values }, layer) {
  const canvas = element("canvas", { width: n, height: n });
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = pen.createImageData(n, n);
  const level = new Float64Array(n * n);
  let top = -Infinity;
  for (let k = 0; k < n * n; k++) {
    const x = box.x[0] + ((box.x[1] - box.x[0]) * (k % n)) / (n - 1);
    const y = box.y[0] + ((box.y[1] - box.y[0]) * Math.floor(k / n)) / (n - 1);
    level[k] = values[k] + (layer === "posterior" ? logPrior(x, y) : 0);
    top = Math.max(top, level[k]);
  }
  for (let k = 0; k < n * n; k++) {
    const share =
      layer === "posterior" ? Math.exp(level[k] - top) : Math.max(0, 1 + (level[k] - top) / NATS_SHOWN);
    const to = 4 * ((n - 1 - Math.floor(k / n)) * n + (k % n));
    // Orange, the more the likelier, on whatever the page's ground is.
    image.data.set([213, 94, 0, Math.round(225 * share)], to);
  }
  pen.putImageData(image, 0, 0);
  return canvas;
}

/** @param {Grid | null} grid */
function rows(grid) {
  if (!grid) return [];
  const z = gridPoints(grid.box, grid.n);
  return Array.from(grid.values, (value, k) => ({ z0: z[2 * k], z1: z[2 * k + 1], log_likelihood: value }));
}
