// What decodes beside the page, so that no picture holds up a hand: one message a picture.

import { fromBase64 } from "../shared/vectors.js";
import { Graph } from "./graph.js";
import { Mixture, Region } from "./region.js";

/**
 * @typedef {object} Model what the worker is told first
 * @property {import("./graph.js").Program} program
 * @property {string | null} mu [N, D] of the encodings, base64 of float32
 * @property {import("./region.js").RegionData | null} region
 * @property {import("./region.js").MixtureData | null} density null where the prior has none
 * @property {[number, number, number]} shape of a picture, [channels, height, width]
 *
 * @typedef {{ id: number, z: Float32Array, told: number, nearest: number }} Asked
 * @typedef {{ id: number, pixels?: Uint8Array, location?: import("../explorer/frames.js").Location | null,
 *   problem?: string }} Answered
 */

/** @param {Model} model @returns {(asked: Asked) => Answered} */
export function answering({ program, mu, region, density, shape }) {
  const graph = new Graph(program);
  const size = graph.inputs[0].length;
  const place = mu && region ? new Region(fromBase64(mu, Float32Array), region) : null;
  const mixture = density ? new Mixture(density, size) : null;
  return ({ id, z, told, nearest }) => {
    const pixels = graph.picture(z, told, shape[0]);
    if (!nearest || !place) return { id, pixels, location: null };
    const log_density = mixture ? mixture.logDensity(z) : Number.NaN;
    return { id, pixels, location: { ...place.place(z, nearest), log_density } };
  };
}

/**
 * Listen, within a worker.
 * @param {{ onmessage: ((event: MessageEvent) => void) | null,
 *   postMessage: (message: Answered, transfer: Transferable[]) => void }} scope
 */
export function listen(scope) {
  /** @type {((asked: Asked) => Answered) | undefined} */
  let answer;
  scope.onmessage = ({ data }) => {
    try {
      if ("program" in data) answer = answering(data);
      else if (answer) {
        const answered = answer(data);
        scope.postMessage(answered, answered.pixels ? [answered.pixels.buffer] : []);
      }
    } catch (error) {
      scope.postMessage({ id: data.id ?? 0, problem: String(error) }, []);
    }
  };
}
