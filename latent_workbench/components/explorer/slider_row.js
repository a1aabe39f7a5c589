// One direction: its name, a slider in σ, and a strip of pictures of where it leads.

import { drawRow } from "../shared/canvas.js";
import { button, element } from "../shared/elements.js";
import { signed } from "../shared/format.js";
import { clamp } from "../shared/vectors.js";
import { Player } from "./animation.js";
import { REACH, STEP } from "./point.js";

export const STOPS = [-3, -2, -1, 0, 1, 2, 3];
const LARGE_PX = 40; // larger pictures are shrunk in the strip
const SWING_S = 4; // from end to end and back

export class SliderRow {
  value = 0;
  held = false;

  /** @param {import("./explorer.js").Explorer} explorer @param {number} k of the direction */
  constructor(explorer, k) {
    this.explorer = explorer;
    this.k = k;
    const { directions, shape } = explorer.data;
    const name = directions.names[k];
    const share = directions.explained ? `${Math.round(100 * directions.explained[k])} %` : "";
    const explains = share && `, explains ${share} of the variance of the encodings`;
    this.slider = element("input", {
      type: "range",
      min: -REACH,
      max: REACH,
      step: STEP,
      value: 0,
      style: "--at: 50%",
      "aria-label": `Direction ${name}${explains}`,
      title: "Double-click to set to 0",
      "data-testid": `direction-slider-${k}`,
    });
    this.slider.oninput = () => this.drag(Number(this.slider.value));
    this.slider.onpointerdown = () => {
      this.held = true;
    };
    this.slider.onchange = () => {
      if (this.held) explorer.release();
      else explorer.releaseSoon(); // a key
      this.held = false;
    };
    this.slider.ondblclick = () => this.set(0);
    this.output = element("output");
    this.player = new Player(
      `Swing along direction ${name}`,
      { class: "play" },
      () => this.swing(),
      () => explorer.release(),
    );
    const heading = element("div", { class: "heading" }, [
      element("b", { title: name }, [name]),
      element("small", { title: `Direction ${name}${explains}` }, [directions.dead[k] ? "unused" : share]),
      this.player.button,
      this.output,
    ]);
    const shrunk = Math.max(shape[1], shape[2]) > LARGE_PX;
    this.pictures = element("canvas", { class: shrunk ? "shrunk" : "", "aria-hidden": "true" });
    // The slider above them does the same for the keyboard.
    this.cells = STOPS.map((stop) =>
      button("", `Set direction ${name} to ${stop} σ`, () => this.set(stop), { tabindex: -1 }),
    );
    const strip = element("div", { class: "strip" }, [this.pictures, ...this.cells]);
    const kind = directions.dead[k] ? "row dead" : "row";
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
    this.explorer.hold(this);
    this.explorer.point.values[this.k] = value;
    this.explorer.follow();
  }

  /** @param {number} value */
  set(value) {
    this.explorer.change(() => {
      this.explorer.point.values[this.k] = value;
    });
  }

  /** @param {import("../shared/canvas.js").Pixels} pictures @param {number} first */
  drawStrip(pictures, first) {
    drawRow(this.pictures, pictures, first, STOPS.length);
  }

  /** Play from where the slider stands. */
  swing() {
    const from = Math.asin(clamp(this.value / REACH, -1, 1));
    return (/** @type {number} */ seconds) =>
      this.drag(REACH * Math.sin(from + (2 * Math.PI * seconds) / SWING_S));
  }
}
