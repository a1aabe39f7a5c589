// Everything that one may want to take home from a point: picture, animation, numbers.

import { context } from "../shared/canvas.js";
import { button, dialog, download, element } from "../shared/elements.js";
import { npy } from "../shared/vectors.js";
import { requestFrame } from "./frames.js";
import { Refused } from "./live_engine.js";
import { REACH } from "./point.js";

/** @import { Explorer } from "./explorer.js" */
/** @import { PathPanel } from "./path_panel.js" */

const SWING_FRAMES = 48;
const FRAME_MS = 60;
const PRINT_PX = 512; // least side of an enlarged picture
const ANIMATION_PX = 280; // least side of an animation

/**
 * By how much, in whole pixels, a canvas has to be enlarged.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {number} least side
 */
function enlargement({ width, height }, least) {
  return Math.max(1, Math.ceil(least / Math.max(width, height)));
}

/** @param {string} title @param {HTMLElement[]} controls */
function row(title, controls) {
  return element("div", { class: "bar" }, [element("span", {}, [title]), ...controls]);
}

export class SaveDialog {
  /** @param {Explorer} explorer @param {PathPanel} path */
  constructor(explorer, path) {
    this.explorer = explorer;
    this.path = path;
    this.run = explorer.data.run;
    this.direction = element("select", { "aria-label": "Direction to swing along" });
    this.problem = element("p", { class: "problem", role: "status" });
    this.pathButtons = this.animations("the path", "path", () => path.frames() ?? []);
    this.root = dialog("Save", "save", [
      row("Picture", [
        button("PNG", "The picture, pixel by pixel", () => this.picture(1)),
        button("PNG, large", `Enlarged to at least ${PRINT_PX} px`, () => this.picture(PRINT_PX)),
      ]),
      ...(explorer.engine.server ? this.moving() : []),
      row("Latent vector", [
        button("JSON", "The numbers, with run, directions and slider values", () => this.json()),
        button("npy", "The numbers for NumPy: float32 [D]", () =>
          download(`${this.run}-latent.npy`, npy(explorer.point.vector())),
        ),
      ]),
      this.problem,
    ]);
  }

  open() {
    const { names } = this.explorer.data.directions;
    this.direction.replaceChildren(...names.map((name, k) => element("option", { value: k }, [name])));
    for (const each of this.pathButtons) each.disabled = !this.path.ready;
    this.problem.textContent = "";
    this.root.showModal();
  }

  /** What is drawn by the server. */
  moving() {
    return [
      row("Swing along direction", [
        this.direction,
        ...this.animations("the swing", "direction", () => this.swing()),
      ]),
      row("Path from A to B and back", this.pathButtons),
    ];
  }

  /** @param {string} what @param {string} name @param {() => Float32Array[]} frames */
  animations(what, name, frames) {
    return [
      ["gif", "GIF"],
      ["webp", "WebP"],
    ].map(([format, label]) =>
      button(label, `Save ${what} as an animation`, () => this.animation(name, format, frames())),
    );
  }

  get smooth() {
    return this.explorer.root.classList.contains("smooth");
  }

  swing() {
    const k = Number(this.direction.value);
    return Array.from({ length: SWING_FRAMES }, (_, i) =>
      this.explorer.point.vector(k, REACH * Math.sin((2 * Math.PI * i) / SWING_FRAMES)),
    );
  }

  /** @param {number} least side in pixels */
  picture(least) {
    const { canvas } = this.explorer;
    const scale = enlargement(canvas, least);
    const [width, height] = [scale * canvas.width, scale * canvas.height];
    const target = element("canvas", { width, height });
    const pen = context(target);
    pen.imageSmoothingEnabled = this.smooth;
    pen.drawImage(canvas, 0, 0, width, height);
    target.toBlob((blob) => blob && download(`${this.run}.png`, blob));
  }

  json() {
    const { data, dial, label, point } = this.explorer;
    const { run, step, conditions = [], directions } = data;
    const told = label === null ? {} : { label: conditions[label] };
    const turned = dial ? { [dial.data.key]: dial.value } : {};
    const [values, z] = [point.values, Array.from(point.vector())];
    const report = { run, step, ...told, ...turned, directions: directions.names, values, z };
    const text = JSON.stringify(report, null, 1);
    download(`${this.run}-latent.json`, new Blob([text], { type: "application/json" }));
  }

  /** @param {string} name @param {string} format @param {Float32Array[]} vectors */
  async animation(name, format, vectors) {
    const { canvas, dial, engine, label } = this.explorer;
    const scale = enlargement(canvas, ANIMATION_PX);
    const how = { format, frame_ms: FRAME_MS, scale, smooth: Number(this.smooth), label };
    this.problem.textContent = "Drawing the frames …";
    try {
      const dials = dial ? vectors.map(() => dial.value) : null;
      const body = requestFrame(vectors, 0, 0, dials);
      const made = await engine.server?.animation(body, how);
      if (made) download(`${this.run}-${name}.${format}`, made);
      this.problem.textContent = "";
    } catch (error) {
      this.problem.textContent =
        error instanceof Refused
          ? error.message
          : "The animation could not be made. Check that the app still runs.";
    }
  }
}
