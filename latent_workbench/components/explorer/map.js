// The encodings in a plane of the latent space, with a marker that can be taken by the hand.

const NEAR_PX = 9; // a pointer this close to a point means the point
const MOVED_PX = 3; // less is a click, more is a drag
const KEY_STEP = 0.1; // σ

class LatentMap {
  // plane: {center, vectors: one or two, deviations, names, points [N, 2] in σ}, arrays as base64; on: {onMove(x, y) while dragging, onRelease(), onPause() after a key,
  // onPick(index), nameOf(index)}, all in σ.
  constructor(plane, labels, colors, thumbnails, on) {
    Object.assign(this, { labels, colors, thumbnails, on });
    this.canvas = element("canvas");
    this.marker = element("div", {
      class: "marker", tabindex: 0, role: "slider", "aria-label": "Position on the map, in σ",
    });
    this.marker.dataset.testid = "map-marker";
    this.preview = element("div", { class: "hover" }, [element("canvas"), element("span")]);
    this.field = element("div", { class: "field" }, [this.canvas, this.marker, this.preview]);
    this.field.dataset.testid = "latent-map";
    this.across = element("small", { class: "across" });
    this.upwards = element("small", { class: "upwards" });
    this.root = element("figure", { class: "map" }, [this.field, this.upwards, this.across]);
    this.listen();
    this.watch = new ResizeObserver(() => this.paint());
    this.watch.observe(this.field);
    this.setPlane(plane);
  }

  remove() {
    this.watch.disconnect();
  }

  setPlane(plane) {
    const center = fromBase64(plane.center, Float32Array);
    const numbers = fromBase64(plane.vectors, Float32Array);
    const size = center.length;
    const vectors = plane.deviations.map((_, k) => numbers.subarray(k * size, (k + 1) * size));
    this.plane = { ...plane, center, vectors };
    this.points = fromBase64(plane.points, Float32Array);
    const sizes = this.points.map(Math.abs).sort();
    this.marker.setAttribute("aria-roledescription", "point on a map");
    this.reach = Math.max(3, 1.1 * (sizes[Math.floor(0.995 * sizes.length)] ?? 0));
    this.across.textContent = `${plane.names[0]}, σ`;
    this.upwards.textContent = plane.names[1] ? `${plane.names[1]}, σ` : "";
    this.paint();
    if (this.at) this.placeMarker(...this.at);
  }

  // --- between σ and pixels -----------------------------------------------------------------------

  toPixels(x, y) {
    const { width, height } = this.field.getBoundingClientRect();
    return [(0.5 + x / (2 * this.reach)) * width, (0.5 - y / (2 * this.reach)) * height];
  }

  toSigma(event) {
    const { left, top, width, height } = this.field.getBoundingClientRect();
    const within = (share) => Math.max(-1, Math.min(1, 2 * share - 1));
    const x = within((event.clientX - left) / width) * this.reach;
    const y = -within((event.clientY - top) / height) * this.reach;
    return [x, this.plane.vectors.length > 1 ? y : 0];
  }

  // Where z lies: [x, y] in σ.
  locate(z) {
    const { vectors, center, deviations } = this.plane;
    const from = z.map((value, d) => value - center[d]);
    const [x, y = 0] = vectors.map((v, k) => dot(from, v) / Math.max(deviations[k], 1e-12));
    return [x, y];
  }

  // z moved within the plane so that it lies at (x, y).
  moved(z, x, y) {
    const { vectors, deviations } = this.plane;
    const here = this.locate(z);
    const result = Float32Array.from(z);
    [x, y].slice(0, vectors.length).forEach((target, k) => {
      const amount = (target - here[k]) * deviations[k];
      for (let d = 0; d < result.length; d++) result[d] += amount * vectors[k][d];
    });
    return result;
  }

  // --- drawing ------------------------------------------------------------------------------------

