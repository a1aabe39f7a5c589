// Sliders along directions of the latent space, with the picture that they decode to.

const MOST_STRIPS = 2; // rows in one request: a hand that grabs anew waits for few pictures
const MORE = 8;
const IDLE_MS = 250; // without a key for so long, a move by keys has come to rest

const explorers = new WeakMap(); // by parentElement; a rerun of the page finds its explorer again

export default function ({ parentElement, data: [data], setStateValue, setTriggerValue }) {
  let explorer = explorers.get(parentElement);
  if (explorer?.data.identity !== data.identity) {
    explorer?.remove();
    explorer = new Explorer(parentElement, data);
    explorers.set(parentElement, explorer);
  } else explorer.update(data);
  Object.assign(explorer, { commitTo: setStateValue, trigger: setTriggerValue });
  explorer.tellNews();
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
    this.untold = !data.view; // Python gave a point at most; it shall know the values
    this.connect();
    this.show();
    this.askStrips();
    this.path?.restore(data.ends.map((end) => end && fromBase64(end, Float32Array)));
  }

  remove() {
    this.removed = true; // and tells Python no more: it may show another run by now
    this.stopPlaying();
    this.thumbnails.close();
    this.decoder?.close();
    this.map?.remove();
    this.origins?.remove();
    this.root.remove();
  }

  connect() {
    this.decoder?.close();
    this.decoder = new LiveDecoder(this.data.run, this.label, {
      onPictures: (kind, reply, first) => this.draw(kind, reply, first),
      onVector: (vector) => this.change(() => this.point.goTo(vector)),
      onProblem: (sentence) => (this.connection.textContent = sentence),
    });
  }

  // What a rerun of the page brings: perhaps other directions through the same space, weights
  // that were trained on, or a step back in the browser's history.
  update(data) {
    const old = this.data;
    this.data = data;
    const turned = data.directions.id !== this.point.id;
    const called = data.called !== old.called;
    if (!turned && !called && data.version === old.version) return;
    if (turned || called) this.stopPlaying();
    if (turned) this.turn();
    if (called) this.takeView();
    this.untold = turned || called;
    this.show();
    this.askStrips();
  }

  turn() {
    const z = this.point.vector();
    this.takeDirections();
    this.point.goTo(z);
    this.map?.setPlane(this.data.plane);
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
        onPause: () => this.releaseSoon(),
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
    const { view, position, label } = this.data;
    const { point } = this;
    if (label !== undefined && label !== this.label) this.tellModel(label);
    if (view) {
      point.values = [...view.values];
      point.base = view.base ? fromBase64(view.base, Float32Array) : point.center.slice();
    } else if (position) point.goTo(fromBase64(position, Float32Array));
  }

  // --- changes ------------------------------------------------------------------------------------

  // Everything but a drag under way: do it, remember what was, tell Python.
  change(action) {
    if (this.removed) return; // an answer that came too late
    this.stopPlaying();
    this.problem.textContent = "";
    const before = this.state();
    action();
    this.show();
    this.settle(before);
  }

  state() {
    return { ...this.point.state(), label: this.label };
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
    const state = this.trail[way](this.state());
    if (!state) return;
    this.point.restore(state);
    if (state.label !== this.label) this.tellModel(state.label);
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
    if (this.removed) return;
    const ends = this.path ? this.path.report() : [null, null];
    const { run } = this.data;
    this.commitTo("view", { run, ...this.point.report(), ends, label: this.label });
  }

  // What changed without a hand, such as values under other directions.
  tellNews() {
    if (this.untold) this.tellPython();
    this.untold = false;
  }

  showMore() {
    this.trigger("shown", this.rows.length + MORE);
  }

  // A move that goes on: undo takes all of it back at once, but not what another control did.
  hold(control) {
    if (this.holder !== control) this.release();
    this.holder = control;
    this.before ??= this.state();
  }

  drag(k, value) {
    this.hold(this.rows[k]);
    this.point.values[k] = value;
    this.follow();
  }

  // Anything else that moves the point while a hand holds it: the map's marker, the scrubber.
  carry(control, z) {
    this.hold(control);
    this.point.goTo(z);
    this.point.values.forEach((value, k) => this.rows[k].show(value));
    this.follow();
  }

  follow() {
    this.map?.show(this.point.vector());
    if (this.decoder.live) this.askPicture();
  }

  // Keys repeat: they have come to rest when no other follows.
  releaseSoon() {
    clearTimeout(this.pause);
    this.pause = setTimeout(() => this.release(), IDLE_MS);
  }

  release() {
    clearTimeout(this.pause);
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
    this.change(() => this.tellModel(label));
  }

  tellModel(label) {
    this.label = label;
    this.bar.showLabel(label);
    if (!this.decoder) return; // not connected yet
    this.connect();
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
    const done = first + rows.length;
    if (done < this.rows.length && !this.decoder.awaits("strips")) this.askStrips(done);
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
    this.connection = element("p", { class: "problem", role: "status" });
    this.sliders = element("div", { class: "rows" });
    this.bar = actionBar(this, this.full, this.data.conditions ?? []);
    this.frame = element("div", { class: "picture" }, [this.canvas]);
    this.left = element("div", { class: "left" }, [this.frame]);
    const heading = element("h2", {}, [title]);
    const side = element("div", { class: "side" }, [
      heading, this.sliders, this.bar.more, this.bar.root,
    ]);
    this.panes = element("div", { class: "panes" }, [this.left, side]);
    this.root = element("div", { class: `explorer ${mode}` }, [
      this.panes, this.problem, this.connection,
    ]);
    this.root.inert = Boolean(waiting);
    this.root.onkeydown = (event) => this.shortcut(event);
    if (this.full) Object.assign(this, furnish(this));
    parent.append(this.root);
  }
}
