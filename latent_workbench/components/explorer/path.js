// The way from a point A to a point B: set both, then scrub or play it.

const PATH_STEPS = 30; // pictures of an exported path, one way
const PLAY_S = 2.5; // from A to B

class PathPanel {
  // on: {here() → z, onMove(z), onRelease(), onPause(), onEnds(), ask(ends): pictures of them}
  constructor(on) {
    this.on = on;
    this.ends = { a: null, b: null };
    this.shape = "linear";
    this.end = { a: this.buildEnd("a", "A"), b: this.buildEnd("b", "B") };
    this.scrubber = element("input", {
      type: "range", min: 0, max: 1, step: 0.005, value: 0, style: "--at: 0%",
      "aria-label": "Place between A and B",
    });
    this.scrubber.dataset.testid = "path-scrubber";
    this.scrubber.oninput = () => this.move(Number(this.scrubber.value));
    this.scrubber.onchange = () => on.onPause();
    this.player = button("▶", "Play from A to B and back", () => this.toggle());
    const shapes = [["linear", "straight"], ["spherical", "arc"]];
    const title = "Shape of the path: a straight line, or an arc that keeps the distance to 0";
    this.shapes = choice(shapes, title, (shape) => {
      this.shape = shape;
      if (this.ready) this.move(Number(this.scrubber.value));
      on.onRelease();
    });
    this.root = element("section", { class: "path", "aria-label": "Interpolate" }, [
      this.end.a, this.scrubber, this.end.b,
      element("div", { class: "how" }, [this.player, this.shapes]),
    ]);
    this.refresh();
  }

  buildEnd(name, letter) {
    const set = button(element("canvas"), `Take this point as ${letter}`, () => {
      this.set(name, Float32Array.from(this.on.here()));
    });
    set.dataset.testid = `path-${name}`;
    set.append(element("b", {}, [letter]));
    return set;
  }

  get ready() {
    return Boolean(this.ends.a && this.ends.b);
  }

  set(name, z) {
    this.ends[name] = z;
    this.scrubber.value = name === "a" ? 0 : 1;
    this.refresh();
    this.askPictures();
    this.on.onEnds();
  }

  // What the page keeps: A and B, each as base64 or null.
  report() {
    return [this.ends.a, this.ends.b].map((end) => end && toBase64(end));
  }

  restore([a, b]) {
    this.ends = { a, b };
    this.refresh();
    this.askPictures();
  }

  askPictures() {
    const known = [this.ends.a, this.ends.b].filter(Boolean);
    if (known.length) this.on.ask(known);
  }

  // Pictures of A and B, in the order asked for.
  draw(reply) {
    const cells = ["a", "b"].filter((name) => this.ends[name]).map((name) => this.end[name]);
    cells.slice(0, reply.count).forEach((cell, i) => drawPicture(cell.firstChild, reply, i));
  }

  refresh() {
    this.scrubber.disabled = this.player.disabled = this.shapes.disabled = !this.ready;
    this.scrubber.title = this.ready ? "" : "Take a point as A and another one as B first";
    this.scrubber.style.setProperty("--at", `${100 * this.scrubber.value}%`);
  }

  at(t) {
    return PATHS[this.shape](this.ends.a, this.ends.b, t);
  }

  // There and back, for an animation without a seam.
  frames() {
    const there = Array.from({ length: PATH_STEPS }, (_, i) => this.at(i / (PATH_STEPS - 1)));
    return [...there, ...there.slice(1, -1).reverse()];
  }

  move(t) {
    this.scrubber.value = t;
    this.refresh();
    this.on.onMove(this.at(t));
  }

  toggle() {
    if (this.swing) this.stop();
    else {
      const from = Number(this.scrubber.value);
      this.swing = play((seconds) => {
        const phase = (from + seconds / PLAY_S) % 2;
        this.move(phase <= 1 ? phase : 2 - phase);
      });
    }
    this.player.textContent = this.swing ? "■" : "▶";
  }

  stop() {
    if (!this.swing) return;
    this.swing();
    this.swing = null;
    this.player.textContent = "▶";
    this.on.onRelease();
  }
}
