// What lies under the pointer: the image beside its point, and its name.

import { drawTile } from "./canvas.js";
import { element } from "./elements.js";

const ROOM_ABOVE_PX = 110;
const GAP_PX = 24;

/**
 * @typedef {object} Images
 * @property {(index: number) => import("./canvas.js").Tile | null} find null for now, or for good
 */

export class Preview {
  picture = element("canvas");
  name = element("span");
  root = element("div", { class: "hover" }, [this.picture, this.name]);
  index = -1;
  /** @type {Images | null} */
  images = null;

  /**
   * @param {number} index of the image
   * @param {[number, number]} place of its point, in pixels
   * @param {number} width of the field
   * @param {string} name
   * @param {Images | null} images
   */
  show(index, [x, y], width, name, images) {
    this.index = index;
    this.images = images;
    this.root.classList.add("shown");
    this.root.style.transform = `translate(${x}px, ${y}px)`;
    this.root.classList.toggle("below", y < ROOM_ABOVE_PX);
    this.name.textContent = name;
    this.root.classList.toggle("before", x + this.root.offsetWidth + GAP_PX > width);
    this.draw();
  }

  hide() {
    this.index = -1;
    this.root.classList.remove("shown");
  }

  /** Again when images have arrived. */
  draw() {
    if (this.index < 0) return;
    const tile = this.images?.find(this.index);
    this.picture.hidden = !this.images;
    this.picture.classList.remove("drawn");
    if (tile) drawTile(this.picture, tile);
  }
}
