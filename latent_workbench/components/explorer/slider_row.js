// One direction: its name, a slider in σ, and a strip of pictures of where it leads.

import { drawPixels } from "../shared/canvas.js";
import { element, pictureButton } from "../shared/elements.js";
import { signed } from "../shared/format.js";
import { clamp } from "../shared/vectors.js";
import { Player } from "./animation.js";
import { REACH, STEP } from "./point.js";

export const STOPS = [-3, -2, -1, 0, 1, 2, 3];
const SWING_S = 4; // from end to end and back

/**
 * @typedef {object} SliderEvents
 * @property {(value: number) => void} onDrag
 * @property {() => void} onRelease
 * @property {() => void} onPause after a key
 * @property {(value: number) => void} onSet
 */

export class SliderRow {
  value = 0;
  held = false;

  /**
   * @param {number} k
   * @param {{ name: string, share: number | null, dead: boolean }} about share: 0 to 1
   * @param {boolean} large true where the pictures of the strip are shrunk
   * @param {SliderEvents} on
   */
  constructor(k, about, large, on) {
    this.on = on;
    const share = about.share === null ? "" : `${Math.round(100 * about.share)} %`;
    const explains = share && `, explains ${share} of the variance of the encodings`;
    this.slider = element("input", {
      type: "range",
      min: -REACH,
      max: REACH,
      step: STEP,
      value: 0,
      style: "--at: 50%",
      "aria-label": `Direction ${about.name}${explains}`,
      title: "Double-click to set to 0",
      "data-testid": `direction-slider-${k}`,
    });
    this.slider.oninput = () => this.drag(Number(this.slider.value));
    this.slider.onpointerdown = () => {
      this.held = true;
    };
    this.slider.onchange = () => {
      if (this.held) on.onRelease();
      else on.onPause();
      this.held = false;
    };
    this.slider.ondblclick = () => on.onSet(0);
    this.output = element("output");
    const play = { class: "play" };
    const label = `Swing along direction ${about.name}`;
    this.player = new Player(label, play, () => this.swing(), on.onRelease);
    const heading = element("div", { class: "heading" }, [
      element("b", { title: about.name }, [about.name]),
      element("small", { title: `Direction ${about.name}${explains}` }, [about.dead ? "unused" : share]),
      this.player.button,
      this.output,
    ]);
    this.cells = STOPS.map((stop) => {
      const cell = pictureButton(`Set direction ${about.name} to ${stop} σ`, () => on.onSet(stop));
      cell.tabIndex = -1; // the slider above it does the same for the keyboard
      cell.picture.classList.toggle("shrunk", large);
      return cell;
    });
    const strip = element("div", { class: "strip" }, this.cells);
    const kind = about.dead ? "row dead" : "row";
    this.root = element("div", { class: kind }, [heading, this.slider, strip]);
  }

  /** @param {number} value */
  show(value) {
    this.value = value;
    this.slider.value = String(value);
    this.output.textContent = `${signed(value)} σ`;
    this.slider.style.setProperty("--at", `${(50 * (value + REACH)) / REACH}%`);
    this.slider.setAttribute("aria-valuetext", `${value.toFixed(2)} standard deviations`);
    this.cells.forEach((cell, i) => cell.classList.toggle("near", Math.round(value) === STOPS[i]));
  }

  /** @param {number} value */
  drag(value) {
    this.show(value);
    this.on.onDrag(value);
  }

  /** @param {import("../shared/canvas.js").Pixels} pictures @param {number} first */
  drawStrip(pictures, first) {
    this.cells.forEach((cell, i) => drawPixels(cell.picture, pictures, first + i));
  }

  /** Play from where the slider stands. */
  swing() {
    const from = Math.asin(clamp(this.value / REACH, -1, 1));
    return (/** @type {number} */ seconds) =>
      this.drag(REACH * Math.sin(from + (2 * Math.PI * seconds) / SWING_S));
  }
}
