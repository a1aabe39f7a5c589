// The client's end of the live decoder. It owns nothing but the connection: one request is in
// flight at a time, and of each kind only the newest waits, so a fast hand never builds a queue.

import { liveAddress, liveSocket } from "../shared/address.js";
import { LiveSocket } from "../shared/socket.js";
import { readReply, requestFrame } from "./frames.js";

/** @import { Failure, Picture } from "./frames.js" */

const TRIES_BEFORE_BLOCKED = 3;
const PATIENCE_MS = 30000; // the first request may wait for the server to load its engine

/** @typedef {"picture" | "vector" | "ends" | "dial" | "strips"} Kind */
/** @type {Kind[]} */
const KINDS = ["picture", "vector", "ends", "dial", "strips"]; // in order of urgency

/**
 * @typedef {{ sequence: number, vector: number[], message?: undefined, pixels?: undefined }} Vector
 *
 * @typedef {{ type: "random", temperature: number } | { type: "encoding", index: number, dial?: number }} Question
 *
 * @typedef {object} Waiting a request that has not been answered
 * @property {Kind} kind
 * @property {Float32Array[]} [vectors]
 * @property {Question} [question]
 * @property {number} nearest how many encodings near the first vector to name
 * @property {number} first handed back with the pictures
 * @property {number[]} [dials] of the vectors, where the dial is elsewhere for each
 * @property {DecoderEvents["onVector"]} [onVector]
 *
 * @typedef {object} DecoderEvents
 * @property {(kind: Kind, picture: Picture, first: number) => void} onPictures
 * @property {(vector: Float32Array) => void} onVector
 * @property {(sentence: string) => void} onProblem "" where there is none
 */

export class LiveDecoder {
  /** @type {Partial<Record<Kind, Waiting>>} */
  waiting = {};
  /** @type {(Waiting & { posted?: boolean }) | null} */
  flying = null;
  sequence = 0;
  /** Where the dial of the model is, when a request is sent; null without one. @type {() => number | null} */
  dialled = () => null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  patience;

  /**
   * @param {string} run
   * @param {number | null} label what a conditional model is told; null for all others
   * @param {DecoderEvents} on
   */
  constructor(run, label, on) {
    this.on = on;
    this.address = liveAddress(["decode", run], { label });
    this.socket = new LiveSocket(liveSocket(["decode", run], { label }), {
      onOpen: () => this.pump(),
      onMessage: (data) => this.receive(data),
      onLost: () => this.lost(),
    });
  }

  /** False while a proxy blocks sockets: pictures then come by ordinary requests, on release only. */
  get live() {
    return this.socket.failures < TRIES_BEFORE_BLOCKED;
  }

  /**
   * @param {Kind} kind
   * @param {Float32Array[]} vectors all of one length
   * @param {{ nearest?: number, first?: number, dials?: number[] }} [more]
   */
  ask(kind, vectors, { nearest = 0, first = 0, dials } = {}) {
    this.waiting[kind] = { kind, vectors, nearest, first, dials };
    this.pump();
  }

  /**
   * The answer is a latent vector.
   * @param {Question} question @param {DecoderEvents["onVector"]} [onVector] who takes it
   */
  askVector(question, onVector = this.on.onVector) {
    this.waiting.vector = { kind: "vector", question, nearest: 0, first: 0, onVector };
    this.pump();
  }

  /** True while a request of this kind has not been sent yet. @param {Kind} kind */
  awaits(kind) {
    return Boolean(this.waiting[kind]);
  }

  close() {
    clearTimeout(this.patience);
    this.socket.close();
  }

  lost() {
    clearTimeout(this.patience);
    if (this.flying && !this.flying.posted) this.putBack(this.flying);
    if (this.live) return;
    this.on.onProblem(
      "Live decoding is blocked: your browser cannot open a WebSocket to this app, so the " +
        "picture follows when you let go. Check that the app still runs and that no proxy or " +
        "extension is in the way.",
    );
    this.pump();
  }

  /** @param {Waiting} request */
  putBack(request) {
    this.waiting[request.kind] ??= request;
    this.flying = null;
  }

  pump() {
    if (this.flying) return;
    const open = this.socket.isOpen;
    if (!open && this.live) return;
    const kind = KINDS.find((each) => this.waiting[each]);
    const request = kind && this.waiting[kind];
    if (!request) return;
    this.flying = request;
    delete this.waiting[kind];
    this.sequence = (this.sequence + 1) >>> 0;
    const { question, vectors = [], nearest } = request;
    const dial = this.dialled();
    const dials = dial === null ? null : (request.dials ?? vectors.map(() => dial));
    const message = question
      ? JSON.stringify({ ...question, sequence: this.sequence })
      : requestFrame(vectors, this.sequence, nearest, dials);
    if (open) {
      this.socket.send(message);
      this.patience = setTimeout(() => this.socket.drop(), PATIENCE_MS);
    } else this.post(request, message);
  }

  /** @param {Waiting} request @param {string | ArrayBuffer} body */
  async post(request, body) {
    this.flying = { ...request, posted: true };
    const { sequence } = this;
    const type = request.question ? "application/json" : "application/octet-stream";
    try {
      const response = await fetch(this.address, {
        method: "POST",
        body,
        headers: { "content-type": type },
      });
      const json = (response.headers.get("content-type") ?? "").includes("json");
      const answer = json ? await response.json() : readReply(await response.arrayBuffer());
      this.take({ ...answer, sequence }, false);
    } catch {
      if (this.flying) this.putBack(this.flying); // no server at all; the next attempt tries again
    }
  }

  /** @param {string | ArrayBuffer} data */
  receive(data) {
    const answer = typeof data === "string" ? JSON.parse(data) : readReply(data);
    // Sequence 0 answers a request so broken that the server could not read its number.
    if (!this.flying || (answer.sequence !== this.sequence && answer.sequence !== 0)) return;
    this.socket.failures = 0;
    clearTimeout(this.patience);
    this.take(answer, true);
  }

  /** @param {Picture | Failure | Vector} answer @param {boolean} bySocket */
  take(answer, bySocket) {
    if (!this.flying) return;
    const { kind, first, onVector } = this.flying;
    this.flying = null;
    if (bySocket || answer.message) this.on.onProblem(answer.message ?? "");
    if ("vector" in answer) onVector?.(Float32Array.from(answer.vector));
    if (answer.pixels) this.on.onPictures(kind, answer, first);
    this.pump();
  }
}
