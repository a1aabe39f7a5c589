// Points in a plane: which lie where, and how the plane lies on the screen.

const CELLS = 128; // a side of the grid by which a point is found

class Points {
  // numbers: Float32Array [2 N], x and y in turns; bounds: {low, high} of both where known.
  constructor(numbers, bounds) {
    this.numbers = numbers;
    this.count = numbers.length / 2;
    this.x = bounds ?? this.bounds(0);
    this.y = bounds ?? this.bounds(1);
  }

  bounds(axis) {
    let [low, high] = [Infinity, -Infinity];
    for (let i = axis; i < this.numbers.length; i += 2) {
      const value = this.numbers[i];
      if (value < low) low = value;
      if (value > high) high = value;
    }
    const alone = !(high - low > 0);
    return alone ? { low: (this.count ? low : 0) - 1, high: (this.count ? low : 0) + 1 } : { low, high };
  }

  cell(value, { low, high }) {
    return Math.max(0, Math.min(CELLS - 1, Math.floor(((value - low) / (high - low)) * CELLS)));
  }

  sortIntoCells() {
    const cells = new Uint32Array(this.count);
    this.starts = new Uint32Array(CELLS * CELLS + 1);
    for (let i = 0; i < this.count; i++) {
      cells[i] = this.cell(this.numbers[2 * i + 1], this.y) * CELLS + this.cell(this.numbers[2 * i], this.x);
      this.starts[cells[i] + 1] += 1;
    }
    for (let c = 0; c < CELLS * CELLS; c++) this.starts[c + 1] += this.starts[c];
    const next = this.starts.slice();
    this.order = new Uint32Array(this.count);
    for (let i = 0; i < this.count; i++) this.order[next[cells[i]]++] = i;
  }

  // The shown point nearest to (x, y), at most dx and dy away; −1 where there is none.
  nearest(x, y, dx, dy, isShown) {
    if (!this.starts) this.sortIntoCells();
    let [best, least] = [-1, 1];
    const [left, right] = [this.cell(x - dx, this.x), this.cell(x + dx, this.x)];
    for (let row = this.cell(y - dy, this.y); row <= this.cell(y + dy, this.y); row++) {
      for (let k = this.starts[row * CELLS + left]; k < this.starts[row * CELLS + right + 1]; k++) {
        const i = this.order[k];
        const away = Math.hypot((this.numbers[2 * i] - x) / dx, (this.numbers[2 * i + 1] - y) / dy);
        if (away < least && isShown(i)) [best, least] = [i, away];
      }
    }
    return best;
  }

  // The shown points inside the polygon [[x, y], …], by the even-odd rule.
  inside(polygon, isShown) {
    const found = [];
    for (let i = 0; i < this.count; i++) {
      if (isShown(i) && contains(polygon, this.numbers[2 * i], this.numbers[2 * i + 1])) found.push(i);
    }
    return Int32Array.from(found);
  }
}

function contains(polygon, x, y) {
  let odd = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [ax, ay] = polygon[i];
    const [bx, by] = polygon[j];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
  }
  return odd;
}

// The part of the plane in sight: its centre, and pixels a unit along both axes.
class Sight {
  fit(points, width, height, equal) {
    const room = (span, pixels) => (0.92 * pixels) / span;
    this.x = (points.x.low + points.x.high) / 2;
    this.y = (points.y.low + points.y.high) / 2;
    this.across = room(points.x.high - points.x.low, width);
    this.upwards = room(points.y.high - points.y.low, height);
    if (equal) this.across = this.upwards = Math.min(this.across, this.upwards);
    this.resize(width, height);
  }

  resize(width, height) {
    Object.assign(this, { width, height });
  }

  toPixels(x, y) {
    return [(x - this.x) * this.across + this.width / 2, (this.y - y) * this.upwards + this.height / 2];
  }

  toPlane(left, top) {
    return [(left - this.width / 2) / this.across + this.x, this.y - (top - this.height / 2) / this.upwards];
  }

  pan(left, top) {
    this.x -= left / this.across;
    this.y += top / this.upwards;
  }

  // What lies under (left, top) stays there.
  zoom(factor, left, top) {
    const [x, y] = this.toPlane(left, top);
    this.across *= factor;
    this.upwards *= factor;
    const [nowX, nowY] = this.toPlane(left, top);
    this.x += x - nowX;
    this.y += y - nowY;
  }
}
