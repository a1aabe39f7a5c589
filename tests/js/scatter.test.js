import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";
import {
  imagePlaces,
  namePlaces,
  pictureLevel,
  regionsOf,
} from "../../latent_workbench/components/scatter/detail.js";
import {
  countsOf,
  everything,
  histogram,
  passing,
} from "../../latent_workbench/components/scatter/filters.js";
import { abgr, Legend, stepsOf } from "../../latent_workbench/components/scatter/legend.js";
import { FADED, lookOf, OPACITY } from "../../latent_workbench/components/scatter/look.js";
import { MARKS, markOf } from "../../latent_workbench/components/scatter/marks.js";
import { Points, rowsWhere, Viewport } from "../../latent_workbench/components/scatter/plane.js";
import { ticksBetween } from "../../latent_workbench/components/scatter/renderer.js";
import { packed } from "../../latent_workbench/components/scatter/scatter.js";
import { Space } from "../../latent_workbench/components/scatter/space.js";
import { stampPoints, stampSample, stepFor } from "../../latent_workbench/components/scatter/stamped.js";
import { shortened } from "../../latent_workbench/components/shared/format.js";
import { Names } from "../../latent_workbench/components/shared/names.js";

const all = () => true;
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

/** Colours of points, all of them discs. @param {number[]} colors @param {number} [alpha] */
function painted(colors, alpha = OPACITY) {
  return { words: Uint32Array.from(colors, (c) => (c | (alpha << 24)) >>> 0), shapes: null, faded: false };
}

function blank() {
  return { words: new Uint32Array(100 * 100), width: 100, height: 100 };
}

test("a later point covers an earlier one, and those left out leave no pixel", () => {
  const points = new Points(f32(0, 0, 0, 0, 3, 3));
  const look = painted([0x0000ff, 0x00ff00, 0xff0000]);
  look.words[2] = 0;
  const target = blank();
  stampPoints(target, 1, square(), points, look, false, 0, 3, 1);
  assert.equal(target.words[50 * 100 + 50], 0xd800ff00);
  assert.equal(target.words.filter(Boolean).length, markOf(2.6, MARKS[0]).length / 2);
  look.words[2] = (0xff0000 | (FADED << 24)) >>> 0;
  stampPoints(target, 1, square(), points, look, false, 0, 3, 1);
  assert.equal(target.words[20 * 100 + 80], 0, "what is faded has its own turn");
  stampPoints(target, 1, square(), points, look, true, 0, 3, 1);
  assert.equal(target.words[20 * 100 + 80], 0x38ff0000);
});

test("in space the nearest is painted last, and the farthest is faint", () => {
  const space = new Space(f32(0, 0, 1, 0, 0, -1));
  space.turn(-space.yaw, -space.pitch);
  const target = blank();
  stampPoints(target, 1, square(), space.seen(), painted([0x0000ff, 0x00ff00], 200), false, 0, 2, 1);
  assert.equal(target.words[50 * 100 + 50] & 0xffffff, 0x0000ff);
  const alone = painted([0, 0x00ff00], 200);
  alone.words[0] = 0;
  const far = blank();
  stampPoints(far, 1, square(), space.seen(), alone, false, 0, 2, 1);
  assert.equal(far.words[50 * 100 + 50] >>> 24, 80); // 0.4 of it
});

test("a sample of points in space lies where all of them do", () => {
  const numbers = Float32Array.from({ length: 300 }, (_, i) => Math.sin(i * i));
  const space = new Space(numbers);
  const [all, some] = [space.seen(), space.seen(3)];
  assert.deepEqual(
    [...(some.farFirst ?? [])].sort((a, b) => a - b),
    [...Array(34).keys()].map((k) => 3 * k),
  );
  for (const i of some.farFirst ?? []) assert.deepEqual(some.at(i), all.at(i));
  space.at(7).forEach((value, axis) => assert.ok(Math.abs(value - all.at(7)[axis]) < 1e-6));
});

