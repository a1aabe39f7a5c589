// What a pointer and a keyboard do to the points: turn, move, zoom, draw around, pick.

const MOVED_PX = 4;
const TURN = 0.008; // radians a pixel
const ARROWS = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };

class Hands {
  constructor(scatter) {
    this.scatter = scatter;
    const { canvas } = scatter;
    canvas.onpointerdown = (event) => this.press(event);
    canvas.onpointermove = (event) => (this.pressed ? this.drag(event) : scatter.hover(event));
    canvas.onpointerup = (event) => this.release(event);
    canvas.onpointercancel = () => this.drop();
    canvas.onpointerleave = () => scatter.point(-1);
    canvas.onkeydown = (event) => this.key(event);
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  wheel(event) {
    event.preventDefault();
    this.scatter.sight.zoom(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
    this.scatter.hover(event);
    this.scatter.paint();
  }

  press(event) {
    if (event.button) return;
    this.scatter.canvas.setPointerCapture(event.pointerId);
    const { offsetX: x, offsetY: y } = event;
    this.pressed = { start: [x, y], last: [x, y], moved: false };
    this.scatter.point(-1);
  }

  drag({ offsetX: x, offsetY: y }) {
    const { scatter, pressed } = this;
    const { mode, sight } = scatter;
    const { start, last } = pressed;
    if (!pressed.moved) {
      pressed.moved = Math.hypot(x - start[0], y - start[1]) > MOVED_PX;
      if (!pressed.moved) return;
      if (this.draws()) scatter.outline = [sight.toPlane(...start)];
    }
    if (mode === "turn") scatter.turn((x - last[0]) * TURN, (y - last[1]) * TURN);
    else if (mode === "pan") sight.pan(x - last[0], y - last[1]);
    else if (mode === "lasso") scatter.outline.push(sight.toPlane(x, y));
    else {
      const corners = [start, [x, start[1]], [x, y], [start[0], y]];
      scatter.outline = corners.map((corner) => sight.toPlane(...corner));
    }
    pressed.last = [x, y];
    scatter.paint();
  }

  draws() {
    return this.scatter.mode === "lasso" || this.scatter.mode === "box";
  }

  release({ offsetX, offsetY }) {
    if (!this.pressed) return;
    const { moved } = this.pressed;
    this.pressed = null;
    if (!moved) this.scatter.pick(offsetX, offsetY);
    else if (this.draws()) this.scatter.select();
  }

  drop() {
    this.pressed = null;
    this.scatter.outline = [];
    this.scatter.paint();
  }

  key(event) {
    const { scatter } = this;
    const { sight, mode } = scatter;
    const [middle, step] = [[sight.width / 2, sight.height / 2], ARROWS[event.key]];
    if (step && mode === "turn") scatter.turn(...step.map((pixels) => -pixels * TURN));
    else if (step) sight.pan(...step);
    else if (event.key === "+") sight.zoom(1.25, ...middle);
    else if (event.key === "-") sight.zoom(0.8, ...middle);
    else if (event.key === "Enter") scatter.pick(...middle);
    else if (event.key === "Escape") scatter.clear();
    else return;
    event.preventDefault();
    scatter.paint();
  }
}
