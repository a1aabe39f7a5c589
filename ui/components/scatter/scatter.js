// Encodings as points under the hand: pan, zoom, point at, click, draw around.

const scatters = new WeakMap();
const NEAR_PX = 9;
const MOVED_PX = 4;
const MODES = {
  pan: ["Move", "Drag to move, turn the wheel to zoom, click an image or empty space"],
  lasso: ["Lasso", "Draw around images to select them"],
  box: ["Box", "Draw a box around images to select them"],
};

export default function ({ parentElement, data, setStateValue }) {
  let scatter = scatters.get(parentElement);
  if (!scatter) {
    scatter = new Scatter(parentElement);
    scatters.set(parentElement, scatter);
  }
  scatter.show(data, (told) => setStateValue("told", told));
  return () => {
    scatter.remove();
    scatters.delete(parentElement);
  };
}

// A click brings all data again; what is the same need not be read again.
function sameColours(data, before) {
  const names = ({ name, values, low, high }) => `${name}/${low}/${high}/${values.length}`;
  return (
    data.images === before?.images &&
    data.labels === before.labels &&
    data.colourings.map(names).join() === before.colourings.map(names).join()
  );
}

class Scatter {
  constructor(parent) {
    this.canvas = element("canvas", { tabindex: 0, role: "img" });
    this.canvas.dataset.testid = "scatter";
    this.preview = element("div", { class: "hover" }, [element("canvas"), element("span")]);
    this.field = element("div", { class: "field" }, [this.canvas, this.preview]);
    this.legend = new Legend(() => this.paint());
    this.images = element("input", { type: "checkbox" });
    this.images.onchange = () => this.paint();
    this.imagesLabel = labelled("Images", this.images);
    this.modes = Object.entries(MODES).map(([mode, [name, title]]) => {
      const made = button(name, title, () => this.setMode(mode));
      made.dataset.mode = mode;
      return made;
    });
    const fit = button("Fit", "Show all points again", () => this.fit());
    const tools = element("div", { class: "tools" }, [...this.modes, fit, this.imagesLabel]);
    this.root = element("div", { class: "scatter" }, [tools, this.field, this.legend.root]);
    parent.append(this.root);
    this.painter = new Painter(this.canvas);
    this.sight = new Sight();
    this.outline = [];
    this.setMode("pan");
    this.listen();
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(this.field);
  }

  remove() {
    this.watch.disconnect();
    cancelAnimationFrame(this.frame);
    this.root.remove();
  }

  show(data, tell) {
    const before = this.data;
    this.data = data;
    this.tell = tell;
    if (data.images !== before?.images) {
      this.selected = this.mark = null;
      this.outline = [];
      this.thumbnails = new Thumbnails(data.run, data.thumbnails);
      this.thumbnails.ready.then(() => this.paint());
      this.imagesLabel.hidden = !data.thumbnails;
      this.legend.hidden.clear();
    }
    if (data.points !== before?.points) {
      this.points = new Points(fromBase64(data.points, Float32Array));
      this.outline = [];
      this.canvas.setAttribute("aria-label", `${this.points.count} encodings`);
      if (this.mark) this.mark = this.marked >= 0 ? this.placeOf(this.marked) : null;
      this.fit();
    }
    if (sameColours(data, before)) this.paint();
    else this.legend.show(data);
  }

  fit() {
    const { width, height } = this.field.getBoundingClientRect();
    if (!width || !this.points) return;
    this.sight.fit(this.points, width, height, this.data.equal);
    this.paint();
  }

  resize() {
    const { width, height } = this.field.getBoundingClientRect();
    if (!width) return;
    if (this.sight.width) this.sight.resize(width, height);
    else this.fit();
    this.paint();
  }

