// The hold-out pictures of every moment of the run, pixel by pixel. The scrubber follows the newest
// until it is moved back.

const SMALLEST_TILE = 56;
const GAP = 3;
const KEPT_PICTURES = 240;

class Previews {
  constructor(root, run) {
    this.run = run;
    this.root = root;
    this.slider = root.querySelector(".vm-scrub input");
    this.when = root.querySelector(".vm-when");
    this.newest = root.querySelector(".vm-newest");
    this.canvases = Object.fromEntries(
      [...root.querySelectorAll("canvas")].map((canvas) => [canvas.dataset.name, canvas]),
    );
    this.shape = null;
    this.clear();
    // The run shown here before leaves nothing behind: no picture, no step, no place of the slider.
    for (const canvas of Object.values(this.canvases)) blank(canvas);
    this.place(-1);
    this.canvases.corrupted.closest(".vm-row").hidden = true; // until a run turns out to have it
    this.slider.oninput = () => this.scrub(Number(this.slider.value));
    this.newest.onclick = () => this.scrub(this.steps.length - 1);
  }

  clear() {
    this.steps = [];
    this.follows = true;
    this.pictures = new Map();
    this.shown = null;
  }

  // Pictures on their way do not reach the canvases any more, which the next run has.
  remove() {
    this.removed = true;
  }

  update(news) {
    if (news.run?.image_shape) this.shape = news.run.image_shape;
    if (news.restart) {
      const { follows, shown, pictures } = this;
      this.clear();
      Object.assign(this, { follows, shown, pictures });
    }
    if (news.previews?.length) this.steps.push(...news.previews);
    for (const row of ["originals", "corrupted"]) {
      if (!news.run?.[row]) continue;
      this.canvases[row].closest(".vm-row").hidden = false;
      this.show(row, row);
    }
    if (!news.previews && !news.restart) return;
    if (news.restart) this.pictures.clear(); // a resumed run may have drawn a step anew
    this.at(this.follows ? this.steps.length - 1 : this.nearest());
  }

  // The moment shown before, after the list has changed.
  nearest() {
    const after = this.steps.findIndex((step) => step >= this.shown);
    return after < 0 ? this.steps.length - 1 : after;
  }

  scrub(index) {
    this.follows = index === this.steps.length - 1;
    this.at(index);
  }

  // Slider and words for the moment `index`, -1 where there is none.
  place(index) {
    this.shown = this.steps[index] ?? null;
    this.slider.max = Math.max(0, this.steps.length - 1);
    this.slider.disabled = this.steps.length < 2;
    this.slider.value = Math.max(0, index);
    put(this.when, this.shown == null ? "" : `step ${grouped(this.shown)}`);
    this.newest.hidden = this.follows;
  }

  at(index) {
    this.place(index);
    if (this.shown == null) {
      for (const row of ["reconstructions", "samples"]) blank(this.canvases[row]);
      return;
    }
    const name = String(this.shown).padStart(8, "0");
    this.show("reconstructions", `${name}-reconstructions`);
    this.show("samples", `${name}-samples`);
  }

  // The old picture stays until the new one is there.
  show(row, file) {
    const canvas = this.canvases[row];
    canvas.dataset.wanted = file;
    const picture = this.picture(file);
    const wanted = () => !this.removed && canvas.dataset.wanted === file;
    const draw = () => wanted() && this.draw(canvas, picture);
    if (picture.complete && picture.naturalWidth) draw();
    else picture.addEventListener("load", draw, { once: true });
  }

  picture(file) {
    const held = this.pictures.get(file);
    if (held) return held;
    const picture = new Image();
    picture.src = liveAddress(["preview", this.run, `${file}.png`]);
    picture.onerror = () => this.pictures.delete(file);
    this.pictures.set(file, picture);
    if (this.pictures.size > KEPT_PICTURES) this.pictures.delete(this.pictures.keys().next().value);
    return picture;
  }

  draw(canvas, strip) {
    const height = strip.naturalHeight;
    const width = this.shape ? this.shape[2] : height;
    const count = Math.max(1, Math.round(strip.naturalWidth / width));
    const zoom = Math.ceil(SMALLEST_TILE / Math.min(width, height));
    // Drawn in device pixels, so that nothing is blurred; a narrow page may shrink it to 56 px.
    const sharp = zoom * Math.max(1, Math.ceil(window.devicePixelRatio));
    const [tileWidth, tileHeight, gap] = [width * sharp, height * sharp, (GAP * sharp) / zoom];
    canvas.width = count * (tileWidth + gap) - gap;
    canvas.height = tileHeight;
    canvas.style.width = `${count * (width * zoom + GAP) - GAP}px`;
    canvas.style.minWidth = `${count * (SMALLEST_TILE + GAP) - GAP}px`;
    const pen = canvas.getContext("2d");
    pen.imageSmoothingEnabled = false;
    for (let i = 0; i < count; i++) {
      pen.drawImage(strip, i * width, 0, width, height, i * (tileWidth + gap), 0, tileWidth, tileHeight);
    }
    this.root.style.setProperty("--tile", `${height * zoom}px`);
    delete canvas.dataset.empty;
    canvas.dataset.shown = canvas.dataset.wanted;
  }
}

function blank(canvas) {
  canvas.width = canvas.height = 1;
  canvas.style.width = canvas.style.minWidth = ""; // else one pixel is drawn as wide as a strip
  canvas.dataset.empty = "";
  delete canvas.dataset.shown;
  delete canvas.dataset.wanted;
}

function grouped(number) {
  return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, "\u2009");
}
