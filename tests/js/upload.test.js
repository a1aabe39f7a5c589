import assert from "node:assert/strict";
import { test } from "node:test";
import { tidy, usable } from "../../latent_workbench/components/uploader/files.js";
import { refusal, Speed } from "../../latent_workbench/components/uploader/upload.js";

const named = (/** @type {string[]} */ ...names) => names.map((name) => ({ name }));

test("what systems leave in folders is left out", () => {
  const files = named(
    "a/1.png",
    "a/.DS_Store",
    "__MACOSX/a/1.png",
    "a/Thumbs.db",
    "desktop.ini",
    ".git/x.png",
  );
  assert.deepEqual(tidy(files), named("a/1.png"));
});

test("only images of a folder are taken, but a file chosen by itself always is", () => {
  const files = named("a/1.PNG", "a/notes.txt", "notes.txt");
  assert.deepEqual(usable(files, [".png"]), { files: named("a/1.PNG", "notes.txt"), left: 1 });
});

test("the time left goes by the speed of the last seconds", () => {
  const speed = new Speed(1000, 0);
  assert.equal(speed.secondsLeft(50, 500), null); // too early
  assert.equal(speed.secondsLeft(200, 2000), 8);
  for (let ms = 3000; ms <= 14_000; ms += 1000) speed.secondsLeft(200 + (ms - 2000) / 50, ms);
  const seconds = speed.secondsLeft(460, 15_000); // 20 bytes a second since
  assert.ok(seconds !== null && Math.abs(seconds - 27) < 1e-9);
});

test("a refusal is a sentence", () => {
  assert.equal(refusal(400, '{"message": "No image."}'), "No image.");
  assert.match(refusal(413, "<html>"), /proxy/);
  assert.match(refusal(502, ""), /status 502/);
});
