// The model in the page itself: what `live_engine.js` asks a server for is computed by a worker here.

import { fromBase64 } from "../shared/vectors.js";

/**
 * @import { DecoderEvents, Engine } from "../explorer/live_engine.js"
 * @import { Kind, Question } from "../explorer/decoder.js"
 * @import { Answered, Model } from "./worker.js"
 *
 * @typedef {object} Drawn draws from the prior that were made before
 * @property {string} vectors [n, D], base64 of float32
 *
 * @typedef {Model & { atlas: string | null, drawn: Drawn | null }} PageModel `atlas` as an address
 *   that holds the picture itself; without draws the prior is N(0, I)
 */

/** @type {Kind[]} */
const KINDS = ["picture", "ends", "dial", "strips"]; // in order of urgency
const UNKNOWN = -1; // what a conditional model is told that is told no label

/** @param {PageModel} model @param {Worker} worker @returns {Engine} */
export function pageEngine(model, worker) {
  const decoding = new Decoding(model, worker);
  return {
    decoder: (label, on) => new PageDecoder(model, decoding, label, on),
    atlas: async () => (model.atlas ? createImageBitmap(await pictureOf(model.atlas)) : null),
    server: null,
  };
}

/** @param {string} address */
async function pictureOf(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

/** Questions to the worker, and its answers. */
class Decoding {
  /** @type {Map<number, (answered: Answered) => void>} */
  waiting = new Map();
  last = 0;

  /** @param {PageModel} model @param {Worker} worker */
  constructor({ program, mu, region, density, shape }, worker) {
    this.worker = worker;
    worker.onmessage = ({ data }) => {
      this.waiting.get(data.id)?.(data);
      this.waiting.delete(data.id);
    };
    worker.postMessage({ program, mu, region, density, shape });
  }

  /** @param {Float32Array} z @param {number} told @param {number} nearest @returns {Promise<Answered>} */
  ask(z, told, nearest) {
    const id = ++this.last;
    this.worker.postMessage({ id, z, told, nearest });
    return new Promise((answered) => this.waiting.set(id, answered));
  }
}

/**
 * @typedef {object} Request
 * @property {Kind} kind
 * @property {Float32Array[]} vectors
 * @property {number} nearest
 * @property {number} first
 * @property {number[] | undefined} dials
 * @property {Uint8Array[]} pictures as far as they are done
 * @property {Answered["location"]} location
 */

/**
 * As the live decoder: of each kind only the newest request counts. It decodes picture by picture, so
 * that a hand never waits for more than one of a filmstrip.
 */
class PageDecoder {
  /** @type {Partial<Record<Kind, Request>>} */
  waiting = {};
  busy = false;
  closed = false;
  live = true;
  /** @type {() => number | null} */
  dialled = () => null;

  /** @param {PageModel} model @param {Decoding} decoding @param {number | null} label @param {DecoderEvents} on */
  constructor(model, decoding, label, on) {
    this.model = model;
    this.decoding = decoding;
    this.label = label;
    this.on = on;
    this.mu = model.mu ? fromBase64(model.mu, Float32Array) : new Float32Array();
    this.draws = model.drawn ? fromBase64(model.drawn.vectors, Float32Array) : null;
  }

  /**
   * @param {Kind} kind @param {Float32Array[]} vectors
   * @param {{ nearest?: number, first?: number, dials?: number[] }} [more]
   */
  ask(kind, vectors, { nearest = 0, first = 0, dials } = {}) {
    this.waiting[kind] = { kind, vectors, nearest, first, dials, pictures: [], location: null };
    this.pump();
  }

  /** @param {Question} question @param {DecoderEvents["onVector"]} [onVector] */
  askVector(question, onVector = this.on.onVector) {
    const vector =
      question.type === "random" ? this.draw(question.temperature) : this.encoding(question.index);
    queueMicrotask(() => this.closed || onVector(vector)); // an answer comes after its question
  }

  /** @param {Kind} kind */
  awaits(kind) {
    return Boolean(this.waiting[kind]);
  }

  close() {
    this.closed = true;
    this.waiting = {};
  }

  get size() {
    return this.model.program.sizes[this.model.program.inputs[0]];
  }

  /** @param {number} index */
  encoding(index) {
    return this.mu.slice(index * this.size, (index + 1) * this.size);
  }

  /** @param {number} temperature */
  draw(temperature) {
    if (!this.draws) return Float32Array.from({ length: this.size }, () => temperature * normal());
    const at = Math.floor((Math.random() * this.draws.length) / this.size) * this.size;
    return this.draws.slice(at, at + this.size);
  }

  async pump() {
    if (this.busy) return;
    this.busy = true;
    for (let kind = this.next(); kind; kind = this.next()) {
      const request = this.waiting[kind];
      if (request) await this.advance(request);
    }
    this.busy = false;
  }

  next() {
    return KINDS.find((kind) => this.waiting[kind]);
  }

  /** One picture more. @param {Request} request */
  async advance(request) {
    const { kind, vectors, dials, nearest, first, pictures } = request;
    const i = pictures.length;
    const told = dials?.[i] ?? this.dialled() ?? this.label ?? UNKNOWN;
    const answered = await this.decoding.ask(vectors[i], told, i === 0 ? nearest : 0);
    if (this.closed) return;
    this.on.onProblem(answered.problem ? `The picture cannot be computed. ${answered.problem}` : "");
    if (answered.pixels) pictures.push(answered.pixels);
    if (i === 0) request.location = answered.location;
    const done = pictures.length === vectors.length || !answered.pixels;
    if (this.waiting[kind] === request && done) delete this.waiting[kind];
    // What a newer request has overtaken is still shown where it is whole: a hand that never rests
    // sees it follow.
    if (pictures.length < vectors.length) return;
    const [channels, height, width] = this.model.shape;
    const pixels = pictures.length === 1 ? pictures[0] : joined(pictures);
    const picture = { channels, height, width, pixels, count: pictures.length };
    this.on.onPictures(kind, { sequence: 0, location: request.location ?? null, ...picture }, first);
  }
}

/** @param {Uint8Array[]} parts */
function joined(parts) {
  const whole = new Uint8Array(parts.length * parts[0].length);
  parts.forEach((part, i) => whole.set(part, i * part.length));
  return whole;
}

/** A draw of N(0, 1): Box and Muller (1958). */
function normal() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}
