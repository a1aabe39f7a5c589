// The point of the latent space under the hand, and the way back to where it was.
// z = base + Σ value · deviation · direction: what the sliders cannot express stays in the base.

const MOST_UNDOS = 200;

class Point {
  // told: the page's directions; arrays come as base64.
  take(told) {
    this.id = told.id;
    this.center = fromBase64(told.center, Float32Array);
    const size = this.center.length;
    const numbers = fromBase64(told.vectors, Float32Array);
    this.vectors = told.deviations.map((_, k) => numbers.subarray(k * size, (k + 1) * size));
    this.deviations = told.deviations;
    this.orthogonal = told.orthogonal;
    this.toCenter();
  }

  toCenter() {
    this.values = this.vectors.map(() => 0);
    this.base = this.center.slice();
  }

  // z, with one value replaced where `changed` names a direction: Float32Array [D].
  vector(changed = -1, value = 0) {
    const z = this.base.slice();
    this.vectors.forEach((direction, k) => {
      const amount = (k === changed ? value : this.values[k]) * this.deviations[k];
      if (amount) for (let d = 0; d < z.length; d++) z[d] += amount * direction[d];
    });
    return z;
  }

  // Read slider values off z; the remainder becomes the base. Directions that are not at right
  // angles have no values of their own there: their sliders start at 0, from z.
  goTo(z) {
    const from = z.map((x, d) => x - this.center[d]);
    this.values = this.vectors.map((direction, k) => {
      if (!this.orthogonal || this.deviations[k] < 1e-6) return 0;
      const rounded = Math.round(dot(direction, from) / this.deviations[k] / STEP) * STEP;
      return Math.max(-REACH, Math.min(REACH, rounded));
    });
    this.base = z;
    const expressed = this.vector();
    this.base = z.map((x, d) => x - (expressed[d] - x));
  }

  state() {
    return { id: this.id, values: [...this.values], base: this.base, z: this.vector() };
  }

  // The values as they were, unless the directions are others by now: then the same z.
  restore(state) {
    if (state.id !== this.id) this.goTo(state.z);
    else Object.assign(this, { values: [...state.values], base: state.base });
  }

  // What the page keeps, and puts into the address.
  report() {
    const atCenter = this.base.every((x, d) => x === this.center[d]);
    return {
      directions: this.id,
      values: this.values,
      base: atCenter ? null : toBase64(this.base),
      z: toBase64(this.vector()),
    };
  }
}

class Trail {
  constructor() {
    this.past = [];
    this.future = [];
  }

  add(state) {
    this.past = [...this.past, state].slice(-MOST_UNDOS);
    this.future = [];
  }

  // Step back or forth from the state `now`; the state to restore, or undefined at the end.
  back(now) {
    return this.step(this.past, this.future, now);
  }

  forth(now) {
    return this.step(this.future, this.past, now);
  }

  step(from, to, now) {
    if (from.length) to.push(now);
    return from.pop();
  }
}
