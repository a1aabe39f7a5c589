// Figure 6: a dial over models that were trained with different β.

import { LiveDecoder } from "../explorer/decoder.js";
import { Arrays } from "../shared/arrays.js";
import { drawRow } from "../shared/canvas.js";
import { element, setText } from "../shared/elements.js";
import { significant } from "../shared/format.js";
import { figure, push, Readouts, row, slide } from "./figure.js";
import { density, normal, random } from "./gaussian.js";
import { Images } from "./images.js";
import { path, Stage } from "./stage.js";

/** @import { ImagesData } from "./images.js" */
/** @import { Sent } from "../shared/arrays.js" */
/** @import { Range } from "./stage.js" */

/**
 * @typedef {object} Model as Python sends it; nats per image
 * @property {string} run
 * @property {number} beta
 * @property {number} rate
 * @property {number} distortion
 * @property {number | null} active
 * @property {number} size
 * @property {number[][]} mu of the images
 * @property {string[]} names of dimensions
 * @property {Sent} densities [names, bins]
 *
 * @typedef {{ images: ImagesData, models: Model[], start: number, bins: number, reach: number }} BetaData
 */

const PRIOR = { mu: 0, sigma: 1 };
const SAMPLES = 10;

export default figure("beta", (/** @type {BetaData} */ data) => {
  const images = new Images(data.images);
  const { models, bins, reach } = data;
  const arrays = new Arrays();
  let now = data.start;
  let seed = 1;
  let ready = false;
  /** @type {Map<string, LiveDecoder>} */
  const decoders = new Map();
  const problem = element("p", { class: "problem", role: "alert" });
  const strip = (/** @type {string} */ label) =>
    element("canvas", { class: "strip", role: "img", "aria-label": label });
  const [originals, reconstructions, samples] = [
    strip("Real images"),
    strip("Their reconstructions"),
    strip("Samples of the prior"),
  ];
  const of = () => models[now];

  const rates = models.map(({ rate }) => rate);
  const distortions = models.map(({ distortion }) => distortion);
  const curve = new Stage({
    name: "beta-curve",
    label: "Rate and distortion of each model",
    x: around(rates, 0.15, 0),
    y: around(distortions, 0.15),
    height: 240,
    xTitle: "rate R = KL, nats per image",
    yTitle: "distortion D = −E log p(x|z), nats",
    draw(pen, stage, colors) {
      pen.strokeStyle = colors.text;
      pen.lineWidth = 1.2;
      path(
        pen,
        stage,
        models
          .toSorted((a, b) => a.rate - b.rate)
          .map((each) => /** @type {Range} */ ([each.rate, each.distortion])),
      );
      pen.stroke();
      pen.textAlign = "left";
      for (const { rate, distortion, beta } of models) {
        pen.fillStyle = colors.pink;
        pen.beginPath();
        pen.arc(stage.px(rate), stage.py(distortion), 4, 0, 7);
        pen.fill();
        stage.words(pen, colors, `β ${significant(beta, 3)}`, stage.px(rate) + 9, stage.py(distortion) - 7);
      }
    },
    rows: () => models.map(({ run, beta, rate, distortion }) => ({ run, beta, rate, distortion })),
  });
  curve.handle({
    label: "Model on the curve",
    axis: "x",
    get step() {
      return (curve.x[1] - curve.x[0]) / 10;
    },
    at: () => [of().rate, of().distortion],
    move: (x) => {
      const steps = models
        .map(({ rate }, i) => ({ i, far: Math.abs(rate - x) }))
        .sort((a, b) => a.far - b.far);
      const [first] = steps;
      if (first.i !== now) turn(first.i);
      else if (x !== of().rate) {
        // An arrow key that reaches no other model goes to the next one that way.
        const way = models.map(({ rate }, i) => ({ i, far: (rate - of().rate) * Math.sign(x - of().rate) }));
        const next = way.filter(({ far }) => far > 0).sort((a, b) => a.far - b.far)[0];
        if (next && Math.abs(x - of().rate) >= (curve.x[1] - curve.x[0]) / 10 - 1e-9) turn(next.i);
      }
    },
    text: () => `β ${significant(of().beta, 3)}`,
    color: "pink",
  });

  const histograms = new Stage({
    name: "beta-latents",
    label: "The codes of all images along each dimension, against N(0,1)",
    x: [0, 4],
    y: [0, 4],
    height: 240,
    bare: true,
    draw(pen, stage, colors) {
      if (!ready) return;
      const { names, densities } = of();
      const values = arrays.read(densities, Float32Array);
      const columns = Math.ceil(Math.sqrt(names.length * 1.6));
      const rows = Math.ceil(names.length / columns);
      const [wide, high] = [(stage.width - 2) / columns, (stage.height - 2) / rows];
      names.forEach((name, k) => {
        const [left, top] = [1 + (k % columns) * wide, 1 + Math.floor(k / columns) * high];
        const px = (/** @type {number} */ z) => left + 3 + ((z + reach) / (2 * reach)) * (wide - 6);
        const py = (/** @type {number} */ p) => top + high - 3 - Math.min(1, p / 0.8) * (high - 18);
        const steps = Array.from({ length: bins }, (_, i) => -reach + (2 * reach * i) / (bins - 1));
        const trace = (/** @type {(i: number, z: number) => number} */ f) => {
          pen.beginPath();
          steps.forEach((z, i) => (i ? pen.lineTo(px(z), py(f(i, z))) : pen.moveTo(px(z), py(f(i, z)))));
        };
        pen.fillStyle = colors.blue;
        pen.globalAlpha = 0.5;
        trace((i) => values[k * bins + i]);
        pen.lineTo(px(reach), py(0));
        pen.lineTo(px(-reach), py(0));
        pen.closePath();
        pen.fill();
        pen.globalAlpha = 1;
        pen.strokeStyle = colors.text;
        pen.lineWidth = 1;
        trace((_, z) => density(z, PRIOR));
        pen.stroke();
        pen.textAlign = "left";
        pen.font = `10px ${getComputedStyle(stage.root).fontFamily}`;
        stage.words(pen, colors, name, left + 3, top + 12);
      });
    },
    rows: () =>
      of().names.flatMap((dimension, k) => {
        const values = arrays.read(of().densities, Float32Array);
        return Array.from({ length: bins }, (_, i) => ({
          dimension,
          z: -reach + (2 * reach * i) / (bins - 1),
          density: values[k * bins + i],
        }));
      }),
  });

  const numbers = new Readouts([
    { key: "beta-beta", label: "β", color: "#CC79A7" },
    { key: "beta-rate", label: "rate", unit: "nats", color: "var(--st-orange-color)" },
    { key: "beta-distortion", label: "distortion", unit: "nats", color: "var(--st-blue-color)" },
    { key: "beta-active", label: "active units" },
    { key: "beta-run", label: "run" },
  ]);
  const dial = slide(
    "β",
    {
      min: 0,
      max: Math.max(1, models.length - 1),
      step: 1,
      value: now,
      text: (i) => significant(models[Math.min(i, models.length - 1)].beta, 3),
    },
    (i) => turn(Math.min(i, models.length - 1)),
  );

  /** @param {Model} model */
  function decoderOf(model) {
    let decoder = decoders.get(model.run);
    if (!decoder) {
      decoder = new LiveDecoder(model.run, null, {
        onPictures: (kind, pictures) => {
          if (model === of())
            drawRow(kind === "strips" ? reconstructions : samples, pictures, 0, pictures.count);
        },
        onVector: () => {},
        onProblem: (sentence) => setText(problem, sentence),
      });
      decoders.set(model.run, decoder);
    }
    return decoder;
  }

  /** @param {number} i */
  function turn(i) {
    now = i;
    dial.set(i);
    const model = of();
    const decoder = decoderOf(model);
    decoder.ask(
      "strips",
      model.mu.map((each) => Float32Array.from(each)),
    );
    const noise = normal(random(seed));
    decoder.ask(
      "ends",
      Array.from({ length: SAMPLES }, () => Float32Array.from({ length: model.size }, () => noise())),
    );
    show();
  }

  function show() {
    const { beta, rate, distortion, active, size, run } = of();
    numbers.set("beta-beta", significant(beta, 3));
    numbers.set("beta-rate", rate);
    numbers.set("beta-distortion", distortion);
    numbers.set("beta-active", active === null ? "—" : `${active} of ${size}`);
    numbers.set("beta-run", run);
    curve.redraw();
    histograms.redraw();
  }

  const [channels, height, width] = data.images.shape;
  const pixels = new Uint8Array(images.bytes.length);
  const plane = height * width; // from channel after channel to pixel after pixel
  for (let k = 0; k < images.count; k++) {
    for (let c = 0; c < channels; c++) {
      for (let p = 0; p < plane; p++) {
        pixels[(k * plane + p) * channels + c] = images.bytes[(k * channels + c) * plane + p];
      }
    }
  }
  drawRow(originals, { count: images.count, channels, height, width, pixels }, 0, images.count);
  arrays.fetch(data).then((sentence) => {
    setText(problem, sentence);
    ready = !sentence;
    histograms.redraw();
  });
  turn(now);
  const named = (/** @type {string} */ name, /** @type {HTMLElement} */ canvas) =>
    element("div", { class: "named" }, [element("span", {}, [name]), canvas]);
  const alone =
    models.length > 1
      ? []
      : [
          element("p", { class: "status" }, [
            "There is one model of this kind only. A sweep on Tune β trains a row of them.",
          ]),
        ];
  return {
    parts: [
      row([
        dial,
        push("Draw others", () => {
          seed += 1;
          turn(now);
        }),
      ]),
      numbers.root,
      named("images", originals),
      named("reconstructed", reconstructions),
      named("samples", samples),
      element("div", { class: "side wide" }, [curve.root, histograms.root]),
      ...alone,
      problem,
    ],
    redraw: show,
    remove: () => {
      for (const decoder of decoders.values()) decoder.close();
      curve.remove();
      histograms.remove();
    },
  };
});

/** A range with some room around numbers. @param {number[]} values @param {number} room @param {number} [least] @returns {Range} */
function around(values, room, least = -Infinity) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const wide = Math.max(high - low, 0.2 * Math.abs(high), 1);
  return [Math.max(least, low - room * wide), high + 2 * room * wide];
}
