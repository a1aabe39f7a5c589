// What a pointer and a keyboard do to the points: turn, move, zoom, draw around, pick.

const MOVED_PX = 4;
const TURN = 0.008; // radians a pixel
/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };

/** @typedef {{ start: [number, number], last: [number, number], moved: boolean }} Press */

export class Controls {
  /** @type {Press | null} */
  pressed = null;

  /** @param {import("./scatter.js").Scatter} scatter */
  constructor(scatter) {
    this.scatter = scatter;
    const { canvas } = scatter;
    canvas.onpointerdown = (event) => this.press(event);
    canvas.onpointermove = (event) => {
      if (this.pressed) this.drag(event, this.pressed);
      else scatter.hover(event);
    };
    canvas.onpointerup = (event) => this.release(event);
    canvas.onpointercancel = () => this.cancel();
    canvas.onpointerleave = () => scatter.pointAt(-1);
    canvas.onkeydown = (event) => this.key(event);
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    event.preventDefault();
    this.scatter.viewport.zoom(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
    this.scatter.hover(event);
    this.scatter.paint();
  }

  /** @param {PointerEvent} event */
  press(event) {
    if (event.button) return;
    this.scatter.canvas.setPointerCapture(event.pointerId);
    const { offsetX: x, offsetY: y } = event;
    this.pressed = { start: [x, y], last: [x, y], moved: false };
    this.scatter.pointAt(-1);
  }

  /** @param {PointerEvent} event @param {Press} pressed */
  drag({ offsetX: x, offsetY: y }, pressed) {
    const { scatter } = this;
    const { mode, viewport } = scatter;
    const { start, last } = pressed;
    if (!pressed.moved) {
      pressed.moved = Math.hypot(x - start[0], y - start[1]) > MOVED_PX;
      if (!pressed.moved) return;
      if (this.draws()) scatter.outline = [viewport.toPlane(...start)];
    }
    if (mode === "turn") scatter.turn((x - last[0]) * TURN, (y - last[1]) * TURN);
    else if (mode === "pan") viewport.pan(x - last[0], y - last[1]);
    else if (mode === "lasso") scatter.outline.push(viewport.toPlane(x, y));
    else {
      /** @type {[number, number][]} */
      const corners = [start, [x, start[1]], [x, y], [start[0], y]];
      scatter.outline = corners.map((corner) => viewport.toPlane(...corner));
    }
    pressed.last = [x, y];
    scatter.paint();
  }

  draws() {
    return this.scatter.mode === "lasso" || this.scatter.mode === "box";
  }

  /** @param {PointerEvent} event */
  release({ offsetX, offsetY }) {
    if (!this.pressed) return;
    const { moved } = this.pressed;
    this.pressed = null;
    if (!moved) this.scatter.pick(offsetX, offsetY);
    else if (this.draws()) this.scatter.select();
  }

  cancel() {
    this.pressed = null;
    this.scatter.outline = [];
    this.scatter.paint();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const { scatter } = this;
    const { viewport, mode } = scatter;
    const step = ARROWS[event.key];
    /** @type {[number, number]} */
    const middle = [viewport.width / 2, viewport.height / 2];
    if (step && mode === "turn") scatter.turn(-step[0] * TURN, -step[1] * TURN);
    else if (step) viewport.pan(...step);
    else if (event.key === "+") viewport.zoom(1.25, ...middle);
    else if (event.key === "-") viewport.zoom(0.8, ...middle);
    else if (event.key === "Enter") scatter.pick(...middle);
    else if (event.key === "Escape") scatter.clear();
    else return;
    event.preventDefault();
    scatter.paint();
  }
}
