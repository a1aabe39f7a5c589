import assert from "node:assert/strict";
import { test } from "node:test";
import { magnification } from "../../latent_workbench/components/monitor/previews.js";
import {
  abscissa,
  Curves,
  isDark,
  transposed,
  unitOf,
  wholeTicks,
  wrapped,
} from "../../latent_workbench/components/monitor/series.js";
import { isExtra } from "../../latent_workbench/components/monitor/terms.js";
import { thinned } from "../../latent_workbench/components/sheet/sheet.js";

test("curves grow by what is new", () => {
  const curves = new Curves();
  curves.add({ train: { kl: { step: [1, 2], time: [0.5, 1], y: [3, 4] } } });
  curves.add({
    train: { kl: { step: [5], time: [2], y: [5] } },
    validation: { kl: { step: [5], time: [2], y: [6] } },
  });
  assert.deepEqual(curves.names(), ["train/kl", "validation/kl"]);
  assert.deepEqual(curves.get("train/kl"), { step: [1, 2, 5], time: [0.5, 1, 2], y: [3, 4, 5] });
  assert.deepEqual(curves.lengths(), [3, 1]);
  assert.equal(curves.lastTime(), 2);
  const heights = [0, 2, 3, 9].map((step) => curves.heightAt("train/kl", step));
  assert.deepEqual(heights, [3, 4, 5, 5]);
  assert.equal(curves.heightAt("train/total", 3), 0);
  curves.clear();
  assert.equal(curves.lastTime(), 0);
});

test("an axis is in steps, epochs, seconds or minutes", () => {
  const points = { step: [50, 100], time: [30, 90] };
  const units = { stepsPerEpoch: 25, minutes: false };
  assert.deepEqual(abscissa(points, "step", units), [50, 100]);
  assert.deepEqual(abscissa(points, "epoch", units), [2, 4]);
  assert.deepEqual(abscissa(points, "time", units), [30, 90]);
  assert.deepEqual(abscissa(points, "time", { ...units, minutes: true }), [0.5, 1.5]);
  assert.equal(unitOf("epoch", { stepsPerEpoch: null, minutes: false }), 1);
});

test("ticks of dimensions are whole and few", () => {
  assert.deepEqual(wholeTicks(5), { tick0: 1, dtick: 1 });
  assert.deepEqual(wholeTicks(128), { tick0: 0, dtick: 16 });
  assert.deepEqual(wholeTicks(5000), { tick0: 0, dtick: 1024 });
  assert.deepEqual(wholeTicks(16, 4), { tick0: 0, dtick: 4 });
});

test("what a heat map needs", () => {
  assert.deepEqual(
    transposed([
      [1, 2],
      [3, 4],
      [5, 6],
    ]),
    [
      [1, 3, 5],
      [2, 4, 6],
    ],
  );
  assert.equal(isDark("#0e1117"), true);
  assert.equal(isDark("#ffffff"), false);
});

test("a sentence is wrapped, and cannot be markup", () => {
  const text = wrapped("<b> The loss was no number in three steps in a row, so the run went back.");
  assert.ok(!text.includes("<b>") && text.startsWith("&lt;b>"));
  const lines = text.split("<br>");
  assert.ok(lines.length > 1 && lines.every((line) => line.length < 60));
});

test("terms that all families have share one chart", () => {
  assert.deepEqual(["train/recon", "validation/kl", "train/total", "train/tc"].map(isExtra), [
    false,
    false,
    false,
    true,
  ]);
});

test("small pictures are magnified by whole pixels of the device", () => {
  assert.deepEqual(magnification(28, 28, 1), { zoom: 2, sharp: 2, least: 56 });
  assert.deepEqual(magnification(64, 64, 1.5), { zoom: 1, sharp: 2, least: 56 });
  assert.deepEqual(magnification(96, 12, 1), { zoom: 5, sharp: 5, least: 448 });
  assert.deepEqual(magnification(8, 16, 2), { zoom: 7, sharp: 14, least: 56 });
});

test("names that do not fit are thinned out evenly, the ends kept", () => {
  assert.deepEqual(thinned(["a", "b", "c"], 12), ["a", "b", "c"]);
  const names = thinned(
    Array.from({ length: 25 }, (_, i) => String(i)),
    12,
  );
  assert.ok(names.filter(Boolean).length <= 12);
  assert.equal(names[0], "0");
  assert.equal(names[24], "24");
});
