// Encodings as points under the hand: turn, pan, zoom, point at, click, draw around.

const scatters = new WeakMap();
const NEAR_PX = 9;
const KEYS = "Arrow keys move or turn, + and − zoom, Enter picks what is in the middle, Escape lets go";
const MODES = {
  turn: ["Turn", "Drag to turn, turn the wheel to zoom, click an image"],
  pan: ["Move", "Drag to move, turn the wheel to zoom, click an image or empty space"],
  lasso: ["Lasso", "Draw around images to select them"],
  box: ["Box", "Draw a box around images to select them"],
};

export default function ({ parentElement, data: [data], setStateValue }) {
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
    this.canvas = element("canvas", { tabindex: 0, role: "img", "aria-description": KEYS });
    this.canvas.dataset.testid = "scatter";
    this.preview = new Preview();
    this.ring = element("i", { class: "ring" });
    this.field = element("div", { class: "field" }, [this.canvas, this.ring, this.preview.root]);
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
    this.link = new Link((kind, rows) => this.follow(kind, rows));
    this.outline = [];
    this.setMode("pan");
    this.hands = new Hands(this);
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(this.field);
  }

  remove() {
    this.watch.disconnect();
    this.link.close();
    this.pictures?.close();
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
      this.open(data);
      this.legend.hidden.clear();
    }
    if (data.link?.group !== this.link.group || data.images !== before?.images) this.link.join(data.link);
    if (data.points !== before?.points || data.dimensions !== before?.dimensions) this.place(data);
    if (sameColours(data, before)) this.paint();
    else this.legend.show(data);
  }

  open({ run, thumbnails }) {
    this.pictures?.close();
    const onArrival = () => {
      this.preview.draw();
      if (this.images.checked) this.paint();
    };
    const Source = thumbnails?.split ? PartImages : KeptImages;
    this.pictures = thumbnails ? new Source(run, thumbnails, onArrival) : null;
    this.imagesLabel.hidden = !thumbnails;
  }

  place({ points, dimensions }) {
    const numbers = fromBase64(points, Float32Array);
    this.space = dimensions === 3 ? new Space(numbers) : null;
    this.points = this.space ? this.space.seen() : new Points(numbers);
    this.outline = [];
    this.canvas.setAttribute("aria-label", `${this.points.count} encodings`);
    this.modes[0].hidden = !this.space;
    if (this.space && !this.wasSpace) this.setMode("turn");
    else if (!this.space && this.mode === "turn") this.setMode("pan");
    this.wasSpace = Boolean(this.space);
    if (this.mark) this.mark = this.marked >= 0 ? this.placeOf(this.marked) : null;
    this.fit();
  }

  turn(yaw, pitch) {
    this.space.turn(yaw, pitch);
    this.points = this.space.seen();
    if (this.mark) this.mark = this.placeOf(this.marked);
    this.ring.classList.remove("shown");
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
        space: this.space,
        color: (i) => this.legend.color(i),
        isShown: (i) => this.legend.isShown(i),
        selected: this.selected,
        circles: this.data.circles,
        titles: this.data.titles,
        plain: this.data.plain,
        mark: this.mark,
        outline: this.outline,
        images: this.images.checked ? this.pictures : null,
        css: (name) => style.getPropertyValue(name).trim(),
      });
    });
  }

  placeOf(i) {
    return [this.points.numbers[2 * i], this.points.numbers[2 * i + 1]];
  }

  setMode(mode) {
    this.mode = mode;
    this.field.dataset.mode = mode;
    for (const each of this.modes) each.setAttribute("aria-pressed", String(each.dataset.mode === mode));
  }

  // --- what a hand does ---------------------------------------------------------------------------

  clear() {
    this.take([]);
    this.link.tell("select", []);
    this.say({ kind: "none" });
  }

  pick(left, top) {
    const [x, y] = this.sight.toPlane(left, top);
    const index = this.under(left, top);
    if (index < 0 && !this.data.decodes) return;
    this.hold(index, index >= 0 ? this.placeOf(index) : [x, y]);
    this.link.tell("mark", index >= 0 ? [index] : []);
    this.say(index >= 0 ? { kind: "image", index } : { kind: "spot", x, y, axes: this.data.axes });
  }

  select() {
    const rows = this.points.inside(this.outline, (i) => this.legend.isShown(i));
    this.take(rows);
    this.link.tell("select", rows);
    this.say(rows.length ? { kind: "selection", rows: toBase64(rows) } : { kind: "none" });
  }

  // --- what shows ---------------------------------------------------------------------------------

  hold(index, place) {
    this.outline = [];
    this.selected = null;
    [this.marked, this.mark] = [index, place];
    this.paint();
  }

  take(rows) {
    this.hold(-1, null);
    if (!rows.length) return;
    this.selected = new Uint8Array(this.points.count);
    for (const i of rows) this.selected[i] = 1;
  }

  // What the other view did, here.
  follow(kind, rows) {
    if (!this.points || !this.sight.width) return;
    const index = rows[0] ?? -1;
    if (kind === "select") this.take(rows);
    else if (kind === "mark") this.hold(index, index >= 0 ? this.placeOf(index) : null);
    else {
      this.ring.classList.toggle("shown", index >= 0);
      if (index < 0) return;
      const [x, y] = this.sight.toPixels(...this.placeOf(index));
      this.ring.style.transform = `translate(${x}px, ${y}px)`;
    }
  }

  say(told) {
    this.tell({ ...told, images: this.data.images, at: Date.now() });
  }

  under(left, top) {
    const [x, y] = this.sight.toPlane(left, top);
    const { across, upwards } = this.sight;
    return this.points.nearest(x, y, NEAR_PX / across, NEAR_PX / upwards, (i) => this.legend.isShown(i));
  }

  hover({ offsetX, offsetY }) {
    if (!this.points || !this.sight.width) return;
    const index = this.under(offsetX, offsetY);
    this.canvas.classList.toggle("over", index >= 0 || this.data.decodes);
    this.point(index);
  }

  point(index) {
    if (index !== this.preview.index) this.link.tell("hover", index >= 0 ? [index] : []);
    if (index < 0) return this.preview.hide();
    const at = this.sight.toPixels(...this.placeOf(index));
    const name = [this.legend.nameOf(index), `image ${index + 1}`].filter(Boolean).join(" · ");
    this.preview.show(index, at, this.sight.width, name, this.pictures);
  }
}
