// The client's end of the socket that knows log p(x|z) of one image: any latents in, nats out.

import { liveSocket } from "../shared/address.js";
import { LiveSocket } from "../shared/socket.js";

const MOST_POINTS = 16_384; // of one request, as the server has it
const BLOCKED_AFTER = 3; // failures in a row

/**
 * @typedef {object} Asked
 * @property {Float32Array} z
 * @property {(values: Float32Array) => void} take
 * @property {boolean} overtaken of these only the newest waits
 */

export class Likelihood {
  /** @type {Asked[]} */
  waiting = [];
  /** @type {Asked | null} */
  flying = null;
  sequence = 0;

  /** @param {string} run @param {number} image @param {(sentence: string) => void} onProblem "" where all is well */
  constructor(run, image, onProblem) {
    this.onProblem = onProblem;
    this.socket = new LiveSocket(liveSocket(["likelihood", run], { image }), {
      onOpen: () => this.pump(),
      onMessage: (data) => this.receive(data),
      onLost: () => this.lost(),
    });
  }

  /** log p(x|z) in nats at n latents. @param {Float32Array} z [n, D], at most 16 384 @returns {Promise<Float32Array>} */
  ask(z) {
    return new Promise((take) => this.queue({ z, take, overtaken: false }));
  }

  /** The same under a moving hand: of several that wait only the newest is asked. @param {Float32Array} z @param {Asked["take"]} take */
  follow(z, take) {
    this.waiting = this.waiting.filter((each) => !each.overtaken);
    this.queue({ z, take, overtaken: true });
  }

  /** @param {Asked} asked */
  queue(asked) {
    if (asked.overtaken) this.waiting.unshift(asked);
    else this.waiting.push(asked);
    this.pump();
  }

  pump() {
    if (this.flying || !this.socket.isOpen) return;
    const next = this.waiting.shift();
    if (!next) return;
    this.flying = next;
    this.sequence = (this.sequence + 1) >>> 0;
    const message = new ArrayBuffer(4 + next.z.byteLength);
    new DataView(message).setUint32(0, this.sequence, true);
    new Float32Array(message, 4).set(next.z);
    this.socket.send(message);
  }

  /** @param {string | ArrayBuffer} data */
  receive(data) {
    const { flying } = this;
    if (!flying) return;
    this.socket.failures = 0;
    this.flying = null;
    if (typeof data === "string") this.onProblem(JSON.parse(data).message);
    else if (new DataView(data).getUint32(0, true) === this.sequence) {
      this.onProblem("");
      flying.take(new Float32Array(data, 4));
    }
    this.pump();
  }

  lost() {
    if (this.flying) this.waiting.unshift(this.flying);
    this.flying = null;
    if (this.socket.failures < BLOCKED_AFTER) return;
    this.onProblem(
      "The figure has lost its model: your browser cannot open a WebSocket to this app. Check that the " +
        "app still runs and that no proxy is in the way.",
    );
  }

  close() {
    this.waiting = [];
    this.socket.close();
  }
}

/** The latents of a square grid, row after row from below: [n², 2]. @param {Box} box @param {number} n */
export function gridPoints({ x, y }, n) {
  const z = new Float32Array(2 * n * n);
  if (n * n > MOST_POINTS) throw new Error("more points than a request holds");
  for (let j = 0; j < n; j++) {
    for (let i = 0; i < n; i++) {
      z[2 * (j * n + i)] = x[0] + ((x[1] - x[0]) * i) / (n - 1);
      z[2 * (j * n + i) + 1] = y[0] + ((y[1] - y[0]) * j) / (n - 1);
    }
  }
  return z;
}
/** @typedef {{ x: [number, number], y: [number, number] }} Box */
