// Frames of the live decoder: what Python wrote is read, and what is written is what Python reads.

import assert from "node:assert/strict";
import { test } from "node:test";
import { readReply } from "../../latent_workbench/components/explorer/frames.js";
import { content, fixture, requests } from "./frames.js";

/** @param {number} length as tests/frames.py makes them */
const pixels = (length) => Uint8Array.from({ length }, (_, i) => (7 * i) % 256);

test("requests are those that Python reads", () => {
  for (const { name, frame } of requests()) assert.deepEqual(frame, fixture(name), name);
});

test("the pixels of Python are read", () => {
  const { message, ...reply } = readReply(fixture("reply").buffer);
  assert.equal(message, undefined);
  assert.deepEqual(reply, { ...content.reply, pixels: pixels(2 * 4 * 5 * 3), location: null });
});

test("where a vector lies is read", () => {
  const reply = readReply(fixture("reply_with_location").buffer);
  assert.deepEqual(reply, {
    ...content.reply_with_location,
    pixels: pixels(2 * 3),
    location: content.location,
  });
});

test("a sentence of Python is read", () => {
  assert.deepEqual(readReply(fixture("failure").buffer), content.failure);
});
