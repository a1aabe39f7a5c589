// The connection to the live decoder, over sockets that a test opens and closes.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { LiveDecoder } from "../../latent_workbench/components/explorer/decoder.js";
import { liveAddress } from "../../latent_workbench/components/shared/address.js";
import { retryPause } from "../../latent_workbench/components/shared/socket.js";
import { fixture } from "./frames.js";

class FakeSocket {
  static OPEN = 1;
  /** @type {FakeSocket[]} */
  static all = [];
  readyState = 0;
  /** @type {(string | ArrayBuffer)[]} */
  sent = [];
  onopen = () => {};
  onmessage = (/** @type {{ data: string | ArrayBuffer }} */ _) => {};
  onclose = (/** @type {{ code: number }} */ _) => {};

  constructor(/** @type {URL} */ address) {
    this.address = address;
    FakeSocket.all.push(this);
  }

  send(/** @type {string | ArrayBuffer} */ message) {
    this.sent.push(message);
  }

  open() {
    this.readyState = FakeSocket.OPEN;
    this.onopen();
  }

  close() {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose({ code: 1006 });
  }

  /** Sequence numbers of what was sent. */
  sequences() {
    return this.sent.map((each) =>
      typeof each === "string" ? JSON.parse(each).sequence : new DataView(each).getUint32(0, true),
    );
  }

  /** Answer the request of this number with one picture of 2 × 3. @param {number} sequence */
  answer(sequence) {
    const frame = fixture("reply_with_location").buffer;
    new DataView(frame).setUint32(0, sequence, true);
    this.onmessage({ data: frame });
  }
}

/** @type {any[]} */
let events;
/** @type {LiveDecoder} */
let decoder;
const z = [Float32Array.from([1, 2])];

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout"] });
  Object.assign(globalThis, { WebSocket: FakeSocket });
  FakeSocket.all = [];
  events = [];
  decoder = new LiveDecoder("a run", 3, {
    onPictures: (kind, picture, first) => events.push([kind, picture.count, first]),
    onVector: (vector) => events.push(["vector", ...vector]),
    onProblem: (sentence) => sentence && events.push(sentence),
  });
});

afterEach(() => {
  decoder.close();
  mock.timers.reset();
});

const newest = () => FakeSocket.all[FakeSocket.all.length - 1];

test("addresses name the run and the label, and leave out what is null", () => {
  assert.match(newest().address.href, /\/decode\/a%20run\?label=3$/);
  assert.match(liveAddress(["x/y"], { label: null, v: 1 }).href, /\/x%2Fy\?v=1$/);
});

test("one request is on its way; of each kind only the newest waits, the picture first", () => {
  const socket = newest();
  decoder.ask("strips", z, { first: 4 });
  assert.deepEqual(socket.sent, []); // not open yet
  socket.open();
  assert.deepEqual(socket.sequences(), [1]);
  decoder.ask("strips", z, { first: 6 });
  decoder.ask("strips", z, { first: 8 });
  decoder.ask("picture", z);
  assert.ok(decoder.awaits("strips"));
  socket.answer(1);
  socket.answer(2);
  assert.deepEqual(socket.sequences(), [1, 2, 3]);
  socket.answer(3);
  assert.deepEqual(events, [
    ["strips", 1, 4],
    ["picture", 1, 0],
    ["strips", 1, 8],
  ]);
});

test("an answer to something else is dropped", () => {
  const socket = newest();
  socket.open();
  decoder.ask("picture", z);
  socket.answer(17);
  assert.deepEqual(events, []);
  socket.answer(1);
  assert.equal(events.length, 1);
});

test("vectors come as JSON, and a refusal is told", () => {
  const socket = newest();
  socket.open();
  decoder.askVector({ type: "encoding", index: 5 });
  assert.deepEqual(JSON.parse(String(socket.sent[0])), { type: "encoding", index: 5, sequence: 1 });
  socket.onmessage({ data: JSON.stringify({ type: "encoding", sequence: 1, vector: [0.5, 1] }) });
  decoder.askVector({ type: "random", temperature: 1 });
  socket.onmessage({ data: JSON.stringify({ type: "error", sequence: 2, message: "There is no run." }) });
  assert.deepEqual(events, [["vector", 0.5, 1], "There is no run."]);
});

test("behind each vector stands where the dial is when it is sent, or where it shall be", () => {
  const socket = newest();
  let turned = 0.5;
  decoder.dialled = () => turned;
  decoder.ask("picture", z);
  decoder.ask("dial", [z[0], z[0]], { dials: [0.25, 4] });
  turned = 2;
  socket.open();
  socket.answer(1);
  const numbers = socket.sent.map((frame) => [...new Float32Array(/** @type {ArrayBuffer} */ (frame), 8)]);
  assert.deepEqual(numbers, [
    [1, 2, 2],
    [1, 2, 0.25, 1, 2, 4],
  ]);
});

test("a vector goes to who asked for it", () => {
  const socket = newest();
  socket.open();
  decoder.askVector({ type: "encoding", index: 5, dial: 0.5 }, (vector) => events.push(["mine", ...vector]));
  assert.deepEqual(JSON.parse(String(socket.sent[0])), {
    type: "encoding",
    index: 5,
    dial: 0.5,
    sequence: 1,
  });
  socket.onmessage({ data: JSON.stringify({ type: "encoding", sequence: 1, vector: [0.5, 1] }) });
  assert.deepEqual(events, [["mine", 0.5, 1]]);
});

test("what was on its way when the connection was lost is asked for again", () => {
  newest().open();
  decoder.ask("picture", z);
  newest().close();
  assert.equal(FakeSocket.all.length, 1);
  mock.timers.tick(retryPause(1));
  assert.equal(FakeSocket.all.length, 2);
  newest().open();
  assert.deepEqual(newest().sequences(), [2]);
  newest().answer(2);
  assert.equal(events.length, 1);
});

test("pauses between attempts grow, up to a bound", () => {
  assert.deepEqual([1, 2, 3, 6, 7, 50].map(retryPause), [250, 500, 1000, 8000, 8000, 8000]);
});

test("where sockets are blocked, pictures come by requests", async () => {
  /** @type {any[]} */
  const posted = [];
  const frame = fixture("reply_with_location").buffer;
  Object.assign(globalThis, {
    fetch: async (/** @type {URL} */ address, /** @type {RequestInit} */ how) => {
      posted.push([address.pathname.split("/").at(-1), how.method]);
      return new Response(frame, { headers: { "content-type": "application/octet-stream" } });
    },
  });
  for (const failures of [1, 2, 3]) {
    newest().close();
    mock.timers.tick(retryPause(failures));
  }
  assert.equal(decoder.live, false);
  assert.match(events[0], /Live decoding is blocked/);
  decoder.ask("picture", z);
  await new Promise((done) => setImmediate(done));
  await new Promise((done) => setImmediate(done));
  assert.deepEqual(posted, [["a%20run", "POST"]]);
  assert.deepEqual(events[1], ["picture", 1, 0]);
});

test("a closed decoder stays closed", () => {
  newest().open();
  decoder.close();
  mock.timers.tick(60_000);
  assert.equal(FakeSocket.all.length, 1);
});
