// A number that the model is told, such as β: a slider by equal ratios, along which pictures follow
// the hand, and a strip of pictures of where it leads from this point.

import { drawRow } from "../shared/canvas.js";
import { button, element } from "../shared/elements.js";
import { significant } from "../shared/format.js";
import { clamp } from "../shared/vectors.js";
import { Player } from "./animation.js";

const PLACES = 7; // pictures of the strip
const STEP = 0.002; // of the way from end to end
const SWING_S = 6; // from end to end and back
const LARGE_PX = 40; // larger pictures are shrunk in the strip

/** @typedef {{ name: string, key: string, low: number, high: number, usual: number, value: number }} DialData */

export class Dial {
  /** @param {import("./explorer.js").Explorer} explorer @param {DialData} data */
  constructor(explorer, data) {
    this.explorer = explorer;
    this.data = data;
    this.value = data.value;
    this.held = false;
    const { name, usual } = data;
    const read = (/** @type {number} */ value) => significant(value, 3);
    this.stops = Array.from({ length: PLACES }, (_, i) => this.at(i / (PLACES - 1)));
    this.slider = element("input", {
      type: "range",
      min: 0,
      max: 1,
      step: STEP,
      style: "--at: 50%",
      "aria-label": `${name} that the model is told`,
      title: `Double-click to set to ${read(usual)}`,
      "data-testid": `${data.key}-dial`,
    });
    this.slider.oninput = () => this.turn(this.at(Number(this.slider.value)));
    this.slider.onpointerdown = () => {
      this.held = true;
    };
    this.slider.onchange = () => {
      if (this.held) explorer.release();
      else explorer.releaseSoon(); // a key
      this.held = false;
    };
    this.slider.ondblclick = () => this.set(usual);
    this.output = element("output");
    this.player = new Player(
      `Swing ${name} from end to end`,
      { class: "play" },
      () => this.swing(),
      () => explorer.release(),
    );
    const heading = element("div", { class: "heading" }, [
      element("b", {}, [name]),
      element("small", {}, [`${read(data.low)} to ${read(data.high)}, one network`]),
      this.player.button,
      this.output,
    ]);
    const [, height, width] = explorer.data.shape;
    const shrunk = Math.max(height, width) > LARGE_PX ? "shrunk" : "";
    this.pictures = element("canvas", { class: shrunk, "aria-hidden": "true" });
    // The slider above them does the same for the keyboard.
    this.cells = this.stops.map((stop) =>
      button("", `Set ${name} to ${read(stop)}`, () => this.set(stop), { tabindex: -1 }),
    );
    const strip = element("div", { class: "strip" }, [this.pictures, ...this.cells]);
    this.root = element("div", { class: "row dial" }, [heading, this.slider, strip]);
    this.show(this.value);
  }

  /** What a page and its address keep; null where it usually is. */
  get told() {
    return this.value === this.data.usual ? null : this.value;
  }

  /** The value at a share of the way from end to end. @param {number} share */
  at(share) {
    const { low, high } = this.data;
    return low * (high / low) ** share;
  }

  /** The share of the way at which a value lies. @param {number} value */
  place(value) {
    const { low, high } = this.data;
    return clamp(Math.log(value / low) / Math.log(high / low), 0, 1);
  }

  /** @param {number} value */
  show(value) {
    this.value = clamp(value, this.data.low, this.data.high);
    const place = this.place(this.value);
    this.slider.value = String(place);
    this.slider.style.setProperty("--at", `${100 * place}%`);
    this.output.textContent = significant(this.value, 3);
    this.slider.setAttribute("aria-valuetext", `${this.data.name} ${significant(this.value, 3)}`);
    const nearest = Math.round(place * (PLACES - 1));
    this.cells.forEach((cell, i) => cell.classList.toggle("near", i === nearest));
  }

  /** A hand moves it: encoder and decoder follow. @param {number} value */
  turn(value) {
    this.explorer.hold(this);
    this.show(value);
    this.follow();
  }

  follow() {
    const { explorer } = this;
    explorer.panels?.starts.again();
    explorer.follow();
  }

  /** @param {number} value */
  set(value) {
    const { source } = this.explorer;
    this.explorer.change(() => this.show(value));
    this.explorer.source = source;
    this.follow();
  }

  askStrip() {
    const z = this.explorer.point.vector();
    const { decoder } = this.explorer;
    const vectors = this.stops.map(() => z);
    decoder?.ask("dial", vectors, { dials: this.stops });
  }

  /** @param {import("../shared/canvas.js").Pixels} pictures */
  draw(pictures) {
    drawRow(this.pictures, pictures, 0, PLACES);
  }

  /** Play from where the slider stands. */
  swing() {
    const from = Math.asin(2 * this.place(this.value) - 1);
    return (/** @type {number} */ seconds) =>
      this.turn(this.at(0.5 + 0.5 * Math.sin(from + (2 * Math.PI * seconds) / SWING_S)));
  }
}
