// Figure 3: two latent planes side by side under one hand, and random codes through both decoders.

import { LiveDecoder } from "../explorer/decoder.js";
import { Arrays } from "../shared/arrays.js";
import { context, drawPixels } from "../shared/canvas.js";
import { element, setText } from "../shared/elements.js";
import { figure, pick, push, Readouts, row } from "./figure.js";
import { normal, random } from "./gaussian.js";
import { correlated, lengths, median, unlikeness } from "./nearest.js";
import { Stage } from "./stage.js";

/** @import { Pixels } from "../shared/canvas.js" */
/** @import { Sent } from "../shared/arrays.js" */

/**
 * @typedef {object} SideData as Python sends it
 * @property {string} run
 * @property {string} name
 * @property {number} size D
 * @property {Sent} center [D]
 * @property {Sent} axes [2, D] of one σ each
 * @property {Sent} points [n, 2] in σ
 * @property {Sent} labels uint8 [n]
 * @property {Sent} mean [D]
 * @property {Sent} root [D, D], of the covariance
 *
 * @typedef {object} HolesData
 * @property {SideData[]} sides the autoencoder, then the VAE
 * @property {Sent} images uint8 [n, size], real ones to compare with
 * @property {Sent} others uint8 [m, size], real ones to be compared
 * @property {string[]} colors of labels
 */

const REACH = 3; // σ
const GRID = 8; // pictures a side: as many as one request holds
const DRAWS = 32;
const IN_A_ROW = 8;

class Side {
  /** @type {Pixels | null} */
  grid = null;
  /** @type {HTMLCanvasElement | null} */
  tiles = null;
  unlike = Number.NaN;

  /** @param {SideData} data @param {Arrays} arrays @param {(picture: Uint8Array) => number} far how unlike to all real ones @param {{ at: () => [number, number], move: (x: number, y: number) => void, layer: () => string, colors: string[], tell: () => void, say: (sentence: string) => void }} shared */
  constructor(data, arrays, far, shared) {
    this.data = data;
    this.shared = shared;
    this.far = far;
    const read = (/** @type {Sent} */ sent) => arrays.read(sent, Float32Array);
    this.center = read(data.center);
    this.axes = read(data.axes);
    this.points = read(data.points);
    this.labels = arrays.read(data.labels, Uint8Array);
    this.mean = read(data.mean);
    this.covariance = read(data.root);
    this.picture = element("canvas", {
      role: "img",
      "aria-label": `What the ${data.name} decodes at the dot`,
    });
    this.drawn = element("canvas", {
      class: "draws",
      role: "img",
      "aria-label": `Random codes through the ${data.name}`,
    });
    this.stage = this.plane();
    this.decoder = new LiveDecoder(data.run, null, {
      onPictures: (kind, pictures) => this.take(kind, pictures),
      onVector: () => {},
      onProblem: shared.say,
    });
    /** @type {Float32Array[]} */
    const cells = [];
    for (let j = GRID - 1; j >= 0; j--) {
      for (let i = 0; i < GRID; i++) cells.push(this.vector(place(i), place(j)));
    }
    this.decoder.ask("strips", cells);
    this.root = element("div", { class: "half" }, [
      element("b", {}, [`${data.name} (${data.run})`]),
      element("div", { class: "beside" }, [
        this.stage.root,
        element("figure", { class: "picture" }, [this.picture]),
      ]),
      this.drawn,
    ]);
  }

  plane() {
    const { data, shared } = this;
    const stage = new Stage({
      name: `holes-${data.run}`,
      label: `The plane of the ${data.name}'s first two principal directions`,
      x: [-REACH, REACH],
      y: [-REACH, REACH],
      height: 300,
      square: true,
      xTitle: "principal 1 (and 2 upwards), σ of the codes",
      draw: (pen, here, colors) => {
        const layer = shared.layer();
        if (this.tiles && layer !== "codes") {
          pen.imageSmoothingEnabled = false;
          pen.globalAlpha = layer === "both" ? 0.75 : 1;
          const [left, top] = [here.px(-REACH), here.py(REACH)];
          const { width, height } = this.tiles;
          pen.drawImage(
            this.tiles,
            0,
            0,
            width,
            height,
            left,
            top,
            here.px(REACH) - left,
            here.py(-REACH) - top,
          );
          pen.globalAlpha = 1;
        }
        if (layer === "pictures") return;
        for (let i = 0; i < this.labels.length; i++) {
          const [x, y] = [this.points[2 * i], this.points[2 * i + 1]];
          if (Math.abs(x) > REACH || Math.abs(y) > REACH) continue;
          pen.fillStyle = shared.colors[this.labels[i] % shared.colors.length];
          pen.fillRect(here.px(x) - 1.5, here.py(y) - 1.5, 3, 3);
        }
        pen.fillStyle = colors.text;
      },
      rows: () =>
        Array.from(this.labels, (label, i) => ({ label, x: this.points[2 * i], y: this.points[2 * i + 1] })),
    });
    stage.handle({
      label: `Code of the ${data.name}`,
      axis: "both",
      step: 0.1,
      at: shared.at,
      move: shared.move,
      text: () => `${shared.at()[0].toFixed(2)} σ, ${shared.at()[1].toFixed(2)} σ`,
      color: "red",
    });
    return stage;
  }

  /** @param {number} x @param {number} y in σ along the two directions */
  vector(x, y) {
    const { size } = this.data;
    return Float32Array.from(this.center, (each, d) => each + x * this.axes[d] + y * this.axes[size + d]);
  }

