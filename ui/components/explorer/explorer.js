// Sliders along directions of the latent space, with the picture that they decode to.

const MOST_STRIPS = 9; // fit into one request of at most 64 pictures
const MORE = 8;

const explorers = new WeakMap(); // by parentElement; a rerun of the page finds its explorer again

export default function ({ parentElement, data, setStateValue }) {
  let explorer = explorers.get(parentElement);
  if (explorer?.data.identity !== data.identity) {
    explorer?.remove();
    explorer = new Explorer(parentElement, data);
    explorers.set(parentElement, explorer);
  } else explorer.update(data);
  explorer.commitTo = setStateValue;
  // Streamlit also cleans up after a call that a later one overtakes, before or after that one
  // runs; so wait a moment and leave only if nobody has taken over.
  const call = (explorer.call = {});
  return () =>
    setTimeout(() => {
      if (explorer.call !== call || explorers.get(parentElement) !== explorer) return;
      explorers.delete(parentElement);
      explorer.remove();
    }, 100);
}

class Explorer {
  constructor(parent, data) {
    this.data = data;
    this.full = data.mode === "full" && !data.waiting;
    this.point = new Point();
    this.trail = new Trail();
    this.thumbnails = new Thumbnails(data.run, data.thumbnails);
    this.build(parent);
    this.takeDirections();
    if (data.waiting) return; // an outline, until Python knows the directions
    this.takeView();
    this.connect();
    this.listen();
    this.show();
    this.askStrips();
    this.path?.restore(data.ends.map((end) => end && fromBase64(end, Float32Array)));
  }

  remove() {
    this.stopPlaying();
    this.decoder?.close();
    this.map?.remove();
    document.removeEventListener("latent-start", this.hear);
    this.root.remove();
  }

  connect() {
    this.decoder?.close();
    this.decoder = new LiveDecoder(this.data.run, this.label, {
      onPictures: (kind, reply, first) => this.draw(kind, reply, first),
      onVector: (vector) => this.change(() => this.point.goTo(vector)),
      onProblem: (sentence) => (this.problem.textContent = sentence),
    });
  }

  // What a rerun of the page brings: perhaps other directions through the same space.
  update(data) {
    this.data = data;
    if (data.directions.id === this.point.id) return;
    this.stopPlaying();
    const z = this.point.vector();
    this.takeDirections();
    this.point.goTo(z);
    this.map?.setPlane(data.plane);
    this.show();
    this.askStrips();
  }

  takeDirections() {
    const { directions, shape } = this.data;
    this.point.take(directions);
    const large = Math.max(shape[1], shape[2]) > 40;
    this.rows = directions.names.map((name, k) => {
      const share = directions.explained?.[k] ?? null;
      return new SliderRow(k, { name, share, dead: directions.dead[k] }, large, {
        onDrag: (value) => this.drag(k, value),
        onRelease: () => this.release(),
        onSet: (value) => this.change(() => (this.point.values[k] = value)),
      });
    });
    this.sliders.replaceChildren(...this.rows.map((row) => row.root));
    this.sliders.style.setProperty("--rows", Math.max(1, Math.ceil(this.rows.length / 2)));
    const hidden = directions.total - this.rows.length;
    this.bar.more.hidden = !this.full || hidden <= 0;
    this.bar.more.textContent = `${hidden} more direction${hidden === 1 ? "" : "s"}`;
  }

  takeView() {
    const { view, position } = this.data;
    const { point } = this;
    if (view) {
      point.values = [...view.values];
      if (view.base) point.base = fromBase64(view.base, Float32Array);
    } else if (position) point.goTo(fromBase64(position, Float32Array));
  }

  // --- changes ------------------------------------------------------------------------------------

  // Everything but a drag under way: do it, remember what was, tell Python.
  change(action) {
    this.stopPlaying();
    const before = this.point.state();
    action();
    this.show();
    this.settle(before);
  }

  settle(before) {
    this.trail.add(before);
    this.commit();
  }

  undo() {
    this.travel("back");
  }

  redo() {
    this.travel("forth");
  }

