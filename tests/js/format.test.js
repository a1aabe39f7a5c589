import assert from "node:assert/strict";
import { test } from "node:test";
import {
  duration,
  grouped,
  progressOf,
  signed,
  significant,
  size,
} from "../../latent_workbench/components/shared/format.js";

test("numbers", () => {
  assert.deepEqual(
    [1.234, -1.234, 0].map((value) => signed(value)),
    ["+1.23", "−1.23", "0.00"],
  );
  assert.equal(significant(-0.0123456, 3), "−0.0123");
  assert.equal(significant(4, 4), "4");
  assert.deepEqual([999, 1000, 1234567.4].map(grouped), ["999", "1\u2009000", "1\u2009234\u2009567"]);
});

test("sizes", () => {
  assert.deepEqual([1, 1499, 12.44e6, 400e6].map(size), ["1 kB", "1 kB", "12.4 MB", "400 MB"]);
  assert.equal(progressOf(12.44e6, 400e6), "12.4 of 400 MB");
  assert.equal(progressOf(20, 50_000), "50 kB");
});

test("durations", () => {
  const seconds = [0.2, 59, 61, 3599, 3600, 7380];
  assert.deepEqual(
    seconds.map((each) => duration(each)),
    ["1 s", "59 s", "1 min", "1 h 0 min", "1 h 0 min", "2 h 3 min"],
  );
  assert.equal(duration(75, 90), "75 s");
});
