import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";
import { abgr, Legend } from "../../latent_workbench/components/scatter/legend.js";
import { Points, Viewport } from "../../latent_workbench/components/scatter/plane.js";
import {
  discOf,
  imagePlaces,
  MARKS,
  markOf,
  stampPoints,
  ticksBetween,
} from "../../latent_workbench/components/scatter/renderer.js";
import { Space } from "../../latent_workbench/components/scatter/space.js";
import { shortened } from "../../latent_workbench/components/shared/format.js";
import { Names } from "../../latent_workbench/components/shared/names.js";

const all = () => true;
const disc = () => 0;
const f32 = (/** @type {number[]} */ ...numbers) => Float32Array.from(numbers);

/** A window of 100 × 100 px on [-5, 5]². */
function square() {
  const viewport = new Viewport();
  viewport.across = viewport.upwards = 10;
  viewport.resize(100, 100);
  return viewport;
}

test("the nearest shown point within reach is found", () => {
  const numbers = Float32Array.from({ length: 2000 }, (_, i) => Math.sin(i * i));
  const points = new Points(numbers);
  for (const [x, y] of [
    [0, 0],
    [0.7, -0.9],
    [-1, 1],
  ]) {
    const away = (/** @type {number} */ i) => Math.hypot(numbers[2 * i] - x, numbers[2 * i + 1] - y);
    const even = (/** @type {number} */ i) => i % 2 === 0;
    for (const isShown of [all, even]) {
      const rows = Array.from({ length: 1000 }, (_, i) => i).filter(isShown);
      const best = rows.reduce((a, b) => (away(b) < away(a) ? b : a));
      assert.equal(points.nearest(x, y, 0.3, 0.3, isShown), away(best) < 0.3 ? best : -1);
    }
  }
  assert.equal(points.nearest(30, 30, 0.1, 0.1, all), -1);
});

test("a lasso takes what lies inside, by the even-odd rule", () => {
  const points = new Points(f32(0, 0, 2, 2, 4, 4, 1, 3));
  /** @type {[number, number][]} */
  const outline = [
    [-1, -1],
    [3, -1],
    [3, 3],
    [-1, 3],
  ];
  assert.deepEqual(points.inside(outline, all), Int32Array.from([0, 1]));
  assert.deepEqual(
    points.inside(outline, (i) => i !== 0),
    Int32Array.from([1]),
  );
});

test("one point, and none, have bounds", () => {
  assert.deepEqual(new Points(f32(3, 3)).x, { low: 2, high: 4 });
  assert.deepEqual(new Points(f32()).y, { low: -1, high: 1 });
});

test("pixels and plane are two ways of saying one place, also after zoom and pan", () => {
  const viewport = square();
  viewport.zoom(2.5, 20, 70);
  viewport.pan(13, -4);
  const [x, y] = viewport.toPlane(31, 59);
  const [left, top] = viewport.toPixels(x, y);
  assert.ok(Math.abs(left - 31) < 1e-9 && Math.abs(top - 59) < 1e-9);
  const before = viewport.toPlane(20, 70);
  viewport.zoom(0.3, 20, 70);
  viewport.toPlane(20, 70).forEach((value, axis) => assert.ok(Math.abs(value - before[axis]) < 1e-9));
});

test("all points fit, with one unit for both axes where that is wanted", () => {
  const viewport = new Viewport();
  const points = new Points(f32(0, 0, 10, 1));
  viewport.fit(points, 200, 100, true);
  assert.equal(viewport.across, viewport.upwards);
  for (let i = 0; i < 2; i++) {
    const [x, y] = viewport.toPixels(...points.at(i));
    assert.ok(x > 0 && x < 200 && y > 0 && y < 100);
  }
});

test("in space, a farther point comes first, and turning all round changes nothing", () => {
  const space = new Space(f32(0, 0, 1, 0, 0, -1, 0.5, 0.5, 0));
  space.turn(-space.yaw, -space.pitch); // the third axis towards the eye
  const seen = space.seen();
  assert.deepEqual([...(seen.farFirst ?? [])], [1, 2, 0]);
  assert.ok(seen.nearness(0) > seen.nearness(2) && seen.nearness(2) > seen.nearness(1));
  space.turn(2 * Math.PI, 0);
  space.seen().numbers.forEach((value, i) => assert.ok(Math.abs(value - seen.numbers[i]) < 1e-6));
  for (const i of [0, 1, 2]) {
    const [x, y] = space.project([...space.numbers.subarray(3 * i, 3 * i + 3)]);
    assert.ok(Math.hypot(x - seen.numbers[2 * i], y - seen.numbers[2 * i + 1]) < 1e-6);
  }
});

