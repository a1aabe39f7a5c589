// Arrays of numbers that Python sent: small ones with the message, large ones by a route of their own.

import { liveAddress } from "./address.js";
import { fromBase64 } from "./vectors.js";

/** @typedef {string | { array: string }} Sent base64, or what the live route `arrays` knows it by */

const LONGEST_PAUSE_MS = 8000;

export class Arrays {
  /** What has been fetched. @type {Map<string, ArrayBuffer>} */
  buffers = new Map();

  /**
   * Have all that `data` speaks of at hand, and forget what it no longer does.
   *
   * @param {unknown} data
   * @returns {Promise<string>} a sentence where something is gone from the server, else ""
   */
  async fetch(data) {
    const wanted = [...new Set(sentBeside(data))];
    const found = await Promise.all(
      wanted.map(async (name) => this.buffers.get(name) ?? (await fetched(name))),
    );
    const kept = wanted.flatMap((name, k) => (found[k] ? [[name, found[k]]] : []));
    this.buffers = new Map(/** @type {[string, ArrayBuffer][]} */ (kept));
    return kept.length < wanted.length
      ? "The points are no longer kept by the app. Reload the page to see them."
      : "";
  }

  /**
   * @template T
   * @param {Sent} sent fetched before, where it came by the route
   * @param {{ new (buffer: ArrayBuffer): T }} Type of typed array
   */
  read(sent, Type) {
    if (typeof sent === "string") return fromBase64(sent, Type);
    return new Type(this.buffers.get(sent.array) ?? new ArrayBuffer(0));
  }
}

/** @param {unknown} data @returns {Generator<string>} */
function* sentBeside(data) {
  if (!data || typeof data !== "object") return;
  if ("array" in data && typeof data.array === "string") yield data.array;
  else for (const each of Object.values(data)) yield* sentBeside(each);
}

/** @param {string} name @returns {Promise<ArrayBuffer | null>} null where the server has it no more */
async function fetched(name) {
  for (let pause = 250; ; pause = Math.min(LONGEST_PAUSE_MS, 2 * pause)) {
    try {
      const response = await fetch(liveAddress(["arrays", name]));
      if (response.ok) return await response.arrayBuffer();
      if (response.status === 404) return null;
    } catch {
      // no connection: it may come back
    }
    await new Promise((next) => setTimeout(next, pause));
  }
}

/** True where two messages speak of the same array. @param {Sent | null} a @param {Sent | null} [b] */
export function sameArray(a, b) {
  const name = (/** @type {Sent | null | undefined} */ each) =>
    each && typeof each === "object" ? each.array : each;
  return name(a) === name(b);
}