  follow() {
    this.decoder.ask("picture", [this.vector(...this.shared.at())]);
    this.stage.redraw();
  }

  /** Random codes. @param {boolean} fitted to the codes, else N(0, I) @param {number} seed */
  draw(fitted, seed) {
    const noise = normal(random(seed));
    const zero = new Float32Array(this.data.size);
    const vectors = Array.from({ length: DRAWS }, () => {
      const one = Float32Array.from(zero, () => noise());
      return fitted ? correlated(this.mean, this.covariance, one) : one;
    });
    this.decoder.ask("ends", vectors);
  }

  /** @param {string} kind @param {Pixels} pictures */
  take(kind, pictures) {
    if (kind === "picture") drawPixels(this.picture, pictures, 0);
    else if (kind === "strips") {
      this.tiles = tiled(pictures, GRID);
      this.stage.redraw();
    } else {
      const rows = tiled(pictures, IN_A_ROW);
      this.drawn.width = rows.width;
      this.drawn.height = rows.height;
      context(this.drawn).drawImage(rows, 0, 0);
      const found = Array.from({ length: pictures.count }, (_, k) => this.far(planar(pictures, k)));
      this.unlike = median(found);
      this.shared.tell();
    }
  }

  remove() {
    this.decoder.close();
    this.stage.remove();
  }
}

export default figure("holes", (/** @type {HolesData} */ data) => {
  /** @type {[number, number]} */
  let at = [0.4, 1.1];
  let layer = "both";
  let fitted = false;
  let seed = 1;
  /** @type {Side[]} */
  let sides = [];
  let gone = false;
  const arrays = new Arrays();
  const problem = element("p", { class: "problem", role: "alert" });
  const place = element("div", { class: "side wide" });
  const title =
    "1 − cos of the angle to the most similar of 800 real images; 0 is a copy. The median of 32 pictures.";
  const numbers = new Readouts([
    {
      key: "holes-ae",
      label: "autoencoder's draws: unlike any real image",
      color: "var(--st-red-color)",
      title,
    },
    { key: "holes-vae", label: "VAE's draws", color: "var(--st-blue-color)", title },
    { key: "holes-real", label: "other real images", title },
  ]);

  function tell() {
    const [plain, smooth] = sides;
    numbers.set("holes-ae", plain.unlike);
    numbers.set("holes-vae", smooth.unlike);
  }

  function draw() {
    for (const side of sides) side.draw(fitted, seed);
  }

  const shared = {
    at: () => at,
    /** @param {number} x @param {number} y */
    move: (x, y) => {
      at = [x, y];
      for (const side of sides) side.follow();
    },
    layer: () => layer,
    colors: data.colors,
    tell,
    say: (/** @type {string} */ sentence) => setText(problem, sentence),
  };

  arrays.fetch(data).then((sentence) => {
    if (gone) return;
    setText(problem, sentence);
    if (sentence) return;
    const [real, others] = [arrays.read(data.images, Uint8Array), arrays.read(data.others, Uint8Array)];
    const size = others.length / DRAWS;
    const long = lengths(real, size);
    const far = (/** @type {Uint8Array} */ picture) => unlikeness(picture, real, long);
    sides = data.sides.map((each) => new Side(each, arrays, far, shared));
    const rest = Array.from({ length: DRAWS }, (_, k) => far(others.subarray(k * size, (k + 1) * size)));
    numbers.set("holes-real", median(rest));
    place.append(...sides.map(({ root }) => root));
    for (const side of sides) side.follow();
    draw();
  });

  return {
    parts: [
      numbers.root,
      place,
      row([
        push("Draw other codes", () => {
          seed += 1;
          draw();
        }),
        pick(
          "Codes from",
          [
            ["prior", "the prior N(0, I)"],
            ["fitted", "a Gaussian fitted to each one's codes"],
          ],
          (value) => {
            fitted = value === "fitted";
            draw();
          },
        ),
        pick(
          "Plane",
          [
            ["both", "pictures and codes"],
            ["pictures", "pictures"],
            ["codes", "codes"],
          ],
          (value) => {
            layer = value;
            for (const side of sides) side.stage.redraw();
          },
        ),
      ]),
      problem,
    ],
    redraw: () => {
      for (const side of sides) side.stage.redraw();
    },
    remove: () => {
      gone = true;
      for (const side of sides) side.remove();
    },
  };
});

/** Where cell i of a row or column lies, in σ. @param {number} i */
function place(i) {
  return -REACH + (2 * REACH * (i + 0.5)) / GRID;
}

/** Picture k, channel after channel. @param {Pixels} pictures @param {number} k */
function planar({ channels, height, width, pixels }, k) {
  const size = height * width;
  const start = k * size * channels;
  if (channels === 1) return pixels.subarray(start, start + size);
  return Uint8Array.from(
    { length: size * channels },
    (_, i) => pixels[start + (i % size) * channels + Math.floor(i / size)],
  );
}

/** Pictures in rows of so many. @param {Pixels} pictures @param {number} columns */
function tiled(pictures, columns) {
  const { count, width, height } = pictures;
  const canvas = element("canvas", { width: columns * width, height: Math.ceil(count / columns) * height });
  const one = element("canvas");
  for (let k = 0; k < count; k++) {
    drawPixels(one, pictures, k);
    context(canvas).drawImage(one, (k % columns) * width, Math.floor(k / columns) * height);
  }
  return canvas;
}
