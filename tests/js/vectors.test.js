import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  clamp,
  dot,
  fromBase64,
  lerp,
  npy,
  rowsOf,
  slerp,
  toBase64,
} from "../../latent_workbench/components/shared/vectors.js";

const f32 = (/** @type {number[]} */ ...numbers) => Float32Array.from(numbers);

/** @param {Float32Array} found @param {number[]} expected */
function close(found, expected) {
  assert.equal(found.length, expected.length);
  found.forEach((x, d) => assert.ok(Math.abs(x - expected[d]) < 1e-6, `${found} is not ${expected}`));
}

test("slerp is what Python's spherical is", () => {
  const cases = JSON.parse(readFileSync(new URL("../fixtures/slerp.json", import.meta.url), "utf-8"));
  for (const { a, b, t, z } of cases) close(slerp(f32(...a), f32(...b), t), z);
});

test("a straight line has its ends and its middle", () => {
  close(lerp(f32(1, -2), f32(3, 2), 0), [1, -2]);
  close(lerp(f32(1, -2), f32(3, 2), 0.5), [2, 0]);
  close(lerp(f32(1, -2), f32(3, 2), 1), [3, 2]);
});

test("arrays survive base64, in the bytes that NumPy writes", () => {
  assert.equal(toBase64(f32(1, -2)), "AACAPwAAAMA=");
  assert.deepEqual(fromBase64("AACAPwAAAMA=", Float32Array), f32(1, -2));
  const part = Int32Array.from([1, 2, 3]).subarray(1);
  assert.deepEqual(fromBase64(toBase64(part), Int32Array), Int32Array.from([2, 3]));
});

test("rows, products and bounds", () => {
  const rows = rowsOf(f32(1, 2, 3, 4, 5, 6), 2, 3);
  assert.deepEqual(rows, [f32(1, 2, 3), f32(4, 5, 6)]);
  assert.equal(dot(rows[0], rows[1]), 32);
  assert.deepEqual(
    [-5, 0.5, 7].map((value) => clamp(value, 0, 1)),
    [0, 0.5, 1],
  );
});

test("a vector becomes a .npy file", async () => {
  const bytes = new Uint8Array(await npy(f32(0.5, -1)).arrayBuffer());
  assert.deepEqual([...bytes.subarray(0, 8)], [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]);
  const length = bytes[8] + 256 * bytes[9];
  assert.equal((10 + length) % 64, 0);
  const header = new TextDecoder().decode(bytes.subarray(10, 10 + length));
  assert.match(header, /^\{'descr': '<f4', 'fortran_order': False, 'shape': \(2,\), \} *\n$/);
  assert.deepEqual(new Float32Array(bytes.slice(10 + length).buffer), f32(0.5, -1));
});
