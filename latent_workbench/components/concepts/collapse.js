// Figure 7: a small VAE learns in sight, β under one's hand, and the KL of each dimension over time.

import { Arrays } from "../shared/arrays.js";
import { drawRow } from "../shared/canvas.js";
import { element, setText } from "../shared/elements.js";
import { figure, pick, push, Readouts, row, slide } from "./figure.js";
import { normal, random } from "./gaussian.js";
import { line, path, Stage } from "./stage.js";
import { shrunk } from "./sums.js";
import { ToyVae } from "./toy_vae.js";

/** @import { Sent } from "../shared/arrays.js" */
/** @import { Range } from "./stage.js" */

const SIDE = 14;
const LATENTS = 6;
const HIDDEN = 48;
const BATCH = 32;
const RATE = 0.004;
const A_FRAME_MS = 12;
const EVERY = 10; // steps between points of the curves
const WINDOW = 4000; // steps in sight
const WARM_UP = 400; // steps
const FREE = 0.5; // nats
const AWAKE = 0.1; // nats, from which a dimension counts
const SHOWN = 10;
const COLORS = ["#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377"];

/** @typedef {{ run: string, size: [number, number], images: Sent }} CollapseData */

export default figure("collapse", (/** @type {CollapseData} */ data) => {
  const arrays = new Arrays();
  /** @type {Float64Array[]} */
  let images = [];
  let even = random(2);
  let model = new ToyVae(SIDE * SIDE, LATENTS, HIDDEN, normal(random(1)));
  let beta = 1;
  let remedy = "none";
  let warmFrom = 0;
  let running = true;
  let frame = 0;
  let recon = Number.NaN;
  /** @type {number[]} */
  let kl = new Array(LATENTS).fill(Number.NaN);
  /** @type {{ step: number, kl: number[] }[]} */
  let history = [];
  /** @type {{ step: number, says: string }[]} */
  let marks = [];
  const status = element("p", { class: "status", role: "status" }, [`Fetching real images of ${data.run}…`]);

  const price = () => {
    const ramp = remedy === "warm-up" ? Math.min(1, (model.step - warmFrom) / WARM_UP) : 1;
    return { beta: beta * ramp, free: remedy === "free-bits" ? FREE : 0 };
  };

  const curves = new Stage({
    name: "collapse-kl",
    label: "KL of each dimension over the training",
    x: [0, WINDOW],
    y: [0, 4],
    height: 270,
    xTitle: "step",
    yTitle: "KL of each dimension, nats",
    draw(pen, stage, colors) {
      const [from] = stage.x;
      pen.lineWidth = 1;
      pen.textAlign = "left";
      pen.font = `11px ${getComputedStyle(stage.root).fontFamily}`;
      marks.forEach(({ step, says }, i) => {
        if (step < from) return;
        pen.strokeStyle = colors.pink;
        line(pen, stage.px(step), stage.py(0), stage.px(step), stage.py(stage.y[1]));
        stage.words(
          pen,
          colors,
          says,
          stage.px(step) + 3,
          stage.py(stage.y[1]) + 26 + 13 * (i % 4),
          colors.pink,
        );
      });
      pen.lineWidth = 2;
      for (let d = 0; d < LATENTS; d++) {
        pen.strokeStyle = COLORS[d];
        path(
          pen,
          stage,
          history
            .filter(({ step }) => step >= from)
            .map((each) => /** @type {Range} */ ([each.step, Math.min(each.kl[d], stage.y[1])])),
        );
        pen.stroke();
      }
    },
    rows: () =>
      history.map((each) => ({
        step: each.step,
        ...Object.fromEntries(each.kl.map((value, d) => [`kl_z${d}`, value])),
      })),
  });
  const bars = new Stage({
    name: "collapse-now",
    label: "KL of each dimension now",
    x: [-0.5, LATENTS - 0.5],
    y: [0, 4],
    height: 270,
    xTitle: "dimension",
    yTitle: "KL now, nats",
    draw(pen, stage, colors) {
      kl.forEach((each, d) => {
        if (!Number.isFinite(each)) return;
        pen.fillStyle = COLORS[d];
        const top = stage.py(Math.min(each, stage.y[1]));
        pen.fillRect(stage.px(d - 0.35), top, stage.px(d + 0.35) - stage.px(d - 0.35), stage.py(0) - top);
      });
      const { free } = price();
      if (!free) return;
      pen.setLineDash([4, 3]);
      pen.strokeStyle = colors.text;
      line(pen, stage.px(stage.x[0]), stage.py(free), stage.px(stage.x[1]), stage.py(free));
      pen.setLineDash([]);
      pen.textAlign = "right";
      stage.words(pen, colors, "λ, free", stage.px(stage.x[1]) - 4, stage.py(free) - 5);
    },
  });
  const numbers = new Readouts([
    { key: "collapse-kl", label: "KL", unit: "nats", color: "var(--st-orange-color)" },
    { key: "collapse-recon", label: "−log p(x|z)", unit: "nats", color: "var(--st-blue-color)" },
    { key: "collapse-active", label: `dimensions above ${AWAKE} nats` },
    { key: "collapse-beta", label: "β in force", color: "#CC79A7" },
    { key: "collapse-step", label: "step" },
  ]);
  const strip = (/** @type {string} */ label) =>
    element("canvas", { class: "strip", role: "img", "aria-label": label });
  const [originals, reconstructions, samples] = [strip("Images"), strip("Reconstructions"), strip("Samples")];

  function learn() {
    const until = performance.now() + A_FRAME_MS;
    const weight = 0.05;
    do {
      const batch = Array.from({ length: BATCH }, () => images[Math.floor(even() * images.length)]);
      const found = model.learn(batch, price(), RATE);
      recon = Number.isFinite(recon) ? recon + weight * (found.recon - recon) : found.recon;
      kl = kl.map((each, d) => (Number.isFinite(each) ? each + weight * (found.kl[d] - each) : found.kl[d]));
      if (model.step % EVERY === 0) history.push({ step: model.step, kl: [...kl] });
    } while (performance.now() < until);
    history = history.slice(-WINDOW / EVERY);
    show();
    if (running) frame = requestAnimationFrame(learn);
  }

  /** @param {string} says */
  function mark(says) {
    const last = marks[marks.length - 1];
    // A hand that still moves the slider changes its last mark.
    if (last && model.step - last.step < 150 && says.startsWith("β") && last.says.startsWith("β"))
      last.says = says;
    else marks.push({ step: model.step, says });
  }

  function show() {
    const total = kl.reduce((sum, each) => sum + each, 0);
    numbers.set("collapse-kl", total);
    numbers.set("collapse-recon", recon);
    numbers.set("collapse-active", `${kl.filter((each) => each > AWAKE).length} of ${LATENTS}`);
    numbers.set("collapse-beta", price().beta);
    numbers.set("collapse-step", String(model.step));
    const end = Math.max(WINDOW, model.step);
    curves.x = [end - WINDOW, end];
    const top = Math.max(2, 1.15 * Math.max(0, ...history.flatMap((each) => each.kl)));
    curves.y = bars.y = [0, Number.isFinite(top) ? top : 4];
    curves.redraw();
    bars.redraw();
    if (!images.length) return;
    const some = images.slice(0, SHOWN);
    const noise = normal(random(5));
    draw(originals, some);
    draw(
      reconstructions,
      some.map((x) => model.decode(model.encode(x).mu)),
    );
    draw(
      samples,
      some.map(() => model.decode(Float64Array.from({ length: LATENTS }, () => noise()))),
    );
  }

  function begin() {
    model = new ToyVae(SIDE * SIDE, LATENTS, HIDDEN, normal(random(1)));
    even = random(2);
    [history, marks, warmFrom] = [[], [], 0];
    recon = Number.NaN;
    kl = new Array(LATENTS).fill(Number.NaN);
    go(true);
  }

  /** @param {boolean} on */
  function go(on) {
    running = on;
    setText(pause, on ? "Pause" : "Go on");
    cancelAnimationFrame(frame);
    if (on && images.length) frame = requestAnimationFrame(learn);
  }

  const dial = slide(
    "β",
    { min: -2, max: 5, step: 0.25, value: 0, text: (power) => (2 ** power).toPrecision(2) },
    (power) => {
      beta = 2 ** power;
      mark(`β ${beta.toPrecision(2)}`);
      show();
    },
  );
  const remedies = pick(
    "Remedy",
    [
      ["none", "none"],
      ["free-bits", `free bits, λ = ${FREE}`],
      ["warm-up", `warm-up of β, ${WARM_UP} steps`],
    ],
    (value) => {
      remedy = value;
      warmFrom = model.step;
      mark(value === "none" ? "no remedy" : value);
      show();
    },
  );
  const pause = push("Pause", () => go(!running));
  arrays.fetch(data).then((sentence) => {
    if (sentence) return setText(status, sentence);
    const bytes = arrays.read(data.images, Uint8Array);
    const [height, width] = data.size;
    const side = Math.min(height, width);
    images = Array.from({ length: bytes.length / (height * width) }, (_, k) => {
      const whole = Float64Array.from({ length: side * side }, (_, i) => {
        const at = k * height * width + Math.floor(i / side) * width + (i % side);
        return bytes[at] / 255;
      });
      return shrunk(whole, side, SIDE);
    });
    setText(
      status,
      `${images.length} real images of ${data.run} at ${SIDE} × ${SIDE}; ${LATENTS} latents; everything runs in this browser.`,
    );
    begin();
  });
  show();
  const named = (/** @type {string} */ name, /** @type {HTMLElement} */ canvas) =>
    element("div", { class: "named" }, [element("span", {}, [name]), canvas]);
  return {
    parts: [
      row([dial, remedies, pause, push("Begin anew", begin)]),
      numbers.root,
      element("div", { class: "side wide" }, [curves.root, bars.root]),
      named("images", originals),
      named("reconstructed", reconstructions),
      named("samples", samples),
      status,
    ],
    redraw: show,
    remove: () => {
      running = false;
      cancelAnimationFrame(frame);
      curves.remove();
      bars.remove();
    },
  };
});

/** Pictures of values from 0 to 1 in a row. @param {HTMLCanvasElement} canvas @param {Float64Array[]} pictures */
function draw(canvas, pictures) {
  const pixels = Uint8Array.from(
    pictures.flatMap((each) => Array.from(each, (value) => Math.round(255 * value))),
  );
  drawRow(
    canvas,
    { count: pictures.length, channels: 1, height: SIDE, width: SIDE, pixels },
    0,
    pictures.length,
  );
}
