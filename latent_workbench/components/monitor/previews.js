// The hold-out pictures of every moment of the run, pixel by pixel. The scrubber follows the newest
// until it is moved back.

import { liveAddress } from "../shared/address.js";
import { context } from "../shared/canvas.js";
import { find, setText } from "../shared/elements.js";
import { grouped } from "../shared/format.js";

const SMALLEST_TILE = 56;
const GAP = 3;
const MOST_PICTURES = 240; // kept

/**
 * How a strip of pictures is shown: as many pixels a pixel as the smallest side needs, in pixels of
 * the page and of the device; and how narrow a picture may become, in pixels of the page.
 *
 * @param {number} width of one picture
 * @param {number} height
 * @param {number} ratio device pixels a pixel of the page
 */
export function magnification(width, height, ratio) {
  const zoom = Math.ceil(SMALLEST_TILE / Math.min(width, height));
  const least = (SMALLEST_TILE * width) / Math.min(width, height);
  return { zoom, sharp: zoom * Math.max(1, Math.ceil(ratio)), least };
}

export class Previews {
  /** [C, H, W], once known. @type {number[] | null} */
  shape = null;
  /** @type {number[]} */
  steps = [];
  follows = true;
  /** @type {Map<string, HTMLImageElement>} */
  pictures = new Map();
  /** The step that is shown. @type {number | null} */
  shown = null;
  removed = false;

  /** @param {HTMLElement} root @param {string} run @param {string[]} names of the files of the images */
  constructor(root, run, names) {
    this.run = run;
    this.names = names;
    this.root = root;
    this.slider = /** @type {HTMLInputElement} */ (find(root, ".vm-scrub input"));
    this.when = find(root, ".vm-when");
    this.newest = find(root, ".vm-newest");
    /** @type {Record<string, HTMLCanvasElement>} */
    this.canvases = {};
    for (const row of root.querySelectorAll(".vm-row > div")) {
      row.addEventListener("scroll", () => this.scrollTo(row.scrollLeft));
    }
    for (const canvas of root.querySelectorAll("canvas")) {
      this.canvases[canvas.dataset.name ?? ""] = canvas;
      canvas.onmousemove = (event) => this.pointAt(canvas, event);
      blank(canvas); // the run shown here before leaves nothing behind
    }
    this.place(-1);
    this.showRow("corrupted", false); // until a run turns out to have it
    this.slider.oninput = () => this.scrub(Number(this.slider.value));
    this.newest.onclick = () => this.scrub(this.steps.length - 1);
  }

  /** The file of the image under the pointer; new ones have none. @param {HTMLCanvasElement} canvas @param {MouseEvent} event */
  pointAt(canvas, { offsetX }) {
    const count = Number(canvas.dataset.count);
    const names = canvas.dataset.name === "samples" ? [] : this.names;
    canvas.title = names[Math.floor((offsetX / canvas.clientWidth) * count)] ?? "";
  }

  /** What belongs together stays below each other. @param {number} left */
  scrollTo(left) {
    for (const row of this.root.querySelectorAll(".vm-row > div")) row.scrollLeft = left;
  }

  /** Pictures on their way do not reach the canvases any more, which the next run has. */
  remove() {
    this.removed = true;
  }

  /** @param {import("./series.js").News} news */
  update(news) {
    if (news.run?.image_shape) this.shape = news.run.image_shape;
    if (news.restart) this.steps = [];
    if (news.previews?.length) this.steps.push(...news.previews);
    for (const row of /** @type {const} */ (["originals", "corrupted"])) {
      if (!news.run?.[row]) continue;
      this.showRow(row, true);
      this.show(row, row);
    }
    if (!news.previews && !news.restart) return;
    if (news.restart) this.pictures.clear(); // a resumed run may have drawn a step anew
    this.at(this.follows ? this.steps.length - 1 : this.nearest());
  }

