// Everything that one may want to take home from a point: picture, animation, numbers.

const SWING_FRAMES = 48;
const FRAME_MS = 60;
const PRINT_PX = 512; // least side of an enlarged picture
const ANIMATION_PX = 280; // least side of an animation

class SaveDialog {
  // on: {canvas, smooth(), label(), here() → z, report() → object, directions() → names,
  //      swing(k) → vectors, path() → vectors or null}
  constructor(run, on) {
    Object.assign(this, { run, on });
    this.direction = element("select", { "aria-label": "Direction to swing along" });
    this.problem = element("p", { class: "problem", role: "status" });
    this.pathButtons = this.animations("the path", "path", () => on.path());
    this.root = dialog("Save", "save", [
      this.row("Picture", [
        button("PNG", "The picture, pixel by pixel", () => this.picture(1)),
        button("PNG, large", `Enlarged to at least ${PRINT_PX} px`, () => this.picture(PRINT_PX)),
      ]),
      this.row("Swing along direction", [
        this.direction,
        ...this.animations("the swing", "direction", () => on.swing(Number(this.direction.value))),
      ]),
      this.row("Path from A to B and back", this.pathButtons),
      this.row("Latent vector", [
        button("JSON", "The numbers, with run, directions and slider values", () => this.json()),
        button("npy", "The numbers for NumPy: float32 [D]", () =>
          download(`${run}-latent.npy`, npy(on.here()))),
      ]),
      this.problem,
    ]);
  }

  open() {
    const names = this.on.directions().map((name, k) => element("option", { value: k }, [name]));
    this.direction.replaceChildren(...names);
    for (const each of this.pathButtons) each.disabled = !this.on.path();
    this.problem.textContent = "";
    this.root.showModal();
  }

  row(title, controls) {
    return element("div", { class: "bar" }, [element("span", {}, [title]), ...controls]);
  }

  animations(what, name, frames) {
    return ["gif", "webp"].map((format) =>
      button(format === "gif" ? "GIF" : "WebP", `Save ${what} as an animation`, () =>
        this.animation(name, format, frames())));
  }

  picture(least) {
    const { canvas } = this.on;
    const scale = Math.max(1, Math.ceil(least / Math.max(canvas.width, canvas.height)));
    const target = element("canvas", { width: scale * canvas.width, height: scale * canvas.height });
    const context = target.getContext("2d");
    context.imageSmoothingEnabled = this.on.smooth();
    context.drawImage(canvas, 0, 0, target.width, target.height);
    target.toBlob((blob) => download(`${this.run}.png`, blob));
  }

  json() {
    const text = JSON.stringify(this.on.report(), null, 1);
    download(`${this.run}-latent.json`, new Blob([text], { type: "application/json" }));
  }

  async animation(name, format, vectors) {
    const { canvas } = this.on;
    const scale = Math.max(1, Math.ceil(ANIMATION_PX / Math.max(canvas.width, canvas.height)));
    const how = { format, frame_ms: FRAME_MS, scale, smooth: Number(this.on.smooth()),
      label: this.on.label() };
    this.problem.textContent = "Drawing the frames …";
    try {
      const address = liveAddress(["animation", this.run], how);
      const response = await fetch(address, { method: "POST", body: requestFrame(vectors) });
      if (response.ok) download(`${this.run}-${name}.${format}`, await response.blob());
      this.problem.textContent = response.ok ? "" : (await response.json()).message;
    } catch {
      this.problem.textContent = "The animation could not be made. Check that the app still runs.";
    }
  }
}