test("a later point covers an earlier one, and those left out leave no pixel", () => {
  const scene = { viewport: square(), points: new Points(f32(0, 0, 0, 0, 3, 3)), isShown: all, shape: disc };
  const colored = { ...scene, color: (/** @type {number} */ i) => [0x0000ff, 0x00ff00, 0xff0000][i] };
  const words = new Uint32Array(100 * 100);
  stampPoints(words, 100, 100, 1, colored, (i) => i !== 2, 0xd8);
  assert.equal(words[50 * 100 + 50], 0xd800ff00);
  assert.equal(words.filter(Boolean).length, discOf(2.6).length / 2);
  stampPoints(words, 100, 100, 1, colored, (i) => i === 2, 0x38);
  assert.equal(words[20 * 100 + 80], 0x38ff0000);
});

test("in space the nearest is painted last, and the farthest is faint", () => {
  const space = new Space(f32(0, 0, 1, 0, 0, -1));
  space.turn(-space.yaw, -space.pitch);
  const scene = { viewport: square(), points: space.seen(), isShown: all, shape: disc };
  const words = new Uint32Array(100 * 100);
  const color = (/** @type {number} */ i) => [0x0000ff, 0x00ff00][i];
  stampPoints(words, 100, 100, 1, { ...scene, color }, all, 200);
  assert.equal(words[50 * 100 + 50] & 0xffffff, 0x0000ff);
  const alone = new Uint32Array(100 * 100);
  stampPoints(alone, 100, 100, 1, { ...scene, color }, (i) => i === 1, 200);
  assert.equal(alone[50 * 100 + 50] >>> 24, 80); // 0.4 of it
});

test("images do not cover each other, and as many are placed as fit", () => {
  const numbers = Float32Array.from({ length: 400 }, (_, i) => 5 * Math.cos(i * i + 1));
  const places = [...imagePlaces(square(), new Points(numbers), all)];
  assert.ok(places.length >= 5);
  const overlap = (/** @type {{ x: number, y: number }} */ a, /** @type {{ x: number, y: number }} */ b) =>
    Math.abs(a.x - b.x) < 32 && Math.abs(a.y - b.y) < 32;
  places.forEach((a, k) => assert.ok(!places.slice(0, k).some((b) => overlap(a, b))));
  const placed = new Set(places.map(({ i }) => i));
  for (let i = 0; i < 200; i++) {
    const [x, y] = square().toPixels(numbers[2 * i], numbers[2 * i + 1]);
    const earlier = places.filter((place) => place.i < i);
    if (!placed.has(i)) assert.ok(earlier.some((place) => overlap(place, { x, y })));
  }
});

test("ticks are round and lie between the ends", () => {
  assert.deepEqual(ticksBetween(-3, 3), [-3, -2, -1, 0, 1, 2, 3]);
  assert.deepEqual(
    ticksBetween(0.12, 0.58).map((x) => x.toFixed(1)),
    ["0.2", "0.3", "0.4", "0.5"],
  );
  assert.ok(ticksBetween(-1e6, 1e6).every((x) => x % 5e5 === 0));
});

test("colours are as a canvas holds them", () => {
  assert.equal(abgr("#123456"), 0xff563412);
  const legend = Object.create(Legend.prototype);
  Object.assign(legend, { hidden: new Set([1]), values: null, codes: Int16Array.from([0, 1, -1, 3]) });
  Object.assign(legend, { palettes: { labels: [10, 11, 12], values: [20, 21], unknown: 99 } });
  assert.deepEqual(
    [0, 1, 2, 3].map((i) => legend.color(i)),
    [10, 11, 99, 10],
  );
  assert.deepEqual(
    [0, 1, 2, 3].map((i) => legend.isShown(i)),
    [true, false, true, true],
  );
  assert.deepEqual(
    [0, 1, 2, 3].map((i) => legend.shape(i)),
    [0, 0, 0, 1],
    "the fourth of three colours has another mark",
  );
  legend.values = Uint8Array.from([1, 0, 255, 1]);
  assert.deepEqual(
    [0, 1, 2].map((i) => legend.color(i)),
    [21, 20, 99],
  );
  assert.equal(legend.shape(3), 0);
});

test("marks differ, also where points are small", () => {
  for (const radius of [1.5, 2.6, 5]) {
    const pixels = MARKS.map((within) => [...markOf(radius, within)].join());
    assert.equal(new Set(pixels).size, MARKS.length, `at ${radius} px`);
  }
  assert.deepEqual(markOf(2.6, MARKS[0]), discOf(2.6));
});

test("names are read as Python packs them, and long ones lose their middle", async () => {
  const packed = deflateSync(Buffer.from("a/ü.png\0b.png")).toString("base64");
  const names = new Names(packed);
  assert.equal(names.of(0), null);
  await names.ready;
  assert.deepEqual([names.of(0), names.of(1), names.of(2)], ["a/ü.png", "b.png", null]);
  await new Names(null).ready;
  assert.equal(shortened("holiday/2024/summer/img_0004.jpg", 16), "…/img_0004.jpg");
  assert.equal(shortened("a/holiday_2024_summer_0004.jpg", 16), "holid…r_0004.jpg");
  assert.equal(shortened("short.jpg", 16), "short.jpg");
});
