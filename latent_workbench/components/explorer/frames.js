// The frames of the live decoder, from vectors to bytes and from bytes to pixels. How their headers
// lie is told by one table, which latent_workbench/live/protocol.py reads too; it also says what
// the fields mean. Everything is little-endian.

import protocol from "../../live/protocol.json" with { type: "json" };

/** @import { Pixels } from "../shared/canvas.js" */

/**
 * @typedef {object} Location where the first vector of a request lies
 * @property {number} distance σ from the mean
 * @property {number} nearer share of the training draws that are nearer to it
 * @property {number} gap how far the nearest encodings are, in times as usual
 * @property {number} closer share of the training draws with closer ones
 * @property {number} log_density under the prior in nats, no number where there is none
 * @property {string} verdict one of "typical", "near", "hole", "far"
 * @property {{ index: number, distance: number }[]} nearest encodings
 *
 * @typedef {Pixels & { sequence: number, location: Location | null, message?: undefined }} Picture
 * @typedef {{ sequence: number, message: string, pixels?: undefined }} Failure
 */

/** @typedef {"u1" | "u2" | "u4" | "f4"} Type */
const SIZES = { u1: 1, u2: 2, u4: 4, f4: 4 };

/** @type {Record<Type, (view: DataView, offset: number) => number>} */
const READ = {
  u1: (view, offset) => view.getUint8(offset),
  u2: (view, offset) => view.getUint16(offset, true),
  u4: (view, offset) => view.getUint32(offset, true),
  f4: (view, offset) => view.getFloat32(offset, true),
};

/** @type {Record<Type, (view: DataView, offset: number, value: number) => void>} */
const WRITE = {
  u1: (view, offset, value) => view.setUint8(offset, value),
  u2: (view, offset, value) => view.setUint16(offset, value, true),
  u4: (view, offset, value) => view.setUint32(offset, value, true),
  f4: (view, offset, value) => view.setFloat32(offset, value, true),
};

/** Numbers that lie one after the other, without gaps. @template {string} Name */
class Layout {
  /** @param {{ [name in Name]: string }} fields their types */
  constructor(fields) {
    this.size = 0;
    this.fields = /** @type {[Name, Type][]} */ (Object.entries(fields)).map(([name, type]) => {
      const offset = this.size;
      this.size += SIZES[type];
      return { name, type, offset };
    });
  }

  /** @param {DataView} view @param {number} start */
  read(view, start) {
    const values = this.fields.map(({ name, type, offset }) => [name, READ[type](view, start + offset)]);
    return /** @type {{ [name in Name]: number }} */ (Object.fromEntries(values));
  }

  /** @param {DataView} view @param {{ [name in Name]: number }} values */
  write(view, values) {
    for (const { name, type, offset } of this.fields) WRITE[type](view, offset, values[name]);
  }
}

const REQUEST = new Layout(protocol.request);
const REPLY = new Layout(protocol.reply);
const LOCATION = new Layout(protocol.location);
const NEIGHBOUR = new Layout(protocol.neighbour);

/**
 * @param {Float32Array[]} vectors all of one length
 * @param {number} [sequence]
 * @param {number} [nearest] how many encodings near the first of them to name
 * @param {number[] | null} [dials] where the dial of the model is for each of them; null without one
 */
export function requestFrame(vectors, sequence = 0, nearest = 0, dials = null) {
  const size = vectors[0].length + (dials ? 1 : 0);
  const message = new ArrayBuffer(REQUEST.size + 4 * size * vectors.length);
  REQUEST.write(new DataView(message), { sequence, count: vectors.length, nearest });
  const numbers = new Float32Array(message, REQUEST.size);
  vectors.forEach((vector, index) => numbers.set(vector, index * size));
  dials?.forEach((value, index) => {
    numbers[(index + 1) * size - 1] = value;
  });
  return message;
}

/** @param {ArrayBuffer} frame @returns {Picture | Failure} */
export function readReply(frame) {
  const view = new DataView(frame);
  const { sequence, status, channels, count, height, width } = REPLY.read(view, 0);
  const rest = new Uint8Array(frame, REPLY.size);
  if (status) return { sequence, message: new TextDecoder().decode(rest) };
  const size = channels * count * height * width;
  const location = rest.length > size ? readLocation(view, REPLY.size + size) : null;
  return { sequence, channels, count, height, width, pixels: rest.subarray(0, size), location };
}

/** @param {DataView} view @param {number} start @returns {Location} */
function readLocation(view, start) {
  const { found, verdict, ...numbers } = LOCATION.read(view, start);
  const nearest = Array.from({ length: found }, (_, i) =>
    NEIGHBOUR.read(view, start + LOCATION.size + i * NEIGHBOUR.size),
  );
  return { ...numbers, verdict: protocol.verdicts[verdict], nearest };
}
