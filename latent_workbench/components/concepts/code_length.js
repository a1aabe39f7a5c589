// Figure 1: columns as wide as a symbol is frequent and as high as its code is long, so that areas are
// mean code lengths.

import { element } from "../shared/elements.js";
import { clamp } from "../shared/vectors.js";
import { crossEntropy, divergence, entropy, frequencies, huffman, levelsOf, withEntry } from "./codes.js";
import { figure, pick, push, Readouts, row } from "./figure.js";
import { Choice, Images } from "./images.js";
import { Stage } from "./stage.js";

/** @import { ImagesData } from "./images.js" */

const MOST = 8; // symbols
const LEAST = 0.004; // probability that a hand can set
const SENTENCE = "an entropy is the mean length of the best code";
const LONGEST = 8; // bits in sight

export default figure("code-length", (/** @type {{ run: string, images: ImagesData }} */ data) => {
  const images = new Images(data.images);
  let { symbols, p } = frequencies(SENTENCE, MOST);
  let q = p.map(() => 1 / p.length);
  let unit = "bits";

  const stage = new Stage({
    name: "code-length",
    label: "A column for each symbol: as wide as it is frequent, as high as its code is long",
    x: [0, 1],
    y: [0, LONGEST],
    height: 330,
    xTitle: "how often, p: widths; the areas are mean code lengths",
    yTitle: "code length, bits",
    draw(pen, here, colors) {
      const words = huffman(q);
      let from = 0;
      const font = getComputedStyle(here.root).fontFamily;
      p.forEach((share, i) => {
        const [believed, best] = [Math.min(LONGEST, -Math.log2(q[i])), Math.min(LONGEST, -Math.log2(share))];
        const [left, wide] = [here.px(from), here.px(from + share) - here.px(from) - 1.5];
        const block = (/** @type {number} */ low, /** @type {number} */ high) =>
          pen.fillRect(left, here.py(high), wide, here.py(low) - here.py(high));
        pen.globalAlpha = 0.6;
        pen.fillStyle = colors.blue;
        block(0, Math.min(believed, best));
        pen.globalAlpha = 0.8;
        pen.fillStyle = believed > best ? colors.orange : colors.line;
        block(Math.min(believed, best), Math.max(believed, best));
        pen.globalAlpha = 1;
        pen.textAlign = "center";
        pen.font = `bold 13px ${font}`;
        if (wide > 8) here.words(pen, colors, symbols[i], left + wide / 2, here.py(0) - 22);
        pen.font = `10px ${font}`;
        if (wide > 6 * words[i].length + 4)
          here.words(pen, colors, words[i], left + wide / 2, here.py(0) - 7);
        from += share;
      });
    },
    rows: () =>
      symbols.map((symbol, i) => ({
        symbol,
        p: p[i],
        q: q[i],
        bits: -Math.log2(q[i]),
        best_bits: -Math.log2(p[i]),
        word: huffman(q)[i],
      })),
  });

  const before = (/** @type {number} */ i) => p.slice(0, i).reduce((sum, each) => sum + each, 0);
  for (let i = 0; i < MOST; i++) {
    stage.handle({
      label: `Code length of symbol ${i + 1}`,
      axis: "y",
      step: 0.1,
      at: () => [before(i) + (p[i] ?? 0) / 2, i < q.length ? -Math.log2(q[i]) : 0],
      move: (_, bits) => {
        q = withEntry(q, i, clamp(2 ** -bits, LEAST, 1 - LEAST * q.length));
        show();
      },
      text: () => (i < q.length ? `${symbols[i]}: ${(-Math.log2(q[i])).toFixed(2)} bits` : ""),
      color: "orange",
    });
  }
  for (let i = 0; i < MOST - 1; i++) {
    stage.handle({
      label: `Border between symbols ${i + 1} and ${i + 2}`,
      axis: "x",
      step: 0.01,
      at: () => [before(i + 1), 0],
      move: (x) => {
        const [low, both] = [before(i), p[i] + p[i + 1]];
        const share = clamp(x - low, LEAST, both - LEAST);
        p = p.map((each, k) => (k === i ? share : k === i + 1 ? both - share : each));
        show();
      },
      text: () => (i + 1 < p.length ? `${symbols[i]}: ${(100 * p[i]).toFixed(1)} %` : ""),
      color: "blue",
    });
  }

  const numbers = new Readouts([
    { key: "code-entropy", label: "entropy H(p)", color: "var(--st-blue-color)" },
    { key: "code-cross", label: "cross-entropy H(p, q)" },
    { key: "code-kl", label: "KL(p‖q)", color: "var(--st-orange-color)" },
    { key: "code-huffman", label: "whole bits (Huffman)" },
  ]);
  const sentence = element("input", {
    type: "text",
    value: SENTENCE,
    maxlength: 200,
    "aria-label": "Sentence",
  });
  sentence.oninput = () => {
    const found = frequencies(sentence.value, MOST);
    if (found.p.length > 1)
      take(
        found.symbols,
        found.p,
        found.p.map(() => 1 / found.p.length),
      );
  };
  const choice = new Choice(images, (i) => {
    const all = Float64Array.from({ length: images.count * images.size }, (_, k) => images.bytes[k] / 255);
    const names = Array.from({ length: MOST }, (_, k) => (k ? (k === MOST - 1 ? "white" : `${k}`) : "black"));
    take(names, levelsOf(images.values(i), MOST), levelsOf(all, MOST));
  });

  /** @param {string[]} names @param {number[]} often @param {number[]} believed */
  function take(names, often, believed) {
    [symbols, p, q] = [names, often, believed];
    show();
  }

  function show() {
    const a = unit === "nats" ? Math.LN2 : 1;
    const words = huffman(q);
    numbers.set("code-entropy", entropy(p) * a, unit);
    numbers.set("code-cross", crossEntropy(p, q) * a, unit);
    numbers.set("code-kl", divergence(p, q) * a, unit);
    numbers.set("code-huffman", p.reduce((sum, each, i) => sum + each * words[i].length, 0) * a, unit);
    stage.handles.forEach(({ button }, i) => {
      button.hidden = i < MOST ? i >= p.length : i - MOST >= p.length - 1;
    });
    stage.redraw();
  }

  show();
  return {
    parts: [
      row([element("label", { class: "labelled grow" }, ["Letters of", sentence])]),
      row([element("span", {}, [`or grey levels of an image of ${data.run}`]), choice.root]),
      numbers.root,
      stage.root,
      row([
        push(
          "Make the code fit",
          () => take(symbols, p, [...p]),
          "Believe the frequencies as they are: q = p",
        ),
        push(
          "Even code",
          () =>
            take(
              symbols,
              p,
              p.map(() => 1 / p.length),
            ),
          "The same length for every symbol",
        ),
        pick(
          "Unit",
          [
            ["bits", "bits"],
            ["nats", "nats"],
          ],
          (value) => {
            unit = value;
            show();
          },
        ),
      ]),
    ],
    redraw: show,
    remove: () => stage.remove(),
  };
});
