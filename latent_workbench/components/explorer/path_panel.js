// The path from a point A to a point B: set both, then scrub or play it.

import { drawPixels } from "../shared/canvas.js";
import { choice, element, pictureButton } from "../shared/elements.js";
import { lerp, slerp, toBase64 } from "../shared/vectors.js";
import { Player } from "./animation.js";

const PATH_STEPS = 30; // pictures of an exported path, one way
const PLAY_S = 2.5; // from A to B
const SHAPES = { linear: lerp, spherical: slerp };

/** @typedef {keyof typeof SHAPES} Shape */
/** @typedef {Float32Array | null} End */

/**
 * The points at the times `t` of a path and back, for an animation without a seam.
 *
 * @param {(t: number) => Float32Array} at
 * @param {number} [steps] one way
 */
export function thereAndBack(at, steps = PATH_STEPS) {
  const there = Array.from({ length: steps }, (_, i) => at(i / (steps - 1)));
  return [...there, ...there.slice(1, -1).reverse()];
}

export class PathPanel {
  /** @type {{ a: End, b: End }} */
  ends = { a: null, b: null };
  /** @type {Shape} */
  shape = "linear";

  /** @param {import("./explorer.js").Explorer} explorer */
  constructor(explorer) {
    this.explorer = explorer;
    this.end = { a: this.buildEnd("a", "A"), b: this.buildEnd("b", "B") };
    this.scrubber = element("input", {
      type: "range",
      min: 0,
      max: 1,
      step: 0.005,
      value: 0,
      style: "--at: 0%",
      "aria-label": "Place between A and B",
      "data-testid": "path-scrubber",
    });
    this.scrubber.oninput = () => this.move(Number(this.scrubber.value));
    this.scrubber.onchange = () => explorer.releaseSoon();
    this.player = new Player(
      "Play from A to B and back",
      {},
      () => this.swing(),
      () => explorer.release(),
    );
    const title = "Shape of the path: a straight line, or an arc that keeps the distance to 0";
    this.shapes = choice(
      [
        ["linear", "straight"],
        ["spherical", "arc"],
      ],
      title,
      (shape) => {
        this.shape = /** @type {Shape} */ (shape);
        if (this.ready) this.move(Number(this.scrubber.value));
        explorer.release();
      },
    );
    this.root = element("section", { class: "path", "aria-label": "Interpolate" }, [
      this.end.a,
      this.scrubber,
      this.end.b,
      element("div", { class: "how" }, [this.player.button, this.shapes]),
    ]);
    this.refresh();
  }

  /** @param {"a" | "b"} name @param {string} letter */
  buildEnd(name, letter) {
    const end = pictureButton(`Take this point as ${letter}`, () => {
      this.set(name, this.explorer.point.vector());
    });
    end.dataset.testid = `path-${name}`;
    end.append(element("b", {}, [letter]));
    return end;
  }

  get ready() {
    return Boolean(this.ends.a && this.ends.b);
  }

  /** @param {"a" | "b"} name @param {Float32Array} z */
  set(name, z) {
    this.ends[name] = z;
    this.scrubber.value = name === "a" ? "0" : "1";
    this.refresh();
    this.askPictures();
    this.explorer.tellPython();
  }

  /** What the page keeps: A and B, each as base64 or null. */
  report() {
    return [this.ends.a, this.ends.b].map((end) => end && toBase64(end));
  }

  /** @param {End} a @param {End} b */
  restore(a, b) {
    this.ends = { a, b };
    this.refresh();
    this.askPictures();
  }

  askPictures() {
    const known = [this.ends.a, this.ends.b].filter((end) => end !== null);
    if (known.length) this.explorer.decoder?.ask("ends", known);
  }

  /** Pictures of A and B, in the order asked for. @param {import("../shared/canvas.js").Pixels} pictures */
  draw(pictures) {
    const cells = [this.ends.a && this.end.a, this.ends.b && this.end.b].filter((cell) => cell !== null);
    cells.slice(0, pictures.count).forEach((cell, i) => drawPixels(cell.picture, pictures, i));
  }

  refresh() {
    this.scrubber.disabled = this.player.button.disabled = this.shapes.disabled = !this.ready;
    this.scrubber.title = this.ready ? "" : "Take a point as A and another one as B first";
    this.scrubber.style.setProperty("--at", `${100 * Number(this.scrubber.value)}%`);
  }

  /** Along the path, once both ends are there. @param {number} t 0 at A, 1 at B */
  at(t) {
    const { a, b } = this.ends;
    if (!a || !b) throw new Error("A path needs both ends.");
    return SHAPES[this.shape](a, b, t);
  }

  frames() {
    return this.ready ? thereAndBack((t) => this.at(t)) : null;
  }

  /** @param {number} t */
  move(t) {
    this.scrubber.value = String(t);
    this.refresh();
    this.explorer.carry(this, this.at(t));
  }

  /** Play from where the scrubber stands, to B and back to A. */
  swing() {
    const from = Number(this.scrubber.value);
    return (/** @type {number} */ seconds) => {
      const phase = (from + seconds / PLAY_S) % 2;
      this.move(phase <= 1 ? phase : 2 - phase);
    };
  }
}
