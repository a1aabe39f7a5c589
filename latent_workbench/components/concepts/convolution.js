// Figure 9: a kernel that is moved over a small picture, and the sum that comes out at that place.

import { element } from "../shared/elements.js";
import { significant } from "../shared/format.js";
import { clamp } from "../shared/vectors.js";
import { figure, pick, Readouts, row } from "./figure.js";
import { Choice, Images } from "./images.js";
import { Stage } from "./stage.js";
import { convolvedSize, gathered, output, scattered, shrunk, summed, transposedSize } from "./sums.js";

/** @import { ImagesData } from "./images.js" */
/** @import { Setting } from "./sums.js" */

const SIDE = 7;
const LARGEST = 12; // a side of what has room for its numbers
/** @type {Record<string, (kernel: number) => number[]>} */
const KERNELS = {
  "all ones": (k) => new Array(k * k).fill(1),
  blur: (k) => new Array(k * k).fill(1 / (k * k)),
  edges: (k) =>
    Array.from({ length: k * k }, (_, i) => (i % k < (k - 1) / 2 ? 1 : i % k > (k - 1) / 2 ? -1 : 0)),
  "a cross": (k) =>
    Array.from({ length: k * k }, (_, i) =>
      Math.floor(i / k) === Math.floor(k / 2) || i % k === Math.floor(k / 2) ? 1 : 0,
    ),
};

