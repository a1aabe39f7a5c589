// A run in one page: the explorer over a model that the page holds itself. What a person does here
// Python hears nothing of, so the little that Python does for the app's explorer is done here.

import { Explorer } from "../explorer/explorer.js";
import { element } from "../shared/elements.js";
import { fromBase64, toBase64 } from "../shared/vectors.js";
import { pageEngine } from "./page_engine.js";

/**
 * @typedef {object} PageData as vae_core/export/html.py writes it
 * @property {import("../explorer/explorer.js").ExplorerData} explorer with all of its directions
 * @property {number} shown how many of them at first
 * @property {import("./page_engine.js").PageModel} model
 * @property {string} about the run, a sentence
 * @property {string} note what a person who moves latents should know
 */

/** The first `count` directions. @param {PageData} data @param {number} count */
export function withDirections({ explorer }, count) {
  const { directions } = explorer;
  const most = directions.names.length;
  const shown = Math.min(count, most);
  const numbers = fromBase64(directions.vectors, Float32Array);
  return {
    ...explorer,
    directions: {
      ...directions,
      id: `${directions.id}/${shown}`,
      total: most,
      vectors: toBase64(numbers.slice(0, (numbers.length / most) * shown)),
      deviations: directions.deviations.slice(0, shown),
      explained: directions.explained?.slice(0, shown) ?? null,
      names: directions.names.slice(0, shown),
      dead: directions.dead.slice(0, shown),
    },
  };
}

/** @param {PageData} data @param {HTMLElement} parent @param {Worker} worker */
export function openPage(data, parent, worker) {
  parent.append(
    element("header", {}, [element("h1", {}, [data.explorer.run]), element("p", {}, [data.about])]),
  );
  const explorer = new Explorer(parent, withDirections(data, data.shown), pageEngine(data.model, worker));
  explorer.sendTrigger = (_, count) => explorer.update(withDirections(data, Number(count)));
  parent.append(element("footer", {}, [data.note]));
}