test("of points in space a sample is painted too once all of them are known", () => {
  // 64 points that cover no other one's pixels, at as many depths.
  const places = Array.from({ length: 64 }, (_, i) => [(i % 8) - 3.5, Math.floor(i / 8) - 3.5, i / 100]);
  const space = new Space(Float32Array.from(places.flat()));
  space.turn(-space.yaw, -space.pitch);
  const look = painted(Array(64).fill(0xffffff));
  const pixels = markOf(2.6, MARKS[0]).length / 2;
  /** @param {Points} points @param {number} step */
  const shown = (points, step) => {
    const target = blank();
    stampSample(target, 1, square(), points, look, step);
    return target.words.filter(Boolean).length / pixels;
  };
  for (const step of [1, 4, 16]) {
    assert.equal(shown(space.seen(), step), 64 / step, "of all of them");
    assert.equal(shown(space.seen(step), step), 64 / step, "of a sample that was made for it");
  }
  assert.equal(shown(space.seen(4), 8), 8, "of a larger sample");
  const flat = new Points(Float32Array.from(places.map(([x, y]) => [x, y]).flat()));
  assert.equal(shown(flat, 4), 16);
});

test("samples grow by doubling, so that what is painted stays", () => {
  assert.deepEqual([0, 0.3, 1, 1.1, 2, 5, 33].map(stepFor), [1, 1, 1, 2, 2, 8, 64]);
});

test("a lasso over many points takes the same as asking each, and in time", () => {
  const count = 1_000_000;
  const numbers = new Float32Array(2 * count);
  for (let i = 0; i < numbers.length; i++) numbers[i] = ((i * 2654435761) % 4294967296) / 4294967296;
  const points = new Points(numbers);
  /** @type {[number, number][]} */
  const outline = Array.from({ length: 200 }, (_, k) => {
    const radius = 0.3 + 0.1 * Math.sin(k);
    return [0.5 + radius * Math.cos(k / 31.8), 0.5 + radius * Math.sin(k / 31.8)];
  });
  points.nearest(0.5, 0.5, 0.01, 0.01, all); // the grid is made with the first movement of a pointer
  const start = performance.now();
  const found = points.inside(outline, all);
  const took = performance.now() - start;
  assert.ok(took < 2000, `${took} ms`);
  const mask = new Uint8Array(count);
  for (const i of found) mask[i] = 1;
  for (let i = 0; i < count; i += 997) {
    const [x, y] = points.at(i);
    let odd = false;
    outline.forEach(([ax, ay], k) => {
      const [bx, by] = outline.at(k - 1) ?? [0, 0];
      if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
    });
    assert.equal(Boolean(mask[i]), odd, `${i}`);
  }
  assert.deepEqual(found, rowsWhere(mask));
});

test("rows in sight are found, and of very many an even sample that stays the same", () => {
  const numbers = Float32Array.from({ length: 20_000 }, (_, i) => Math.sin(i * i));
  const points = new Points(numbers);
  const [x, y] = [
    { low: -0.5, high: 0.25 },
    { low: 0, high: 1 },
  ];
  const inside = (/** @type {number} */ i) => {
    const [px, py] = points.at(i);
    return px >= x.low && px <= x.high && py >= y.low && py <= y.high;
  };
  const wanted = Int32Array.from([...Array(10_000).keys()].filter(inside));
  assert.deepEqual(points.within(x, y, all, 1e6), { rows: wanted, step: 1 });
  const some = points.within(x, y, all, 500);
  assert.ok(some.step > 1 && some.rows.length <= 500);
  assert.deepEqual(
    some.rows,
    wanted.filter((i) => i % some.step === 0),
  );
});

test("filters go together, by category, by range and by name", () => {
  const values = f32(1, 2, 3, Number.NaN, 5);
  const facets = [
    { name: "label", codes: Int16Array.from([0, 1, 1, 1, -1]), names: ["cat", "dog"] },
    { name: "recon", values },
  ];
  const names = ["a/Cat.png", "b.png", "cat2.png", "cats.png", "e.png"];
  const nameOf = (/** @type {number} */ i) => names[i];
  const left = (/** @type {object} */ chosen) => {
    const mask = passing(5, facets, { ...everything(), ...chosen }, nameOf);
    return mask && [...rowsWhere(mask)];
  };
  assert.equal(left({}), null);
  assert.deepEqual(left({ categories: { label: [1] } }), [1, 2, 3]);
  assert.deepEqual(left({ categories: { label: [1, -1] } }), [1, 2, 3, 4]);
  assert.equal(left({ categories: { label: [] } }), null);
  assert.deepEqual(left({ ranges: { recon: [2, 5] } }), [1, 2, 4], "what is not known is in no range");
  assert.deepEqual(left({ text: " CAT" }), [0, 2, 3]);
  assert.deepEqual(left({ text: "cat", ranges: { recon: [1, 3] }, categories: { label: [1] } }), [2]);
  assert.deepEqual(left({ categories: { gone: [1] } }), null, "a facet that is no longer there");
  assert.deepEqual(countsOf(facets[0].codes ?? []), [
    [1, 3],
    [-1, 1],
    [0, 1],
  ]);
  const { low, high, counts } = histogram(values);
  assert.deepEqual([low, high, counts[0], counts[31], counts.reduce((a, b) => a + b)], [1, 5, 1, 1, 4]);
});

