// Sliders along directions of the latent space, with the picture that they decode to.

import { drawPixels } from "../shared/canvas.js";
import { element } from "../shared/elements.js";
import { placed } from "../shared/places.js";
import { Thumbnails } from "../shared/thumbnails.js";
import { fromBase64 } from "../shared/vectors.js";
import { Dial } from "./dial.js";
import { liveEngine } from "./live_engine.js";
import { NEAREST } from "./location_panel.js";
import { Panels } from "./panels.js";
import { Point, UndoStack } from "./point.js";
import { SliderRow, STOPS } from "./slider_row.js";
import { actionBar } from "./toolbar.js";

const MOST_STRIPS = 2; // rows in one request: a hand that grabs anew waits for few pictures
const MORE = 8;
const IDLE_MS = 250; // without a key for so long, a move by keys has come to rest

/**
 * @typedef {object} ExplorerData as `explorer_data` in Python makes it; arrays are base64 of
 *   float32, labels of int16 and places of int32
 * @property {string} identity another one is another explorer
 * @property {string} version of the weights
 * @property {number} called how often a view was asked for, such as by the browser's history
 * @property {boolean} [waiting] true of an outline, until Python knows the directions
 * @property {string} run
 * @property {number} step
 * @property {"full" | "hero"} mode
 * @property {string} title
 * @property {boolean} linked true where explorers of one page start from the same image
 * @property {number[]} shape [C, H, W]
 * @property {import("./point.js").Directions} directions
 * @property {{ values: number[], base: string | null } | null} view
 * @property {string | null} position
 * @property {(string | null)[]} ends of the path
 * @property {string[]} [conditions] the labels that the model can be told
 * @property {number} [label] the one that it is told
 * @property {import("./dial.js").DialData} [dial] a number that the model is told
 * @property {import("../shared/thumbnails.js").Atlas | null} thumbnails
 * @property {import("./latent_map.js").PlaneData | null} [plane]
 * @property {string[]} colors of the labels
 * @property {string[]} label_names
 * @property {string | null} labels of the images
 * @property {string | null} places of the images in their data set
 * @property {string | null} [names] of their files, as `Names` takes them
 * @property {string[]} [hold_outs] names of the files of the images kept aside
 * @property {string} group explorers of one group show the same images
 * @property {number} count of the images
 * @property {string} no_density why the prior has none, "" where it has one
 * @property {boolean} [drawn] true where draws from the prior were made before, at one temperature
 * @property {boolean} [unplaced] true where nobody can say how far from the encodings a point lies
 *
 * @typedef {ComponentCall<ExplorerData>["setStateValue"]} Send
 * @typedef {import("./point.js").PointState & { label: number | null, dial: number | null }} State
 */

/** @import { Source } from "./starting_points.js" */

/** @param {ComponentCall<ExplorerData>} call */
export default function ({ parentElement, data: [data], setStateValue, setTriggerValue }) {
  const make = () => new Explorer(parentElement, data, liveEngine(data.run));
  const { made: explorer, leave } = placed(parentElement, data.identity, make);
  explorer.update(data);
  explorer.sendState = setStateValue;
  explorer.sendTrigger = setTriggerValue;
  explorer.tellNews();
  return leave;
}

export class Explorer {
  /** @type {SliderRow[]} */
  rows = [];
  /** @type {UndoStack<State>} */
  undoStack = new UndoStack();
  /** @type {import("./live_engine.js").Decoder | null} */
  decoder = null;
  /** @type {Panels | null} */
  panels = null;
  /** The state before a move that goes on. @type {State | null} */
  before = null;
  /** What the point is the encoding of, while it is. @type {Source | null} */
  source = null;
  /** What moves the point: a slider, the map, the path. @type {object | null} */
  holder = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  pause;
  /** @type {Send} */
  sendState = () => {};
  /** @type {Send} */
  sendTrigger = () => {};
  removed = false;
  untold = false;