  paint() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      if (!this.points || !this.sight.width) return;
      const style = getComputedStyle(this.root);
      this.painter.paint({
        sight: this.sight,
        points: this.points,
        color: (i) => this.legend.color(i),
        isShown: (i) => this.legend.isShown(i),
        selected: this.selected,
        circles: this.data.circles,
        titles: this.data.titles,
        plain: this.data.plain,
        mark: this.mark,
        outline: this.outline,
        images: this.images.checked ? this.pictures() : null,
        css: (name) => style.getPropertyValue(name).trim(),
      });
    });
  }

  pictures() {
    const { atlas, about } = this.thumbnails;
    return {
      draw(context, i, x, y, size) {
        if (!atlas) return false;
        const { columns, width, height } = about;
        const [left, top] = [(i % columns) * width, Math.floor(i / columns) * height];
        context.imageSmoothingEnabled = false;
        context.drawImage(atlas, left, top, width, height, x - size / 2, y - size / 2, size, size);
        return true;
      },
    };
  }

  placeOf(i) {
    return [this.points.numbers[2 * i], this.points.numbers[2 * i + 1]];
  }

  setMode(mode) {
    this.mode = mode;
    this.field.dataset.mode = mode;
    for (const each of this.modes) each.setAttribute("aria-pressed", String(each.dataset.mode === mode));
  }

  // --- hands --------------------------------------------------------------------------------------

  listen() {
    const { canvas } = this;
    canvas.onpointerdown = (event) => this.press(event);
    canvas.onpointermove = (event) => (this.pressed ? this.drag(event) : this.hover(event));
    canvas.onpointerup = (event) => this.release(event);
    canvas.onpointercancel = () => this.drop();
    canvas.onpointerleave = () => this.preview.classList.remove("shown");
    canvas.onkeydown = (event) => this.key(event);
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.sight.zoom(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
        this.hover(event);
        this.paint();
      },
      { passive: false },
    );
  }

  press(event) {
    if (event.button) return;
    this.canvas.setPointerCapture(event.pointerId);
    const { offsetX: x, offsetY: y } = event;
    this.pressed = { start: [x, y], last: [x, y], moved: false };
    this.preview.classList.remove("shown");
  }

  drag({ offsetX: x, offsetY: y }) {
    const { start, last } = this.pressed;
    if (!this.pressed.moved) {
      this.pressed.moved = Math.hypot(x - start[0], y - start[1]) > MOVED_PX;
      if (!this.pressed.moved) return;
      if (this.mode !== "pan") this.outline = [this.sight.toPlane(...start)];
    }
    if (this.mode === "pan") this.sight.pan(x - last[0], y - last[1]);
    else if (this.mode === "lasso") this.outline.push(this.sight.toPlane(x, y));
    else {
      const corners = [start, [x, start[1]], [x, y], [start[0], y]];
      this.outline = corners.map((corner) => this.sight.toPlane(...corner));
    }
    this.pressed.last = [x, y];
    this.paint();
  }

  release({ offsetX, offsetY }) {
    if (!this.pressed) return;
    const { moved } = this.pressed;
    this.pressed = null;
    if (!moved) this.pick(offsetX, offsetY);
    else if (this.mode !== "pan") this.select();
  }

  drop() {
    this.pressed = null;
    this.outline = [];
    this.paint();
  }

  key(event) {
    const steps = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
    const middle = [this.sight.width / 2, this.sight.height / 2];
    if (steps[event.key]) this.sight.pan(...steps[event.key]);
    else if (event.key === "+") this.sight.zoom(1.25, ...middle);
    else if (event.key === "-") this.sight.zoom(0.8, ...middle);
    else if (event.key === "Enter") this.pick(...middle);
    else if (event.key === "Escape") this.clear();
    else return;
    event.preventDefault();
    this.paint();
  }

  clear() {
    this.outline = [];
    this.selected = this.mark = null;
    this.say({ kind: "none" });
  }

  pick(left, top) {
    const [x, y] = this.sight.toPlane(left, top);
    const index = this.under(left, top);
    if (index < 0 && !this.data.decodes) return;
    this.outline = [];
    this.selected = null;
    this.marked = index;
    this.mark = index >= 0 ? this.placeOf(index) : [x, y];
    this.paint();
    this.say(index >= 0 ? { kind: "image", index } : { kind: "spot", x, y, axes: this.data.axes });
  }

  select() {
    const rows = this.points.inside(this.outline, (i) => this.legend.isShown(i));
    this.mark = null;
    this.selected = null;
    if (rows.length) {
      this.selected = new Uint8Array(this.points.count);
      for (const i of rows) this.selected[i] = 1;
    }
    this.outline = [];
    this.paint();
    this.say(rows.length ? { kind: "selection", rows: toBase64(rows) } : { kind: "none" });
  }

  say(told) {
    this.tell({ ...told, images: this.data.images });
  }

  under(left, top) {
    const [x, y] = this.sight.toPlane(left, top);
    const { across, upwards } = this.sight;
    return this.points.nearest(x, y, NEAR_PX / across, NEAR_PX / upwards, (i) => this.legend.isShown(i));
  }

  hover({ offsetX, offsetY }) {
    if (!this.points || !this.sight.width) return;
    const index = this.under(offsetX, offsetY);
    this.preview.classList.toggle("shown", index >= 0);
    this.canvas.classList.toggle("over", index >= 0 || this.data.decodes);
    if (index < 0) return;
    const [x, y] = this.sight.toPixels(...this.placeOf(index));
    this.preview.style.transform = `translate(${x}px, ${y}px)`;
    this.preview.classList.toggle("below", y < 110);
    this.preview.classList.toggle("before", x > this.sight.width - 150);
    this.preview.lastChild.textContent = [this.legend.nameOf(index), `image ${index + 1}`]
      .filter(Boolean)
      .join(" · ");
    this.preview.firstChild.hidden = !this.data.thumbnails;
    if (this.data.thumbnails) this.thumbnails.draw(this.preview.firstChild, index);
  }
}
