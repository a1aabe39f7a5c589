// A drawing board whose every stroke is encoded and answered at once.

import { context, resize } from "../shared/canvas.js";
import { button, dialog, element } from "../shared/elements.js";

const PEN = 0.1; // of the drawing's side
const DRAWING_PX = 280;

/** The pen is bright on black. */
export class DrawingBoard {
  drawing = false;

  /**
   * @param {{ encode(blob: Blob, drawn: boolean): Promise<import("./starting_points.js").Encoded> }} starts
   */
  constructor(starts) {
    this.starts = starts;
    this.board = element("canvas", {
      width: DRAWING_PX,
      height: DRAWING_PX,
      class: "board",
      role: "img",
      "aria-label": "Drawing board",
      "data-testid": "drawing-board",
    });
    this.seen = element("img", { alt: "" });
    this.answer = element("canvas");
    this.problem = element("p", { class: "problem", role: "status" });
    this.root = dialog("Draw", "drawing", [
      element("p", {}, [
        "Draw with the mouse, a pen or a finger. The drawing is centred and " +
          "scaled like the training images, then encoded.",
      ]),
      element("div", { class: "boards" }, [
        this.board,
        element("figure", {}, [this.seen, element("small", {}, ["What the model sees"])]),
        element("figure", {}, [this.answer, element("small", {}, ["What it makes of it"])]),
      ]),
      element("div", { class: "bar" }, [button("Clear", "Clear the drawing", () => this.clear())]),
      this.problem,
    ]);
    this.pen = context(this.board);
    this.clear();
    this.board.onpointerdown = (event) => this.down(event);
    this.board.onpointermove = (event) => this.drawing && this.line(event);
    this.board.onpointerup = () => this.up();
    this.board.onpointercancel = () => this.up();
  }

  clear() {
    this.pen.fillStyle = "black";
    this.pen.fillRect(0, 0, DRAWING_PX, DRAWING_PX);
    this.pen.strokeStyle = "white";
    this.pen.lineCap = this.pen.lineJoin = "round";
    this.pen.lineWidth = PEN * DRAWING_PX;
    this.seen.removeAttribute("src");
    this.problem.textContent = "";
  }

  /** @param {PointerEvent} event @returns {[number, number]} */
  place(event) {
    const { left, top, width } = this.board.getBoundingClientRect();
    const scale = DRAWING_PX / width;
    return [(event.clientX - left) * scale, (event.clientY - top) * scale];
  }

  /** @param {PointerEvent} event */
  down(event) {
    this.board.setPointerCapture(event.pointerId);
    this.drawing = true;
    this.pen.beginPath();
    this.pen.moveTo(...this.place(event));
    this.line(event); // a dot, where the pen does not move
  }

  /** @param {PointerEvent} event */
  line(event) {
    this.pen.lineTo(...this.place(event));
    this.pen.stroke();
  }

  up() {
    if (!this.drawing) return;
    this.drawing = false;
    this.board.toBlob((blob) => blob && this.send(blob));
  }

  /** @param {Blob} blob */
  async send(blob) {
    const reply = await this.starts.encode(blob, true);
    this.problem.textContent = reply.message ?? "";
    if (reply.picture) this.seen.src = reply.picture;
  }

  /** Show what the explorer shows. @param {HTMLCanvasElement} canvas */
  mirror(canvas) {
    if (!this.root.open) return;
    resize(this.answer, canvas.width, canvas.height);
    context(this.answer).drawImage(canvas, 0, 0);
    this.answer.classList.add("drawn");
  }
}
