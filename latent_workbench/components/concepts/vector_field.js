// Figure 10: a small autoencoder that learns points of a plane, and the arrows from point to answer.

import { element } from "../shared/elements.js";
import { figure, pick, push, Readouts, row, slide } from "./figure.js";
import { normal, random } from "./gaussian.js";
import { line, Stage } from "./stage.js";
import { bestAnswer, points, ToyAutoencoder } from "./toy_autoencoders.js";

/** @import { Kind } from "./toy_autoencoders.js" */
/** @import { Range } from "./stage.js" */

/** @type {Range} */
const REACH = [-2, 2];
const COUNT = 400;
const ARROWS = 25; // a side
const BATCH = 64;
const STEPS = 4000;
const A_FRAME_MS = 10;
const RATE = 0.003;
/** @type {Record<Kind, { value: number, max: number, label: string }>} */
const STRENGTHS = {
  denoising: { value: 0.25, max: 0.6, label: "Noise σ" },
  sparse: { value: 0.004, max: 0.02, label: "Price of the code" },
  contractive: { value: 0.05, max: 0.3, label: "Price of following" },
  plain: { value: 0, max: 0, label: "" },
};

export default figure("vector-field", () => {
  let shape = "spiral";
  /** @type {Kind} */
  let kind = "denoising";
  let strength = STRENGTHS.denoising.value;
  let exact = false;
  let loss = Number.NaN;
  /** @type {Range} */
  let at = [0.4, -0.2];
  let frame = 0;
  let data = points(shape, COUNT, random(1), normal(random(2)));
  let model = new ToyAutoencoder(kind, strength, normal(random(3)));
  let even = random(4);

  /** @param {Range} x @returns {[number, number]} */
  const answer = (x) => (exact ? bestAnswer(data, x, Math.max(strength, 0.02)) : model.answer(x));

  const stage = new Stage({
    name: "vector-field",
    label: "Points, and arrows from each place to its reconstruction",
    x: REACH,
    y: REACH,
    height: 430,
    square: true,
    xTitle: "x₁",
    yTitle: "x₂",
    draw(pen, here, colors) {
      pen.fillStyle = colors.blue;
      pen.globalAlpha = 0.6;
      for (const [x, y] of data) pen.fillRect(here.px(x) - 1.5, here.py(y) - 1.5, 3, 3);
      pen.globalAlpha = 0.85;
      pen.strokeStyle = colors.text;
      pen.lineWidth = 1;
      for (let j = 0; j < ARROWS; j++) {
        for (let i = 0; i < ARROWS; i++) {
          const step = (REACH[1] - REACH[0]) / ARROWS;
          /** @type {Range} */
          const from = [REACH[0] + (i + 0.5) * step, REACH[0] + (j + 0.5) * step];
          arrow(from, answer(from), 0.9 * step);
        }
      }
      pen.globalAlpha = 1;
      pen.lineWidth = 2.5;
      pen.strokeStyle = colors.red;
      let now = at;
      for (let turn = 0; turn < 12; turn++) {
        const next = answer(now); // again and again: where it ends up
        line(pen, here.px(now[0]), here.py(now[1]), here.px(next[0]), here.py(next[1]));
        now = next;
      }

      /** @param {Range} from @param {Range} to @param {number} longest */
      function arrow(from, to, longest) {
        const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
        const long = Math.hypot(dx, dy);
        if (long < 0.01) return;
        const shown = Math.min(1, longest / long);
        const [x, y] = [here.px(from[0] + shown * dx), here.py(from[1] + shown * dy)];
        line(pen, here.px(from[0]), here.py(from[1]), x, y);
        const angle = Math.atan2(y - here.py(from[1]), x - here.px(from[0]));
        for (const side of [2.6, -2.6])
          line(pen, x, y, x + 4 * Math.cos(angle + side), y + 4 * Math.sin(angle + side));
      }
    },
    rows: () =>
      data.map((x) => {
        const [a, b] = answer(x);
        return { x1: x[0], x2: x[1], answer1: a, answer2: b };
      }),
  });
  stage.handle({
    label: "A point in the field",
    axis: "both",
    step: 0.05,
    at: () => at,
    move: (x, y) => {
      at = [x, y];
      show();
    },
    text: () => `${at[0].toFixed(2)}, ${at[1].toFixed(2)}`,
    color: "red",
  });

  const numbers = new Readouts([
    { key: "field-steps", label: "steps" },
    { key: "field-loss", label: "loss" },
    { key: "field-move", label: "r(x) − x at the dot", color: "var(--st-red-color)" },
    {
      key: "field-score",
      label: "σ²∇ log p(x), exactly",
      title: "E(x | damaged x) − x: what the best denoiser of these very points would do.",
    },
    { key: "field-error", label: "difference over the data", title: "Root mean square, at damaged points." },
  ]);

  /** How far the network's answers are from the best ones, where damaged points lie. */
  function error() {
    const noise = normal(random(9));
    let sum = 0;
    const some = data.slice(0, 100);
    for (const [x, y] of some) {
      /** @type {Range} */
      const damaged = [x + strength * noise(), y + strength * noise()];
      const [a, b] = model.answer(damaged);
      const [c, d] = bestAnswer(data, damaged, strength);
      sum += ((a - c) ** 2 + (b - d) ** 2) / some.length;
    }
    return Math.sqrt(sum);
  }

  function show() {
    const to = answer(at);
    const best = bestAnswer(data, at, Math.max(strength, 0.02));
    const pair = (/** @type {number[]} */ [x, y]) => `${x.toFixed(2)}, ${y.toFixed(2)}`.replaceAll("-", "−");
    numbers.set("field-steps", String(model.step));
    numbers.set("field-loss", loss);
    numbers.set("field-move", pair([to[0] - at[0], to[1] - at[1]]));
    const noisy = kind === "denoising";
    numbers.set("field-score", noisy ? pair([best[0] - at[0], best[1] - at[1]]) : "—");
    numbers.set("field-error", noisy ? error() : "—");
    stage.redraw();
  }

  function begin() {
    cancelAnimationFrame(frame);
    model = new ToyAutoencoder(kind, strength, normal(random(3)));
    even = random(4);
    learn();
  }

  function learn() {
    const until = performance.now() + A_FRAME_MS;
    while (performance.now() < until && model.step < STEPS) {
      const batch = Array.from({ length: BATCH }, () => data[Math.floor(even() * data.length)]);
      const now = model.learn(batch, RATE * (1 - 0.9 * (model.step / STEPS)));
      loss = Number.isFinite(loss) ? 0.98 * loss + 0.02 * now : now;
    }
    show();
    if (model.step < STEPS) frame = requestAnimationFrame(learn);
  }

  const force = slide("Strength", { min: 0.05, max: 0.6, step: 0.005, value: strength }, (value) => {
    strength = value;
    begin();
  });
  const kinds = pick(
    "Loss",
    [
      ["denoising", "denoising"],
      ["sparse", "sparse"],
      ["contractive", "contractive"],
      ["plain", "plain: free to copy"],
    ],
    (value) => {
      kind = /** @type {Kind} */ (value);
      const about = STRENGTHS[kind];
      force.hidden = kind === "plain";
      force.input.min = String(about.max / 20);
      force.input.max = String(about.max);
      force.input.step = String(about.max / 100);
      force.firstChild?.replaceWith(about.label);
      force.set(about.value);
      strength = about.value;
      best.hidden = kind !== "denoising";
      exact = exact && kind === "denoising";
      loss = Number.NaN;
      begin();
    },
  );
  const shapes = pick(
    "Data",
    [
      ["spiral", "a spiral"],
      ["circle", "a circle"],
      ["moons", "two moons"],
    ],
    (value) => {
      shape = value;
      data = points(shape, COUNT, random(1), normal(random(2)));
      begin();
    },
  );
  const tick = element("input", { type: "checkbox" });
  tick.onchange = () => {
    exact = tick.checked;
    show();
  };
  const best = element("label", { class: "labelled" }, [tick, "the best denoiser instead"]);
  force.firstChild?.replaceWith(STRENGTHS.denoising.label);
  begin();
  return {
    parts: [row([kinds, shapes, force, best, push("Learn anew", begin)]), numbers.root, stage.root],
    redraw: show,
    remove: () => {
      cancelAnimationFrame(frame);
      stage.remove();
    },
  };
});
