import assert from "node:assert/strict";
import { test } from "node:test";
import { Plane } from "../../latent_workbench/components/explorer/latent_map.js";
import { thereAndBack } from "../../latent_workbench/components/explorer/path_panel.js";
import { Point, UndoStack } from "../../latent_workbench/components/explorer/point.js";
import { fromBase64, toBase64 } from "../../latent_workbench/components/shared/vectors.js";

const f32 = (/** @type {number[]} */ ...numbers) => Float32Array.from(numbers);

const directions = {
  id: "two of three",
  center: toBase64(f32(1, 2, 3)),
  vectors: toBase64(f32(1, 0, 0, 0, 1, 0)),
  deviations: [2, 0.5],
  explained: null,
  names: ["1", "2"],
  dead: [false, false],
  orthogonal: true,
  total: 3,
};

test("z is base + Σ value · deviation · direction", () => {
  const point = new Point(directions);
  assert.deepEqual(point.vector(), f32(1, 2, 3));
  point.values = [1.5, -2];
  assert.deepEqual(point.vector(), f32(4, 1, 3));
  assert.deepEqual(point.vector(0, -1), f32(-1, 1, 3)); // one of them replaced
  assert.deepEqual(point.values, [1.5, -2]);
});

test("any z is reached: what sliders do not express stays in the base", () => {
  const point = new Point(directions);
  const z = f32(3.03, -40, 7.7); // between two steps of one slider, beyond the reach of the other
  point.goTo(z);
  const distances = point.vector().map((x, d) => Math.abs(x - z[d]));
  assert.ok(Math.max(...distances) < 1e-6);
  assert.ok(Math.abs(point.values[0] - 1) < 1e-9 && point.values[1] === -3);
});

test("directions at no right angles start at 0 from z", () => {
  const point = new Point({ ...directions, orthogonal: false });
  point.goTo(f32(5, 5, 5));
  assert.deepEqual(point.values, [0, 0]);
  assert.deepEqual(point.vector(), f32(5, 5, 5));
});

test("a state is restored by its values, or by its z under other directions", () => {
  const point = new Point(directions);
  point.values = [0.3, 0.1];
  const state = point.state();
  point.toCenter();
  point.restore(state);
  assert.deepEqual(point.values, [0.3, 0.1]);
  const other = new Point({ ...directions, id: "others", deviations: [1, 1] });
  other.restore(state);
  const distances = other.vector().map((x, d) => Math.abs(x - state.z[d]));
  assert.ok(Math.max(...distances) < 1e-6);
});

test("at the centre there is no base to report", () => {
  const point = new Point(directions);
  assert.equal(point.report().base, null);
  point.goTo(f32(0, 0, 0));
  const { base, z } = point.report();
  assert.ok(base);
  assert.deepEqual(fromBase64(z, Float32Array), f32(0, 0, 0));
});

test("undo and redo", () => {
  /** @type {UndoStack<number>} */
  const stack = new UndoStack();
  stack.add(1);
  stack.add(2);
  assert.equal(stack.undo(3), 2);
  assert.equal(stack.undo(2), 1);
  assert.equal(stack.undo(1), undefined);
  assert.equal(stack.redo(1), 2);
  stack.add(7); // a change after an undo: what was undone is gone
  assert.equal(stack.redo(8), undefined);
});

test("a point moves within a plane and keeps what lies outside it", () => {
  const plane = new Plane({ ...directions, points: "" });
  assert.deepEqual(plane.locate(f32(5, 1, 9)), [2, -2]);
  assert.deepEqual(plane.moved(f32(5, 1, 9), -1, 4), f32(-1, 4, 9));
  const line = new Plane({ ...directions, vectors: toBase64(f32(1, 0, 0)), deviations: [2], points: "" });
  assert.deepEqual(line.locate(f32(5, 1, 9)), [2, 0]);
  assert.deepEqual(line.moved(f32(5, 1, 9), 0, 3), f32(1, 1, 9));
});

test("an animation goes there and back without a seam", () => {
  const frames = thereAndBack((t) => f32(t), 5).map(([t]) => t);
  assert.deepEqual(frames, [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25]);
});