  /**
   * @param {HTMLElement} parent @param {ExplorerData} data
   * @param {import("./live_engine.js").Engine} engine
   */
  constructor(parent, data, engine) {
    const { run, mode, shape, title, waiting, ends } = data;
    this.data = data;
    this.engine = engine;
    this.full = mode === "full" && !waiting;
    this.label = data.label ?? null;
    this.point = new Point(data.directions);
    this.thumbnails = new Thumbnails(run, data.thumbnails, engine.atlas);
    this.canvas = element("canvas", {
      role: "img",
      "aria-label": "Decoded picture",
      "data-testid": "decoded-image",
      height: shape[1],
      width: shape[2],
    });
    this.problem = element("p", { class: "problem", role: "status" });
    this.connection = element("p", { class: "problem", role: "status" });
    this.sliders = element("div", { class: "rows" });
    this.bar = actionBar(this, this.full, data.conditions ?? []);
    this.frame = element("div", { class: "picture" }, [this.canvas]);
    this.left = element("div", { class: "left" }, [this.frame]);
    const heading = element("h2", {}, [title]);
    this.dial = data.dial ? new Dial(this, data.dial) : null;
    const turned = this.dial ? [this.dial.root] : [];
    const side = [heading, ...turned, this.sliders, this.bar.more, this.bar.root];
    this.panes = element("div", { class: "panes" }, [this.left, element("div", { class: "side" }, side)]);
    this.root = element("div", { class: `explorer ${mode}` }, [this.panes, this.problem, this.connection]);
    this.root.inert = Boolean(waiting);
    this.root.onkeydown = (event) => this.shortcut(event);
    if (this.full) this.panels = new Panels(this);
    parent.append(this.root);
    this.buildRows();
    if (waiting) return;
    this.takeView();
    this.untold = !data.view; // Python gave a point at most; it shall know the values
    this.connect();
    this.show();
    this.askStrips();
    const [a, b] = ends.map((end) => end && fromBase64(end, Float32Array));
    this.panels?.path.restore(a || null, b || null);
  }

  remove() {
    this.removed = true; // and tells Python no more: it may show another run by now
    this.stopPlaying();
    this.thumbnails.close();
    this.decoder?.close();
    this.panels?.map?.remove();
    this.panels?.starts.remove();
    this.root.remove();
  }

  connect() {
    this.decoder?.close();
    this.decoder = this.engine.decoder(this.label, {
      onPictures: (kind, picture, first) => {
        if (kind === "picture") this.drawMain(picture);
        else if (kind === "ends") this.panels?.path.draw(picture);
        else if (kind === "dial") this.dial?.draw(picture);
        else this.drawStrips(picture, first);
      },
      onVector: (vector) => this.change(() => this.point.goTo(vector)),
      onProblem: (sentence) => {
        this.connection.textContent = sentence;
      },
    });
    this.decoder.dialled = () => this.dial?.value ?? null;
  }

  /**
   * What a rerun of the page brings: perhaps other directions through the same space, weights
   * that were trained on, or a step back in the browser's history.
   * @param {ExplorerData} data
   */
  update(data) {
    const old = this.data;
    this.data = data;
    const turned = data.directions.id !== this.point.id;
    const called = data.called !== old.called;
    if (!turned && !called && data.version === old.version) return;
    if (turned || called) this.stopPlaying();
    if (turned) this.turn();
    if (called) this.takeView();
    this.untold = turned || called;
    this.show();
    this.askStrips();
  }

  turn() {
    const z = this.point.vector();
    this.point = new Point(this.data.directions);
    this.point.goTo(z);
    this.buildRows();
    if (this.data.plane) this.panels?.map?.setPlane(this.data.plane);
  }

  buildRows() {
    const { directions } = this.data;
    this.rows = directions.names.map((_, k) => new SliderRow(this, k));
    this.sliders.replaceChildren(...this.rows.map((row) => row.root));
    this.sliders.style.setProperty("--rows", String(Math.max(1, Math.ceil(this.rows.length / 2))));
    const hidden = directions.total - this.rows.length;
    this.bar.more.hidden = !this.full || hidden <= 0;
    this.bar.more.textContent = `${hidden} more direction${hidden === 1 ? "" : "s"}`;
  }

  takeView() {
    const { view, position, label, dial } = this.data;
    const { point } = this;
    if (label !== undefined && label !== this.label) this.condition(label);
    if (dial) this.dial?.show(dial.value);
    if (view) {
      point.values = [...view.values];
      point.base = view.base ? fromBase64(view.base, Float32Array) : point.center.slice();
    } else if (position) point.goTo(fromBase64(position, Float32Array));
  }

  // --- changes ------------------------------------------------------------------------------------

  /** Everything but a drag under way: do it, remember what was, tell Python. @param {() => void} action */
  change(action) {
    if (this.removed) return; // an answer that came too late
    this.stopPlaying();
    this.problem.textContent = "";
    this.source = null;
    const before = this.state();
    action();
    this.show();
    this.commit(before);
  }

  /** @returns {State} */
  state() {
    return { ...this.point.state(), label: this.label, dial: this.dial?.value ?? null };
  }

  /** @param {"undo" | "redo"} way */
  travel(way) {
    this.stopPlaying();
    const state = this.undoStack[way](this.state());
    if (!state) return;
    this.point.restore(state);
    if (state.label !== this.label) this.condition(state.label);
    if (state.dial !== null) this.dial?.show(state.dial);
    this.source = null;
    this.show();
    this.commit();
  }