  travel(way) {
    this.stopPlaying();
    const state = this.trail[way](this.point.state());
    if (!state) return;
    this.point.restore(state);
    this.show();
    this.commit();
  }

  commit() {
    this.bar.undo.disabled = !this.trail.past.length;
    this.bar.redo.disabled = !this.trail.future.length;
    this.askStrips();
    if (!this.decoder.live) this.askPicture();
    this.tellPython();
  }

  tellPython() {
    const ends = this.path ? this.path.report() : [null, null];
    this.commitTo("view", { ...this.point.report(), ends, label: this.label });
  }

  showMore() {
    this.commitTo("shown", this.rows.length + MORE);
  }

  drag(k, value) {
    this.before ??= this.point.state();
    this.point.values[k] = value;
    this.follow();
  }

  // Anything else that moves the point while a hand holds it: the map's marker, the scrubber.
  carry(z) {
    this.before ??= this.point.state();
    this.point.goTo(z);
    this.point.values.forEach((value, k) => this.rows[k].show(value));
    this.follow();
  }

  follow() {
    this.map?.show(this.point.vector());
    if (this.decoder.live) this.askPicture();
  }

  release() {
    if (!this.before) return;
    const { before } = this;
    this.before = null;
    this.settle(before);
  }

  stopPlaying() {
    this.path?.stop();
    for (const row of this.rows) row.stop();
    this.release();
  }

  // Tell a conditional model of another label; the latents, its style, stay.
  setLabel(label) {
    this.label = label;
    this.connect();
    this.show();
    this.commit();
    this.path?.askPictures();
  }

  reset() {
    this.change(() => this.point.toCenter());
  }

  shortcut(event) {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
    event.preventDefault();
    this.travel(event.shiftKey ? "forth" : "back");
  }

  // --- starting points ----------------------------------------------------------------------------

  // Start from encoded image `index`; other explorers of the same images do so too, if linked.
  pick(index) {
    const label = this.labels?.[index] ?? -1;
    if (this.label !== null && label >= 0) this.bar.takeLabel(label);
    this.decoder.askVector({ type: "encoding", index });
    this.tell({ index, group: this.data.group });
  }

  // Start from an image file or a drawing: {picture} as the model was shown it, or {message}.
  async encode(blob, drawn) {
    this.tell({ blob, drawn });
    return this.encodeHere(blob, drawn);
  }

  async encodeHere(blob, drawn) {
    const reply = await encodeImage(this.data.run, this.label, blob, drawn);
    if (!drawn) this.problem.textContent = reply.message ?? "";
    if (reply.vector) this.change(() => this.point.goTo(Float32Array.from(reply.vector)));
    return reply;
  }

  tell(start) {
    if (!this.data.linked) return;
    document.dispatchEvent(new CustomEvent("latent-start", { detail: { from: this, ...start } }));
  }

  listen() {
    this.hear = ({ detail }) => {
      if (detail.from === this || !this.data.linked) return;
      if (detail.blob) this.encodeHere(detail.blob, detail.drawn);
      else if (detail.group === this.data.group) {
        this.decoder.askVector({ type: "encoding", index: detail.index });
      }
    };
    document.addEventListener("latent-start", this.hear);
  }

  nameOf(index) {
    const label = this.labels?.[index] ?? -1;
    const name = label < 0 ? "" : `, label ${this.data.label_names[label] ?? label}`;
    return `image ${this.places[index]}${name}`;
  }

  // --- pictures -----------------------------------------------------------------------------------

  askPicture() {
    this.decoder.ask("picture", [this.point.vector()], { nearest: this.full ? NEAREST : 0 });
  }

  // A few rows at a time; the answer asks for the next ones.
  askStrips(first = 0) {
    const rows = this.rows.slice(first, first + MOST_STRIPS);
    const vectors = rows.flatMap((_, i) => STOPS.map((stop) => this.point.vector(first + i, stop)));
    if (vectors.length) this.decoder.ask("strips", vectors, { first });
  }

  draw(kind, reply, first) {
    if (kind === "picture") this.drawMain(reply);
    else if (kind === "ends") this.path.draw(reply);
    else this.drawStrips(reply, first);
  }

