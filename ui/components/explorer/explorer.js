// Sliders along directions of the latent space, with the picture that they decode to.
// z = base + Σ value · deviation · direction: what the sliders cannot express stays in the base.

const REACH = 3; // a slider goes from −3 σ to 3 σ
const STEP = 0.05;
const STOPS = [-3, -2, -1, 0, 1, 2, 3];

const explorers = new WeakMap(); // by parentElement; a rerun of the page finds its explorer again

export default function ({ parentElement, data, setStateValue }) {
  let explorer = explorers.get(parentElement);
  if (explorer?.data.identity !== data.identity) {
    explorer?.remove();
    explorer = new Explorer(parentElement, data);
    explorers.set(parentElement, explorer);
  }
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
    this.values = data.vectors.map(() => 0);
    this.base = Float32Array.from(data.center);
    this.past = [];
    this.future = [];
    this.build(parent);
    if (data.waiting) return; // an outline, until Python knows the directions
    if (data.position) this.goTo(Float32Array.from(data.position));
    this.decoder = new LiveDecoder(data.run, {
      onPictures: (kind, reply) => this.draw(kind, reply),
      onRandom: (vector) => this.change(() => this.goTo(vector)),
      onProblem: (sentence) => (this.problem.textContent = sentence),
    });
    this.show();
    this.askStrips();
  }

  remove() {
    this.decoder?.close();
    this.root.remove();
  }

  // --- the latent vector ------------------------------------------------------------------------

  vector(changed = -1, value = 0) {
    const z = Float32Array.from(this.base);
    this.data.vectors.forEach((direction, k) => {
      const amount = (k === changed ? value : this.values[k]) * this.data.deviations[k];
      if (amount) for (let d = 0; d < z.length; d++) z[d] += amount * direction[d];
    });
    return z;
  }

  // Read slider values off z; the remainder becomes the base.
  goTo(z) {
    const { center, vectors, deviations } = this.data;
    this.values = vectors.map((direction, k) => {
      if (deviations[k] < 1e-6) return 0;
      const along = direction.reduce((sum, x, d) => sum + x * (z[d] - center[d]), 0);
      const rounded = Math.round(along / deviations[k] / STEP) * STEP;
      return Math.max(-REACH, Math.min(REACH, rounded));
    });
    this.base = z;
    const expressed = this.vector();
    this.base = z.map((x, d) => x - (expressed[d] - x));
  }

  // --- changes ------------------------------------------------------------------------------------

  state() {
    return { values: [...this.values], base: this.base };
  }

  // Everything but a drag under way: do it, remember what was, tell Python.
  change(action) {
    const before = this.state();
    action();
    this.show();
    this.settle(before);
  }

  settle(before) {
    this.past.push(before);
    this.future = [];
    this.commit();
  }

  travel(from, to) {
    if (!from.length) return;
    to.push(this.state());
    Object.assign(this, from.pop());
    this.show();
    this.commit();
  }

  commit() {
    this.buttons.undo.disabled = !this.past.length;
    this.buttons.redo.disabled = !this.future.length;
    this.askStrips();
    this.commitTo("position", Array.from(this.vector()));
  }

  drag(k) {
    this.before ??= this.state();
    this.values[k] = Number(this.rows[k].slider.value);
    this.showRow(k);
    this.decoder.ask("picture", [this.vector()]);
  }

  release() {
    if (!this.before) return;
    const before = this.before;
    this.before = null;
    this.settle(before);
  }

  reset() {
    this.change(() => {
      this.values = this.values.map(() => 0);
      this.base = Float32Array.from(this.data.center);
    });
  }

  // --- pictures -----------------------------------------------------------------------------------

  askStrips() {
    const vectors = this.values.flatMap((_, k) => STOPS.map((stop) => this.vector(k, stop)));
    this.decoder.ask("strips", vectors);
  }

  draw(kind, reply) {
    if (kind === "picture") drawPicture(this.canvas, reply, 0);
    else this.rows.forEach((row, k) => row.cells.forEach((cell, i) =>
      drawPicture(cell.firstChild, reply, k * STOPS.length + i)));
  }

  show() {
    this.values.forEach((value, k) => {
      this.rows[k].slider.value = value;
      this.showRow(k);
    });
    this.decoder.ask("picture", [this.vector()]);
  }

  showRow(k) {
    const value = this.values[k];
    const { slider, output, cells } = this.rows[k];
    const sign = value > 0 ? "+" : value < 0 ? "−" : "";
    output.textContent = `${sign}${Math.abs(value).toFixed(2)} σ`;
    slider.style.setProperty("--at", `${(50 * (value + REACH)) / REACH}%`);
    slider.setAttribute("aria-valuetext", `${value.toFixed(2)} standard deviations`);
    cells.forEach((cell, i) => cell.classList.toggle("near", Math.round(value) === STOPS[i]));
  }

  // --- elements -----------------------------------------------------------------------------------

  build(parent) {
    const { mode, shape, title } = this.data;
    this.canvas = element("canvas", { role: "img", "aria-label": "Decoded picture" });
    this.canvas.dataset.testid = "decoded-image";
    [this.canvas.height, this.canvas.width] = [shape[1], shape[2]];
    this.problem = element("p", { class: "problem", role: "status" });
    this.buttons = {
      reset: button("Reset", "Back to the mean of all encodings", () => this.reset()),
      random: button("Random", "A draw from the prior", () => this.decoder.ask("random")),
      undo: button("Undo", "Back to before the last change", () => this.travel(this.past, this.future)),
      redo: button("Redo", "Take the undo back", () => this.travel(this.future, this.past)),
    };
    this.buttons.undo.disabled = this.buttons.redo.disabled = true;
    this.rows = this.data.vectors.map((_, k) => this.buildRow(k));
    const smooth = element("input", { type: "checkbox" });
    smooth.onchange = () => this.root.classList.toggle("smooth", smooth.checked);
    const actions = element("div", { class: "actions" }, [
      ...Object.values(this.buttons),
      element("label", { class: "switch" }, [smooth, "Smooth"]),
    ]);
    const side = element("div", { class: "side" }, [
      element("h2", {}, [title]),
      element("div", { class: "rows" }, this.rows.map((row) => row.root)),
      actions,
      this.problem,
    ]);
    const frame = element("div", { class: "picture" }, [this.canvas]);
    this.root = element("div", { class: `explorer ${mode}` }, [frame, side]);
    this.root.inert = Boolean(this.data.waiting);
    parent.append(this.root);
  }

  buildRow(k) {
    const { names, explained } = this.data;
    const share = explained ? `${Math.round(100 * explained[k])} %` : "";
    const says = share && `, explains ${share} of the variance of the encodings`;
    const slider = element("input", {
      type: "range", min: -REACH, max: REACH, step: STEP, value: 0, style: "--at: 50%",
      "aria-label": `Direction ${names[k]}${says}`,
      title: "Double-click to set to 0",
    });
    slider.dataset.testid = `direction-slider-${k}`;
    slider.oninput = () => this.drag(k);
    slider.onchange = () => this.release();
    slider.ondblclick = () => this.set(k, 0);
    const output = element("output");
    const heading = element("div", { class: "heading" }, [
      element("b", {}, [names[k]]),
      element("small", { title: `Direction ${names[k]}${says}` }, [share]),
      output,
    ]);
    const { shape } = this.data;
    const cells = STOPS.map((stop) => {
      const title = `Set direction ${names[k]} to ${stop} σ`;
      const cell = button(element("canvas"), title, () => this.set(k, stop));
      cell.tabIndex = -1; // the slider above it does the same for the keyboard
      cell.firstChild.classList.toggle("shrunk", Math.max(shape[1], shape[2]) > 40);
      return cell;
    });
    const strip = element("div", { class: "strip" }, cells);
    const root = element("div", { class: "row" }, [heading, slider, strip]);
    return { root, slider, output, cells };
  }

  set(k, value) {
    this.change(() => (this.values[k] = value));
  }
}

function element(tag, attributes = {}, children = []) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function button(content, title, action) {
  const made = element("button", { type: "button", title, "aria-label": title }, [content]);
  made.onclick = action;
  return made;
}
