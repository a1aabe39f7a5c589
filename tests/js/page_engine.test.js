// The decoder in the page, over a worker that a test lets answer.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { pageEngine } from "../../latent_workbench/components/page/page_engine.js";
import { toBase64 } from "../../latent_workbench/components/shared/vectors.js";

/** What the worker was asked. @type {any[]} */
let asked;
/** @type {any} */
let worker;
/** Kinds of the pictures that came, with how many and their first numbers. @type {any[]} */
let shown;
/** @type {import("../../latent_workbench/components/explorer/live_engine.js").Decoder} */
let decoder;

const model = {
  program: { inputs: [0], sizes: [2] },
  mu: toBase64(Float32Array.from([1, 2, 3, 4])),
  region: null,
  density: null,
  shape: [1, 1, 1],
  atlas: null,
  drawn: null,
};
const z = (/** @type {number[]} */ ...firsts) => firsts.map((x) => Float32Array.from([x, 0]));

/** The worker answers what it was asked last: a picture of one pixel, the first number of z. */
async function answer() {
  const { id, z } = asked.at(-1);
  worker.onmessage({ data: { id, pixels: Uint8Array.of(z[0]), location: null } });
  await new Promise((later) => setTimeout(later));
}

beforeEach(() => {
  asked = [];
  shown = [];
  worker = {
    postMessage: (/** @type {any} */ message) => "program" in message || asked.push(message),
    onmessage: null,
  };
  decoder = pageEngine(/** @type {any} */ (model), worker).decoder(null, {
    onPictures: (kind, { pixels, count }, first) => shown.push([kind, count, [...pixels], first]),
    onVector: (vector) => shown.push([...vector]),
    onProblem: (sentence) => sentence && shown.push(sentence),
  });
});

test("a hand waits for one picture of a filmstrip at most", async () => {
  decoder.ask("strips", z(1, 2, 3), { first: 4 });
  decoder.ask("picture", z(9), { nearest: 5 });
  await answer();
  assert.deepEqual([asked[1].z[0], asked[1].nearest], [9, 5]);
  await answer();
  await answer();
  await answer();
  assert.deepEqual(shown, [
    ["picture", 1, [9], 0],
    ["strips", 3, [1, 2, 3], 4],
  ]);
});

test("of each kind only the newest counts, and a hand that never rests sees it follow", async () => {
  decoder.ask("picture", z(1));
  for (let i = 2; i < 9; i++) decoder.ask("picture", z(i));
  await answer();
  await answer();
  assert.deepEqual(shown, [
    ["picture", 1, [1], 0],
    ["picture", 1, [8], 0],
  ]);
  assert.equal(asked.length, 2);
});

test("each picture is told where the dial is, or the label, or that none is known", async () => {
  decoder.ask("picture", z(1));
  await answer();
  decoder.dialled = () => 3;
  decoder.ask("dial", z(1, 1), { dials: [5, 6] });
  await answer();
  await answer();
  decoder.ask("picture", z(1));
  assert.deepEqual(
    asked.map((each) => each.told),
    [-1, 5, 6, 3],
  );
});

test("vectors come without the worker: an encoding, a draw", async () => {
  decoder.askVector({ type: "encoding", index: 1 });
  await new Promise((later) => setTimeout(later));
  decoder.askVector({ type: "random", temperature: 0 });
  await new Promise((later) => setTimeout(later));
  assert.deepEqual(
    shown.map((vector) => vector.map(Math.abs)),
    [
      [3, 4],
      [0, 0],
    ],
  );
});

test("what the worker cannot do is said, and nothing comes after the end", async () => {
  decoder.ask("picture", z(1));
  worker.onmessage({ data: { id: asked[0].id, problem: "Error: no" } });
  await new Promise((later) => setTimeout(later));
  assert.deepEqual(shown, ["The picture cannot be computed. Error: no"]);
  decoder.ask("picture", z(2));
  decoder.close();
  await answer();
  assert.equal(shown.length, 1);
});