  drawMain(reply) {
    drawPicture(this.canvas, reply, 0);
    if (reply.where) this.whereabouts?.show(reply.where);
    this.board?.mirror(this.canvas);
  }

  drawStrips(reply, first) {
    const rows = this.rows.slice(first, first + reply.count / STOPS.length);
    rows.forEach((row, i) => row.drawStrip(reply, i * STOPS.length));
    if (first + rows.length < this.rows.length) this.askStrips(first + rows.length);
  }

  show() {
    this.point.values.forEach((value, k) => this.rows[k].show(value));
    this.map?.show(this.point.vector());
    this.askPicture();
  }

  // --- elements -----------------------------------------------------------------------------------

  build(parent) {
    const { mode, shape, title, waiting } = this.data;
    this.label = this.data.label ?? null;
    this.canvas = element("canvas", { role: "img", "aria-label": "Decoded picture" });
    this.canvas.dataset.testid = "decoded-image";
    [this.canvas.height, this.canvas.width] = [shape[1], shape[2]];
    this.problem = element("p", { class: "problem", role: "status" });
    this.sliders = element("div", { class: "rows" });
    this.bar = actionBar(this, this.full, this.data.conditions ?? []);
    this.frame = element("div", { class: "picture" }, [this.canvas]);
    this.left = element("div", { class: "left" }, [this.frame]);
    const heading = element("h2", {}, [title]);
    const side = element("div", { class: "side" }, [
      heading, this.sliders, this.bar.more, this.bar.root,
    ]);
    this.panes = element("div", { class: "panes" }, [this.left, side]);
    this.root = element("div", { class: `explorer ${mode}` }, [this.panes, this.problem]);
    this.root.inert = Boolean(waiting);
    this.root.onkeydown = (event) => this.shortcut(event);
    if (this.full) this.furnish();
    parent.append(this.root);
  }

  // What Explore has beyond the two sliders of the first page.
  furnish() {
    const { data, thumbnails } = this;
    this.labels = data.labels && fromBase64(data.labels, Int16Array);
    this.places = data.places && fromBase64(data.places, Int32Array);
    const on = { onPick: (index) => this.pick(index), nameOf: (index) => this.nameOf(index) };
    this.path = new PathPanel({
      here: () => this.point.vector(),
      onMove: (z) => this.carry(z),
      onRelease: () => this.release(),
      onEnds: () => this.tellPython(),
      ask: (ends) => this.decoder.ask("ends", ends),
    });
    const right = element("div", { class: "right" }, [this.path.root]);
    if (data.plane) {
      this.map = new LatentMap(data.plane, this.labels, data.colors, thumbnails, {
        ...on,
        onMove: (x, y) => this.carry(this.map.moved(this.point.vector(), x, y)),
        onRelease: () => this.release(),
      });
      this.whereabouts = new Whereabouts(thumbnails, on);
      this.left.append(this.whereabouts.root);
      right.prepend(this.map.root);
    }
    const picker = new ImagePicker(data.count, this.labels, data.label_names, thumbnails, on);
    this.board = new DrawingBoard({ onDrawing: (blob) => this.encode(blob, true) });
    const saver = this.buildSaver();
    const has = { images: data.count > 0, drawing: data.shape[0] === 1 };
    const { board, frame } = this;
    this.panes.append(right, startBar(this, { picker, board, saver, frame, has }));
    this.root.append(picker.root, saver.root, board.root);
  }

  buildSaver() {
    const { point, data } = this;
    return new SaveDialog(data.run, {
      canvas: this.canvas,
      smooth: this.bar.isSmooth,
      label: () => this.label,
      here: () => point.vector(),
      directions: () => this.data.directions.names,
      swing: (k) => Array.from({ length: SWING_FRAMES }, (_, i) =>
        point.vector(k, REACH * Math.sin((2 * Math.PI * i) / SWING_FRAMES))),
      path: () => (this.path.ready ? this.path.frames() : null),
      report: () => ({
        run: data.run,
        step: data.step,
        ...(this.label === null ? {} : { label: data.conditions[this.label] }),
        directions: this.data.directions.names,
        values: point.values,
        z: Array.from(point.vector()),
      }),
    });
  }
}