test("what a filter leaves over is faded or hidden, and lies below", () => {
  const legend = { color: () => 0x123456, shape: () => 0, isShown: (/** @type {number} */ i) => i !== 3 };
  const mask = Uint8Array.from([1, 0, 1, 1]);
  const alphas = (/** @type {{ words: Uint32Array }} */ { words }) => [...words].map((word) => word >>> 24);
  const faded = lookOf(4, legend, mask, false, null);
  assert.deepEqual([alphas(faded), faded.faded], [[OPACITY, FADED, OPACITY, 0], true]);
  const hidden = lookOf(4, legend, mask, true, Uint8Array.from([1, 1, 0, 0]));
  assert.deepEqual(alphas(hidden), [OPACITY, 0, FADED, 0]);
  assert.equal(lookOf(4, legend, null, true, null).faded, false);
});

test("a selection travels by its rows, or by a bit for each point where that is shorter", () => {
  assert.deepEqual(packed(Int32Array.from([5]), 1000), { rows: "BQAAAA==" });
  assert.deepEqual(packed(Int32Array.from([0, 3, 9]), 10), { bits: "CQI=" });
});

test("pictures appear from near, grow, and are there from the beginning where there are few", () => {
  const viewport = square();
  viewport.resize(1000, 500);
  viewport.whole = viewport.across;
  assert.equal(pictureLevel(50, viewport, 5000).alpha, 0, "all are in sight");
  assert.equal(pictureLevel(50, viewport, 50).alpha, 1);
  viewport.zoom(4, 10, 10);
  const levels = [2000, 600, 400, 100].map((count) => pictureLevel(count, viewport, 5000));
  assert.deepEqual(
    levels.map(({ alpha }) => alpha).map((alpha) => Math.sign(alpha)),
    [0, 1, 1, 1],
  );
  assert.ok(levels[1].alpha < 1 && levels[3].side > levels[2].side);
});

test("names stand where their categories are dense, and more of them have room from near", () => {
  // Two groups of category 0, one of category 1 beside the first, and strays.
  const spread = (/** @type {number} */ i) => 0.4 * Math.sin(i * 12.9898);
  const numbers = Float32Array.from({ length: 1200 }, (_, k) => {
    const [i, axis] = [k >> 1, k & 1];
    const at = [
      [-8, 8],
      [8, -8],
      [-8, 7],
    ][i % 3];
    return i % 100 === 99 ? spread(k) * 10 : at[axis] + spread(k);
  });
  const points = new Points(numbers);
  const codes = Int16Array.from({ length: 600 }, (_, i) => (i % 3 === 2 ? 1 : 0));
  const regions = regionsOf(points, codes, all);
  assert.deepEqual(regions.map(({ code }) => code).sort(), [0, 0, 1]);
  for (const { x, y, code } of regions) {
    const at = code ? [[-8, 7]] : [[-8, 8], [8, -8]]; // biome-ignore format: one line
    assert.ok(
      at.some(([ax, ay]) => Math.hypot(ax - x, ay - y) < 1),
      `${x}, ${y}`,
    );
  }
  const viewport = new Viewport();
  viewport.fit(points, 200, 200, true);
  const shown = () => [...namePlaces(regions, viewport, () => 60, 17)].length;
  assert.equal(shown(), 2);
  viewport.zoom(4, ...viewport.toPixels(-8, 7.5));
  viewport.pan(60, 60);
  assert.equal(shown(), 2);
  assert.deepEqual([...namePlaces(regions, viewport, () => 60, 17)].map(({ code }) => code).sort(), [0, 1]);
});

test("numbers get places in a palette, and what is not known its own", () => {
  assert.deepEqual([...stepsOf(f32(-1, 0, 0.5, 1, 9, Number.NaN), [0, 1], 5)], [0, 0, 2, 4, 4, 255]);
});

test("images do not cover each other, and as many are placed as fit", () => {
  const numbers = Float32Array.from({ length: 400 }, (_, i) => 5 * Math.cos(i * i + 1));
  const rows = Array.from({ length: 200 }, (_, i) => i);
  const places = [...imagePlaces(square(), new Points(numbers), rows, 32)];
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
