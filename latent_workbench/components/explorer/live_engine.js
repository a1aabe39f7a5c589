// What an explorer asks of whoever holds the model; and the app's server as the one who does. A page
// that was exported holds it itself: page/page_engine.js.

import { liveAddress } from "../shared/address.js";
import { fetchPicture } from "../shared/thumbnails.js";
import { LiveDecoder } from "./decoder.js";

/**
 * @typedef {import("./decoder.js").DecoderEvents} DecoderEvents
 * @typedef {import("./starting_points.js").Encoded} Encoded
 * @typedef {Record<string, string | number | null>} Told what goes with a request
 *
 * @typedef {Pick<LiveDecoder, "live" | "dialled" | "ask" | "askVector" | "awaits" | "close">} Decoder
 *
 * @typedef {object} Engine
 * @property {(label: number | null, on: DecoderEvents) => Decoder} decoder of a model that is told a label
 * @property {(version: string) => Promise<ImageBitmap | null>} atlas the thumbnails in one picture
 * @property {{
 *   encode: (blob: Blob, told: Told) => Promise<Encoded>,
 *   animation: (vectors: ArrayBuffer, how: Told) => Promise<Blob>,
 *   holdOuts: () => Promise<ImageBitmap | null>,
 * } | null} server what only a server does: encode an image, draw an animation, show the images
 *   kept aside
 */

/** What the server says that a person can mend. */
export class Refused extends Error {}

/** The server that this page came from. @param {string} run @returns {Engine} */
export function liveEngine(run) {
  return {
    decoder: (label, on) => new LiveDecoder(run, label, on),
    atlas: (version) => fetchPicture(liveAddress(["thumbnails", run], { v: version })),
    server: {
      encode: async (blob, told) =>
        (await fetch(liveAddress(["encode", run], told), { method: "POST", body: blob })).json(),
      animation: async (vectors, how) => {
        const response = await fetch(liveAddress(["animation", run], how), { method: "POST", body: vectors });
        if (!response.ok) throw new Refused((await response.json()).message);
        return response.blob();
      },
      holdOuts: () => fetchPicture(liveAddress(["preview", run, "originals.png"])),
    },
  };
}
