// The requests of the browser that both sides are tested with; tests/frames.py says how.
// `node tests/js/frames.js` writes them.

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { requestFrame } from "../../latent_workbench/components/explorer/frames.js";

const FRAMES = new URL("../fixtures/frames/", import.meta.url);

export const content = JSON.parse(readFileSync(new URL("frames.json", FRAMES), "utf-8"));

/** @param {string} name */
export function fixture(name) {
  return Uint8Array.from(readFileSync(new URL(`${name}.bin`, FRAMES)));
}

/** Every request, by its name. */
export function requests() {
  return ["request", "plain_request"].map((name) => {
    const { sequence, nearest, vectors } = content[name];
    const arrays = vectors.map((/** @type {number[]} */ each) => Float32Array.from(each));
    return { name, frame: new Uint8Array(requestFrame(arrays, sequence, nearest)) };
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { name, frame } of requests()) writeFileSync(new URL(`${name}.bin`, FRAMES), frame);
}
