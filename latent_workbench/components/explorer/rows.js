// One direction: its name, a slider in σ, and a strip of pictures of where it leads.

const REACH = 3; // a slider goes from −3 σ to 3 σ
const STEP = 0.05;
const STOPS = [-3, -2, -1, 0, 1, 2, 3];
const SWING_S = 4; // from end to end and back

class SliderRow {
  // about: {name, share (0..1 or null), dead}; on: {onDrag(value), onRelease(),
  // onPause() after a key, onSet(value)}.
  constructor(k, about, large, on) {
    this.on = on;
    this.value = 0;
    const share = about.share === null ? "" : `${Math.round(100 * about.share)} %`;
    const says = share && `, explains ${share} of the variance of the encodings`;
    this.slider = element("input", {
      type: "range", min: -REACH, max: REACH, step: STEP, value: 0, style: "--at: 50%",
      "aria-label": `Direction ${about.name}${says}`,
      title: "Double-click to set to 0",
    });
    this.slider.dataset.testid = `direction-slider-${k}`;
    this.slider.oninput = () => this.drag(Number(this.slider.value));
    this.slider.onpointerdown = () => (this.held = true);
    this.slider.onchange = () => {
      if (this.held) on.onRelease();
      else on.onPause();
      this.held = false;
    };
    this.slider.ondblclick = () => on.onSet(0);
    this.output = element("output");
    this.player = button("▶", `Swing along direction ${about.name}`, () => this.toggle());
    this.player.classList.add("play");
    const heading = element("div", { class: "heading" }, [
      element("b", { title: about.name }, [about.name]),
      element("small", { title: `Direction ${about.name}${says}` }, [about.dead ? "unused" : share]),
      this.player,
      this.output,
    ]);
    this.cells = STOPS.map((stop) => {
      const title = `Set direction ${about.name} to ${stop} σ`;
      const cell = button(element("canvas"), title, () => on.onSet(stop));
      cell.tabIndex = -1; // the slider above it does the same for the keyboard
      cell.firstChild.classList.toggle("shrunk", large);
      return cell;
    });
    const strip = element("div", { class: "strip" }, this.cells);
    const kind = about.dead ? "row dead" : "row";
    this.root = element("div", { class: kind }, [heading, this.slider, strip]);
  }

  show(value) {
    this.value = value;
    this.slider.value = value;
    this.output.textContent = `${signed(value)} σ`;
    this.slider.style.setProperty("--at", `${(50 * (value + REACH)) / REACH}%`);
    this.slider.setAttribute("aria-valuetext", `${value.toFixed(2)} standard deviations`);
    this.cells.forEach((cell, i) => cell.classList.toggle("near", Math.round(value) === STOPS[i]));
  }

  drag(value) {
    this.show(value);
    this.on.onDrag(value);
  }

  drawStrip(reply, first) {
    this.cells.forEach((cell, i) => drawPicture(cell.firstChild, reply, first + i));
  }

  toggle() {
    if (this.swing) {
      this.stop();
      return;
    }
    const from = Math.asin(Math.max(-1, Math.min(1, this.value / REACH)));
    this.swing = play((seconds) =>
      this.drag(REACH * Math.sin(from + (2 * Math.PI * seconds) / SWING_S)));
    this.player.textContent = "■";
  }

  stop() {
    if (!this.swing) return;
    this.swing();
    this.swing = null;
    this.player.textContent = "▶";
    this.on.onRelease();
  }
}
