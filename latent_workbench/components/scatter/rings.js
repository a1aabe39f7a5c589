// Rings above the points: where other images would stand among them.

import { element } from "../shared/elements.js";
import { clamp, fromBase64 } from "../shared/vectors.js";

const EDGE = 8; // px from the edge where those that lie beyond it are drawn, dashed

/**
 * @typedef {object} RingsData as Python sends it
 * @property {string} places as base64 of float32 [M, dimensions]
 * @property {string[]} names
 * @property {number} picked −1 for none
 */

export class Rings {
  root = element("div", { class: "marks", "data-testid": "scatter-marks" });
  /** @type {number[][]} */
  places = [];

  /** @param {RingsData | null} data @param {number} dimensions */
  show(data, dimensions) {
    const numbers = data ? fromBase64(data.places, Float32Array) : new Float32Array();
    this.places = Array.from({ length: numbers.length / dimensions }, (_, i) =>
      Array.from(numbers.subarray(i * dimensions, (i + 1) * dimensions)),
    );
    const rings = this.places.map((_, i) => {
      const name = data?.names[i] ?? "";
      const ring = element("i", { class: "mark", title: name, role: "img", "aria-label": name });
      ring.classList.toggle("picked", i === data?.picked);
      return ring;
    });
    this.root.replaceChildren(...rings);
  }

  /** @param {import("./plane.js").Viewport} viewport @param {import("./space.js").Space | null} space */
  draw(viewport, space) {
    this.places.forEach((place, i) => {
      const [x, y] = space ? space.project(place) : place;
      const [left, top] = viewport.toPixels(x, y);
      const [inside, below] = [
        clamp(left, EDGE, viewport.width - EDGE),
        clamp(top, EDGE, viewport.height - EDGE),
      ];
      const ring = /** @type {HTMLElement} */ (this.root.children[i]);
      ring.classList.toggle("beyond", inside !== left || below !== top);
      ring.style.transform = `translate(${inside}px, ${below}px)`;
    });
  }
}