  /** @param {string} name @param {boolean} shown */
  showRow(name, shown) {
    const row = /** @type {HTMLElement} */ (this.canvases[name].closest(".vm-row"));
    row.hidden = !shown;
  }

  /** The moment shown before, after the list has changed. */
  nearest() {
    const after = this.steps.findIndex((step) => step >= (this.shown ?? 0));
    return after < 0 ? this.steps.length - 1 : after;
  }

  /** @param {number} index */
  scrub(index) {
    this.follows = index === this.steps.length - 1;
    this.at(index);
  }

  /** Slider and words for the moment `index`, -1 where there is none. @param {number} index */
  place(index) {
    this.shown = this.steps[index] ?? null;
    this.slider.max = String(Math.max(0, this.steps.length - 1));
    this.slider.disabled = this.steps.length < 2;
    this.slider.value = String(Math.max(0, index));
    setText(this.when, this.shown === null ? "" : `step ${grouped(this.shown)}`);
    this.newest.hidden = this.follows;
  }

  /** @param {number} index */
  at(index) {
    this.place(index);
    for (const row of ["reconstructions", "samples"]) {
      if (this.shown === null) blank(this.canvases[row]);
      else this.show(row, `${String(this.shown).padStart(8, "0")}-${row}`);
    }
  }

  /** The old picture stays until the new one is there. @param {string} row @param {string} file */
  show(row, file) {
    const canvas = this.canvases[row];
    canvas.dataset.wanted = file;
    const picture = this.picture(file);
    const draw = () => {
      if (!this.removed && canvas.dataset.wanted === file) this.draw(canvas, picture);
    };
    if (picture.complete && picture.naturalWidth) draw();
    else picture.addEventListener("load", draw, { once: true });
  }

  /** @param {string} file */
  picture(file) {
    const known = this.pictures.get(file);
    if (known) return known;
    const picture = new Image();
    picture.src = liveAddress(["preview", this.run, `${file}.png`]).href;
    picture.onerror = () => this.pictures.delete(file);
    this.pictures.set(file, picture);
    const [oldest] = this.pictures.keys();
    if (this.pictures.size > MOST_PICTURES) this.pictures.delete(oldest);
    return picture;
  }

  /** @param {HTMLCanvasElement} canvas @param {HTMLImageElement} strip */
  draw(canvas, strip) {
    const height = strip.naturalHeight;
    const width = this.shape ? this.shape[2] : height;
    const count = Math.max(1, Math.round(strip.naturalWidth / width));
    // Drawn in device pixels, so that nothing is blurred; a narrow page may shrink it to 56 px a side.
    const { zoom, sharp, least } = magnification(width, height, window.devicePixelRatio);
    const [tileWidth, tileHeight, gap] = [width * sharp, height * sharp, (GAP * sharp) / zoom];
    canvas.dataset.count = String(count);
    canvas.width = count * (tileWidth + gap) - gap;
    canvas.height = tileHeight;
    canvas.style.width = `${count * (width * zoom + GAP) - GAP}px`;
    canvas.style.minWidth = `${count * (least + GAP) - GAP}px`;
    const pen = context(canvas);
    pen.imageSmoothingEnabled = false;
    for (let i = 0; i < count; i++) {
      pen.drawImage(strip, i * width, 0, width, height, i * (tileWidth + gap), 0, tileWidth, tileHeight);
    }
    delete canvas.dataset.empty;
    // The rows that are still empty will be as high.
    this.root.style.setProperty("--tile", `${canvas.clientHeight}px`);
    canvas.dataset.shown = canvas.dataset.wanted;
  }
}

/** @param {HTMLCanvasElement} canvas */
function blank(canvas) {
  canvas.width = canvas.height = 1;
  canvas.style.width = canvas.style.minWidth = ""; // else one pixel is drawn as wide as a strip
  canvas.dataset.empty = "";
  delete canvas.dataset.shown;
  delete canvas.dataset.wanted;
}