  /** What has come to rest; `before` is what undo goes back to. @param {State} [before] */
  commit(before) {
    if (before) this.undoStack.add(before);
    this.bar.undo.disabled = !this.undoStack.past.length;
    this.bar.redo.disabled = !this.undoStack.future.length;
    this.askStrips();
    if (!this.decoder?.live) this.askPicture();
    this.tellPython();
  }

  tellPython() {
    if (this.removed) return;
    const ends = this.panels?.path.report() ?? [null, null];
    const { run } = this.data;
    const dial = this.dial?.told ?? null;
    this.sendState("view", { run, ...this.point.report(), ends, label: this.label, dial });
  }

  /** What changed without a hand, such as values under other directions. */
  tellNews() {
    if (this.untold) this.tellPython();
    this.untold = false;
  }

  showMore() {
    this.sendTrigger("shown", this.rows.length + MORE);
  }

  /**
   * A move that goes on: undo takes all of it back at once, but not what another control did.
   * @param {object} control
   */
  hold(control) {
    if (this.holder !== control) this.release();
    if (control !== this.dial) this.source = null; // it moves the point away from there
    this.holder = control;
    this.before ??= this.state();
  }

  /**
   * Anything else that moves the point while a hand holds it: the map's marker, the scrubber.
   * @param {object} control @param {Float32Array} z
   */
  carry(control, z) {
    this.hold(control);
    this.point.goTo(z);
    this.showValues();
    this.follow();
  }

  follow() {
    this.panels?.map?.show(this.point.vector());
    if (this.decoder?.live) this.askPicture();
  }

  /** Keys repeat: they have come to rest when no other follows. */
  releaseSoon() {
    clearTimeout(this.pause);
    this.pause = setTimeout(() => this.release(), IDLE_MS);
  }

  release() {
    clearTimeout(this.pause);
    if (!this.before) return;
    const { before } = this;
    this.before = null;
    this.commit(before);
  }

  /** Go to where something is encoded. @param {Float32Array} vector @param {Source} source */
  start(vector, source) {
    this.change(() => this.point.goTo(vector));
    this.source = source;
  }

  /** The dial has turned, and what was started from is encoded there. @param {Float32Array} vector */
  restart(vector) {
    if (!this.source) return; // a hand has left from there meanwhile
    this.point.goTo(vector);
    this.showValues();
    this.follow();
    if (!this.before) this.commit(); // the hand has let go of the dial meanwhile
  }

  stopPlaying() {
    this.panels?.path.player.stop();
    for (const row of this.rows) row.player.stop();
    this.dial?.player.stop();
    this.release();
  }

  /** Tell a conditional model of another label; the latents, its style, stay. @param {number | null} label */
  condition(label) {
    this.label = label;
    this.bar.label.value = String(label);
    if (!this.decoder) return; // not connected yet
    this.connect();
    this.panels?.path.askPictures();
  }

  /** @param {KeyboardEvent} event */
  shortcut(event) {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
    event.preventDefault();
    this.travel(event.shiftKey ? "redo" : "undo");
  }

  // --- pictures -----------------------------------------------------------------------------------

  askPicture() {
    this.decoder?.ask("picture", [this.point.vector()], { nearest: this.full ? NEAREST : 0 });
  }

  /** A few rows at a time; the answer asks for the next ones. */
  askStrips(first = 0) {
    const rows = this.rows.slice(first, first + MOST_STRIPS);
    const vectors = rows.flatMap((_, i) => STOPS.map((stop) => this.point.vector(first + i, stop)));
    if (vectors.length) this.decoder?.ask("strips", vectors, { first });
    if (first === 0) this.dial?.askStrip();
  }

  /** @param {import("./frames.js").Picture} picture */
  drawMain(picture) {
    drawPixels(this.canvas, picture, 0);
    if (picture.location) this.panels?.location?.show(picture.location);
    this.panels?.board.mirror(this.canvas);
  }

  /** @param {import("./frames.js").Picture} pictures @param {number} first */
  drawStrips(pictures, first) {
    const rows = this.rows.slice(first, first + pictures.count / STOPS.length);
    rows.forEach((row, i) => row.drawStrip(pictures, i * STOPS.length));
    const done = first + rows.length;
    if (done < this.rows.length && !this.decoder?.awaits("strips")) this.askStrips(done);
  }

  show() {
    this.showValues();
    this.panels?.map?.show(this.point.vector());
    this.askPicture();
  }

  showValues() {
    this.point.values.forEach((value, k) => this.rows[k].show(value));
  }
}
