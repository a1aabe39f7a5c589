// A drawing board whose every stroke is encoded and answered at once.

const PEN = 0.1; // of the drawing's side
const DRAWING_PX = 280;

// The pen is bright on black.
class DrawingBoard {
  // on: {onDrawing(blob) → {picture}, a promise}
  constructor(on) {
    this.on = on;
    this.board = element("canvas", { width: DRAWING_PX, height: DRAWING_PX, class: "board",
      role: "img", "aria-label": "Drawing board" });
    this.board.dataset.testid = "drawing-board";
    this.seen = element("img", { alt: "" });
    this.answer = element("canvas");
    this.problem = element("p", { class: "problem", role: "status" });
    this.root = dialog("Draw", "drawing", [
      element("p", {}, ["Draw with the mouse, a pen or a finger. The drawing is centred and " +
        "scaled like the training images, then encoded."]),
      element("div", { class: "boards" }, [
        this.board,
        element("figure", {}, [this.seen, element("small", {}, ["What the model sees"])]),
        element("figure", {}, [this.answer, element("small", {}, ["What it makes of it"])]),
      ]),
      element("div", { class: "bar" }, [button("Clear", "Clear the drawing", () => this.clear())]),
      this.problem,
    ]);
    this.pen = this.board.getContext("2d");
    this.clear();
    this.board.onpointerdown = (event) => this.down(event);
    this.board.onpointermove = (event) => this.stroke && this.line(event);
    this.board.onpointerup = () => this.up();
    this.board.onpointercancel = () => this.up();
  }

  clear() {
    this.pen.fillStyle = "black";
    this.pen.fillRect(0, 0, DRAWING_PX, DRAWING_PX);
    Object.assign(this.pen, { strokeStyle: "white", lineCap: "round", lineJoin: "round" });
    this.pen.lineWidth = PEN * DRAWING_PX;
    this.seen.removeAttribute("src");
    this.problem.textContent = "";
  }

  place(event) {
    const { left, top, width } = this.board.getBoundingClientRect();
    const scale = DRAWING_PX / width;
    return [(event.clientX - left) * scale, (event.clientY - top) * scale];
  }

  down(event) {
    this.board.setPointerCapture(event.pointerId);
    this.stroke = true;
    this.pen.beginPath();
    this.pen.moveTo(...this.place(event));
    this.line(event); // a dot, where the pen does not move
  }

  line(event) {
    this.pen.lineTo(...this.place(event));
    this.pen.stroke();
  }

  up() {
    if (!this.stroke) return;
    this.stroke = false;
    this.board.toBlob((blob) => this.send(blob));
  }

  async send(blob) {
    const reply = await this.on.onDrawing(blob);
    this.problem.textContent = reply.message ?? "";
    if (reply.picture) this.seen.src = reply.picture;
  }

  // Show what the explorer shows.
  mirror(canvas) {
    if (!this.root.open) return;
    [this.answer.width, this.answer.height] = [canvas.width, canvas.height];
    this.answer.getContext("2d").drawImage(canvas, 0, 0);
    this.answer.classList.add("drawn");
  }
}
