// Figure 8: one code for two real images, and what four decoders make of it.

import { element } from "../shared/elements.js";
import { figure, push, Readouts, row, slide } from "./figure.js";
import { normal, random } from "./gaussian.js";
import { Choice, drawValues, Images } from "./images.js";
import {
  bestLogistic,
  choiceNats,
  gaussianNats,
  logisticNats,
  mean,
  NARROWEST,
  variance,
} from "./mixtures.js";

/** @import { ImagesData } from "./images.js" */

const GUESSED = 0.1; // σ, as of a decoder that does not learn it

export default figure("blur", (/** @type {{ run: string, images: ImagesData }} */ data) => {
  const images = new Images(data.images);
  const { shape } = data.images;
  let [first, second] = [3 % images.count, 5 % images.count];
  let w = 0.5;
  let seed = 1;

  const kinds = [
    { key: "gaussian", name: "Gaussian, σ = 0.1", says: "the mean, and every miss at a fixed price" },
    { key: "sigma", name: "σ-VAE", says: "the same mean; σ is the error that is really made" },
    { key: "logistic", name: "discretised logistics", says: "each value has its own scale" },
    { key: "hierarchy", name: "two levels", says: "a latent says which, for H(w) nats" },
  ].map((kind) => {
    const picture = element("canvas", {
      class: "tile",
      role: "img",
      "aria-label": `What ${kind.name} decodes`,
    });
    const draw = element("canvas", { class: "tile", role: "img", "aria-label": `A draw of ${kind.name}` });
    const nats = element("b", { "data-testid": `blur-${kind.key}` });
    const root = element("tr", {}, [
      element("th", { scope: "row" }, [kind.name, element("small", {}, [kind.says])]),
      element("td", {}, [picture]),
      element("td", {}, [draw]),
      element("td", { class: "number" }, [nats]),
    ]);
    return { ...kind, picture, draw, nats, root };
  });
  const table = element("table", {}, [
    element("thead", {}, [
      element(
        "tr",
        {},
        ["Decoder", "its mean", "a draw", "nats per image"].map((each) =>
          element("th", { scope: "col" }, [each]),
        ),
      ),
    ]),
    element(
      "tbody",
      {},
      kinds.map(({ root }) => root),
    ),
  ]);
  const numbers = new Readouts([
    { key: "blur-mse", label: "error of the mean (MSE)", color: "var(--st-blue-color)" },
    { key: "blur-best-sigma", label: "the best σ", title: "The root of the mean squared error." },
    { key: "blur-choice", label: "H(w), to say which", unit: "nats", color: "var(--st-orange-color)" },
  ]);

  function show() {
    const [a, b] = [images.values(first), images.values(second)];
    const middle = mean(a, b, w);
    const squared = variance(a, b, w);
    const sigma = Math.max(Math.sqrt(squared), 1 / 512);
    const even = random(seed);
    const noise = normal(random(seed + 1));
    const chosen = even() < w ? a : b;
    const logistics = Array.from(a, (each, i) => bestLogistic(each, b[i], w));
    const drawn = (/** @type {number} */ at, /** @type {number} */ scale) => {
      const u = Math.min(1 - 1e-9, Math.max(1e-9, even()));
      return at + scale * Math.log(u / (1 - u));
    };
    /** @type {Record<string, { mean: ArrayLike<number>, draw: ArrayLike<number>, nats: number }>} */
    const made = {
      gaussian: {
        mean: middle,
        draw: middle.map((each) => each + GUESSED * noise()),
        nats: gaussianNats(squared, GUESSED, a.length),
      },
      sigma: {
        mean: middle,
        draw: middle.map((each) => each + sigma * noise()),
        nats: gaussianNats(squared, sigma, a.length),
      },
      logistic: {
        mean: logistics.map(({ mu }) => mu),
        draw: logistics.map(({ mu, scale }) => drawn(mu, scale)),
        nats: logistics.reduce((sum, { nats }) => sum + nats, 0),
      },
      hierarchy: {
        mean: chosen,
        draw: Float64Array.from(chosen, (each) => drawn(each, NARROWEST)),
        nats:
          choiceNats(w) +
          [a, b].reduce(
            (sum, image, k) =>
              sum +
              (k ? 1 - w : w) * image.reduce((all, each) => all + logisticNats(each, each, NARROWEST), 0),
            0,
          ),
      },
    };
    for (const { key, picture, draw, nats } of kinds) {
      drawValues(picture, made[key].mean, shape);
      drawValues(draw, made[key].draw, shape);
      nats.textContent = Math.round(made[key].nats).toString().replace("-", "−");
    }
    numbers.set("blur-mse", squared);
    numbers.set("blur-best-sigma", sigma);
    numbers.set("blur-choice", choiceNats(w));
  }

  const one = new Choice(
    images,
    (i) => {
      first = i;
      show();
    },
    "First image",
  );
  const other = new Choice(
    images,
    (i) => {
      second = i;
      show();
    },
    "Second image",
  );
  one.show(first);
  other.show(second);
  const weight = slide(
    "How often the first comes, w",
    { min: 0, max: 1, step: 0.01, value: w, text: (value) => value.toFixed(2) },
    (value) => {
      w = value;
      show();
    },
  );
  show();
  return {
    parts: [
      row([element("span", {}, ["First"]), one.root]),
      row([element("span", {}, ["Second"]), other.root]),
      row([
        weight,
        push("Draw again", () => {
          seed += 2;
          show();
        }),
      ]),
      numbers.root,
      table,
    ],
    redraw: show,
  };
});