  paint() {
    const { width, height } = this.field.getBoundingClientRect();
    if (!width || !this.points) return;
    const scale = devicePixelRatio;
    [this.canvas.width, this.canvas.height] = [width * scale, height * scale];
    const context = this.canvas.getContext("2d");
    context.scale(scale, scale);
    context.strokeStyle = getComputedStyle(this.field).borderTopColor;
    context.beginPath();
    context.moveTo(0, height / 2);
    context.lineTo(width, height / 2);
    context.moveTo(width / 2, 0);
    context.lineTo(width / 2, height);
    context.stroke();
    context.globalAlpha = 0.6;
    for (let i = 0; i < this.points.length / 2; i++) {
      const [x, y] = this.toPixels(this.points[2 * i], this.points[2 * i + 1]);
      context.fillStyle = this.color(i);
      context.fillRect(x - 1.25, y - 1.25, 2.5, 2.5);
    }
    if (this.at) this.placeMarker(...this.at);
  }

  color(i) {
    const label = Math.max(0, this.labels?.[i] ?? 0); // −1: none is known
    return this.colors[label % this.colors.length];
  }

  show(z) {
    this.placeMarker(...this.locate(z));
  }

  placeMarker(x, y) {
    this.at = [x, y];
    const inside = (value) => Math.max(-this.reach, Math.min(this.reach, value));
    const [left, top] = this.toPixels(inside(x), inside(y));
    this.marker.style.transform = `translate(${left}px, ${top}px)`;
    const spoken = { valuemin: -this.reach, valuemax: this.reach, valuenow: x };
    for (const [name, value] of Object.entries(spoken)) {
      this.marker.setAttribute(`aria-${name}`, value.toFixed(2));
    }
    this.marker.setAttribute("aria-valuetext", `${signed(x)} σ across, ${signed(y)} σ upwards`);
  }

  // --- hands --------------------------------------------------------------------------------------

  listen() {
    this.field.onpointerdown = (event) => {
      if (event.button) return;
      this.pressed = { x: event.clientX, y: event.clientY, moved: false };
      this.field.setPointerCapture(event.pointerId);
      this.preview.classList.remove("shown");
    };
    this.field.onpointermove = (event) => (this.pressed ? this.drag(event) : this.hover(event));
    this.field.onpointerup = (event) => this.release(event);
    this.field.onpointercancel = () => this.cancel();
    this.field.onpointerleave = () => this.preview.classList.remove("shown");
    this.marker.onkeydown = (event) => this.key(event);
  }

  drag(event) {
    const far = Math.hypot(event.clientX - this.pressed.x, event.clientY - this.pressed.y);
    this.pressed.moved ||= far > MOVED_PX;
    if (this.pressed.moved) this.on.onMove(...this.toSigma(event));
  }

  release(event) {
    if (!this.pressed) return;
    const { moved } = this.pressed;
    this.pressed = null;
    const index = moved ? -1 : this.nearest(event);
    if (index >= 0) {
      this.on.onPick(index);
      return;
    }
    if (!moved) this.on.onMove(...this.toSigma(event)); // empty space: what lies there?
    this.on.onRelease();
  }

  cancel() {
    this.pressed = null;
    this.on.onRelease();
  }

  key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const size = event.shiftKey ? 10 * KEY_STEP : KEY_STEP;
    this.on.onMove(this.at[0] + size * step[0], this.at[1] + size * step[1]);
    this.on.onPause();
  }

  // The point under the pointer; −1 where there is none.
  nearest(event) {
    const { left, top } = this.field.getBoundingClientRect();
    let [best, distance] = [-1, NEAR_PX];
    for (let i = 0; i < this.points.length / 2; i++) {
      const [x, y] = this.toPixels(this.points[2 * i], this.points[2 * i + 1]);
      const away = Math.hypot(event.clientX - left - x, event.clientY - top - y);
      if (away < distance) [best, distance] = [i, away];
    }
    return best;
  }

  hover(event) {
    const index = this.nearest(event);
    this.preview.classList.toggle("shown", index >= 0);
    if (index < 0) return;
    const [x, y] = this.toPixels(this.points[2 * index], this.points[2 * index + 1]);
    this.preview.style.transform = `translate(${x}px, ${y}px)`;
    this.preview.classList.toggle("below", y < 90);
    this.preview.lastChild.textContent = this.on.nameOf(index);
    this.thumbnails.draw(this.preview.firstChild, index);
  }
}
