// Decoders that Python has translated, carried out: programs come on the standard input of
// tests/js/decode.js from tests/test_html.py. Here is what needs no model.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fromHalf, Graph } from "../../latent_workbench/components/page/graph.js";
import { product } from "../../latent_workbench/components/page/kernels.js";
import { toBase64 } from "../../latent_workbench/components/shared/vectors.js";

test("a float16 is the number that its bits say", () => {
  const known = { 0: 0, 15360: 1, 48128: -1, 13653: 0.333251953125, 31743: 65504, 1: 2 ** -24 };
  for (const [bits, value] of Object.entries(known)) assert.equal(fromHalf(Number(bits)), value);
});

test("a product of any size is the sum of products", () => {
  for (const [rows, inner, columns] of [
    [4, 3, 4],
    [5, 7, 9],
    [1, 2, 3],
  ]) {
    const a = Float32Array.from({ length: rows * inner }, (_, i) => (i % 11) - 5);
    const b = Float32Array.from({ length: inner * columns }, (_, i) => (i % 7) - 3);
    const c = new Float32Array(rows * columns);
    product(c, 0, a, 0, b, 0, rows, inner, columns);
    for (let i = 0; i < rows * columns; i++) {
      const [row, column] = [Math.floor(i / columns), i % columns];
      let sum = 0;
      for (let k = 0; k < inner; k++) sum += a[row * inner + k] * b[k * columns + column];
      assert.equal(c[i], sum);
    }
  }
});

test("a step that nobody has taught is refused by its name", () => {
  const program = {
    inputs: [0],
    sizes: [1, 1],
    steps: [{ do: "constructor", in: [0], out: [1] }],
    constants: [],
    result: 1,
    tensors: [],
    data: toBase64(new Uint8Array()),
  };
  assert.throws(() => new Graph(/** @type {any} */ (program)), /no step constructor/);
});