export default figure("convolution", (/** @type {{ run: string, images: ImagesData }} */ data) => {
  const images = new Images(data.images);
  const [, height] = data.images.shape;
  let image = 3 % images.count;
  let constant = false;
  let transposed = false;
  let kernelName = "edges";
  /** @type {Setting} */
  const setting = { size: SIDE, kernel: 3, stride: 1, padding: 0 };
  let x = new Float64Array(SIDE * SIDE);
  let w = KERNELS[kernelName](3);
  let y = new Float64Array(0);
  let side = 0;
  let [atRow, atColumn] = [2, 2]; // of the output

  const products = () => (transposed ? scattered : gathered)(x, w, setting, atRow, atColumn);

  /** @param {string} name @param {string} label @param {() => { size: number, margin: number, values: ArrayLike<number>, marked: (i: number, j: number) => number }} what */
  function grid(name, label, what) {
    return new Stage({
      name: `convolution-${name}`,
      label,
      x: [0, 1],
      y: [0, 1],
      height: 300,
      square: true,
      bare: true,
      draw(pen, stage, colors) {
        const { size, margin, values, marked } = what();
        const all = size + 2 * margin;
        const cell = (stage.width - 2) / all;
        const most = Math.max(1e-9, ...Array.from(values, Math.abs));
        const font = getComputedStyle(stage.root).fontFamily;
        pen.textAlign = "center";
        pen.textBaseline = "middle";
        for (let i = -margin; i < size + margin; i++) {
          for (let j = -margin; j < size + margin; j++) {
            const [left, top] = [1 + (j + margin) * cell, 1 + (i + margin) * cell];
            const inside = i >= 0 && j >= 0 && i < size && j < size;
            const value = inside ? values[i * size + j] : 0;
            pen.globalAlpha = inside ? 1 : 0.15;
            pen.fillStyle = colors.line;
            pen.fillRect(left, top, cell - 1, cell - 1);
            pen.globalAlpha = (0.9 * Math.abs(value)) / most;
            pen.fillStyle = value < 0 ? colors.orange : colors.blue;
            pen.fillRect(left, top, cell - 1, cell - 1);
            const strength = marked(i, j);
            if (strength) {
              pen.globalAlpha = strength;
              pen.strokeStyle = colors.red;
              pen.lineWidth = 2.5;
              pen.beginPath();
              pen.moveTo(left, top);
              pen.lineTo(left + cell - 1, top);
              pen.lineTo(left + cell - 1, top + cell - 1);
              pen.lineTo(left, top + cell - 1);
              pen.closePath();
              pen.stroke();
            }
            pen.globalAlpha = inside ? 1 : 0.6;
            pen.font = `${Math.min(12, cell / 2.6)}px ${font}`;
            pen.fillStyle = colors.text;
            if (all <= LARGEST + 6) pen.fillText(short(value), left + cell / 2, top + cell / 2);
          }
        }
        pen.globalAlpha = 1;
        pen.textBaseline = "alphabetic";
      },
      rows: () => {
        const { size, values } = what();
        return Array.from(values, (value, k) => ({ row: Math.floor(k / size), column: k % size, value }));
      },
    });
  }

  const input = grid("input", "The input, and the window that is summed over", () => {
    const used = new Set(products().map(({ i, j }) => `${i},${j}`));
    const margin = transposed ? 0 : setting.padding;
    return { size: SIDE, margin, values: x, marked: (i, j) => (used.has(`${i},${j}`) ? 1 : 0) };
  });
  const weights = grid("kernel", "The kernel", () => ({
    size: setting.kernel,
    margin: 0,
    values: w,
    marked: () => 0,
  }));
  const result = grid("output", "The output, and the place that is summed", () => ({
    size: side,
    margin: 0,
    values: y,
    marked: (i, j) => (i === atRow && j === atColumn ? 1 : 0),
  }));
  result.handle({
    label: "Place in the output",
    axis: "both",
    get step() {
      return 1 / side;
    },
    at: () => [(atColumn + 0.88) / side, 1 - (atRow + 0.88) / side],
    move: (across, up) => place(Math.floor((1 - up) * side), Math.floor(across * side)),
    text: () => `row ${atRow + 1}, column ${atColumn + 1}: ${short(summed(products()))}`,
    color: "red",
  });
  input.handle({
    label: "Window over the input",
    axis: "both",
    get step() {
      const all = SIDE + (transposed ? 0 : 2 * setting.padding);
      return (transposed ? 1 : setting.stride) / all;
    },
    at: () => corner(),
    move: (across, up) => {
      const margin = transposed ? 0 : setting.padding;
      const all = SIDE + 2 * margin;
      const [i, j] = [(1 - up) * all - margin, across * all - margin]; // of the input, its corner at 0
      const { kernel, stride, padding } = setting;
      const to = (/** @type {number} */ at) =>
        transposed
          ? Math.floor(at) * stride - padding + Math.floor((kernel - 1) / 2)
          : Math.round((Math.floor(at) - (kernel - 1) + padding) / stride);
      place(to(i), to(j));
    },
    text: () => `${products().length} products, ${short(summed(products()))}`,
    color: "red",
  });

  /** The lower right corner of the window, on the drawing of the input. @returns {[number, number]} */
  function corner() {
    const found = products();
    const margin = transposed ? 0 : setting.padding;
    const all = SIDE + 2 * margin;
    const last = (/** @type {"i" | "j"} */ key) =>
      Math.max(...found.map((each) => each[key])) + margin + 0.88;
    return [last("j") / all, 1 - last("i") / all];
  }

  /** @param {number} i @param {number} j */
  function place(i, j) {
    [atRow, atColumn] = [clamp(i, 0, side - 1), clamp(j, 0, side - 1)];
    show();
  }

  const numbers = new Readouts([
    { key: "conv-size", label: "sides: in → out" },
    { key: "conv-sum", label: "sum at this place", color: "var(--st-red-color)" },
    { key: "conv-count", label: "products in it" },
    { key: "conv-overlap", label: "fewest and most in any" },
  ]);
  const sum = element("p", { class: "sum", "data-testid": "conv-terms" });

  function compute() {
    x = constant ? new Float64Array(SIDE * SIDE).fill(1) : shrunk(images.values(image), height, SIDE);
    w = KERNELS[kernelName](setting.kernel);
    side = transposed ? transposedSize(setting) : convolvedSize(setting);
    y = output(x, w, setting, transposed);
    place(atRow, atColumn);
  }

  function show() {
    const found = products();
    numbers.set("conv-size", `${SIDE} → ${side}`);
    numbers.set("conv-sum", summed(found));
    numbers.set("conv-count", String(found.filter(({ inside }) => inside).length));
    const counts = Array.from(
      y,
      (_, k) =>
        (transposed ? scattered : gathered)(x, w, setting, Math.floor(k / side), k % side).filter(
          (each) => each.inside,
        ).length,
    );
    numbers.set("conv-overlap", `${Math.min(...counts)} … ${Math.max(...counts)}`);
    const terms = found
      .filter(({ value, weight }) => value * weight !== 0)
      .map(({ value, weight }) => `${short(value)} · ${weight < 0 ? `(${short(weight)})` : short(weight)}`);
    sum.textContent = `${terms.join(" + ") || "0"} = ${short(summed(found))}`;
    for (const stage of [input, weights, result]) stage.redraw();
  }

  const choice = new Choice(images, (i) => {
    image = i;
    constant = false;
    compute();
  });
  choice.show(image);
  const flat = element("button", { type: "button" }, ["A constant image"]);
  flat.onclick = () => {
    constant = true;
    choice.show(-1);
    compute();
  };
  /** @param {string} label @param {"kernel" | "stride" | "padding"} key @param {number[]} values */
  const whole = (label, key, values) => {
    const made = pick(
      label,
      values.map((each) => [each, String(each)]),
      (value) => {
        setting[key] = Number(value);
        compute();
      },
    );
    made.choice.value = String(setting[key]);
    return made;
  };
  const kind = pick(
    "Show",
    [
      ["conv", "convolution"],
      ["transposed", "its transpose"],
    ],
    (value) => {
      transposed = value === "transposed";
      compute();
    },
  );
  const kernels = pick(
    "Weights",
    Object.keys(KERNELS).map((each) => [each, each]),
    (value) => {
      kernelName = value;
      compute();
    },
  );
  kernels.choice.value = kernelName;
  compute();
  return {
    parts: [
      row([choice.root, flat]),
      row([
        kind,
        whole("Kernel", "kernel", [2, 3, 4]),
        whole("Stride", "stride", [1, 2, 3]),
        whole("Padding", "padding", [0, 1]),
        kernels,
      ]),
      numbers.root,
      element("div", { class: "kernels" }, [input.root, weights.root, result.root]),
      sum,
    ],
    redraw: show,
    remove: () => {
      for (const stage of [input, weights, result]) stage.remove();
    },
  };
});

/** @param {number} value */
function short(value) {
  return significant(Math.abs(value) < 0.005 ? 0 : Math.round(value * 100) / 100, 3);
}
