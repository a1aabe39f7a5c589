// Paints tens of thousands of points a frame by writing their pixels, and the axes around them.

const FEW = 6000; // up to so many points are drawn larger
const FADED = 0x38; // opacity, of 255, of what is not selected
const THUMBNAIL_PX = 32;
const TITLE_PX = 34; // room for the title of the upward axis

class Painter {
  constructor(canvas) {
    this.canvas = canvas;
    this.layer = document.createElement("canvas");
  }

  // scene: {sight, points, color(i) → ABGR, isShown(i), selected: Uint8Array or null, circles,
  //         mark: [x, y] or null, outline: [[x, y], …], images: {at(i) → draws} or null, css(name)}
  paint(scene) {
    const { sight } = scene;
    this.scale = devicePixelRatio;
    const [width, height] = [sight.width, sight.height].map((side) => Math.round(side * this.scale));
    for (const canvas of [this.canvas, this.layer]) {
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    }
    const context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    this.paintPoints(scene, width, height);
    context.scale(this.scale, this.scale);
    context.font = `11px ${scene.css("--st-font") || "sans-serif"}`;
    this.paintGrid(context, scene);
    context.drawImage(this.layer, 0, 0, sight.width, sight.height);
    if (scene.images) this.paintImages(context, scene);
    this.paintCircles(context, scene);
    this.paintMarks(context, scene);
  }

  paintPoints(scene, width, height) {
    const context = this.layer.getContext("2d");
    if (this.pixels?.width !== width || this.pixels?.height !== height) {
      this.pixels = context.createImageData(width, height);
      this.words = new Uint32Array(this.pixels.data.buffer);
    }
    this.words.fill(0);
    const { selected } = scene;
    if (selected) this.stamp(scene, width, height, (i) => !selected[i], FADED);
    this.stamp(scene, width, height, selected ? (i) => selected[i] : () => true, 0xd8);
    context.putImageData(this.pixels, 0, 0);
  }

  stamp({ sight, points, color, isShown }, width, height, wanted, opacity) {
    const radius = (points.count <= FEW ? 2.6 : 1.5) * this.scale;
    const disc = discOf(radius);
    const { numbers, count } = points;
    const [sx, sy] = [sight.across * this.scale, sight.upwards * this.scale];
    const [left, top] = [width / 2 - sight.x * sx, height / 2 + sight.y * sy];
    const { words } = this;
    const edge = Math.ceil(radius);
    for (let i = 0; i < count; i++) {
      const x = Math.round(left + numbers[2 * i] * sx);
      const y = Math.round(top - numbers[2 * i + 1] * sy);
      if (!(x >= edge && y >= edge && x < width - edge && y < height - edge)) continue;
      if (!wanted(i) || !isShown(i)) continue;
      const word = ((color(i) & 0xffffff) | (opacity << 24)) >>> 0;
      const at = y * width + x;
      for (let k = 0; k < disc.length; k += 2) words[at + disc[k + 1] * width + disc[k]] = word;
    }
  }

  paintGrid(context, { sight, css, titles, plain }) {
    const faint = css("--st-border-color");
    context.lineWidth = 1;
    context.strokeStyle = faint;
    context.fillStyle = css("--st-text-color");
    context.globalAlpha = 1;
    const [left, bottom] = sight.toPlane(0, sight.height);
    const [right, top] = sight.toPlane(sight.width, 0);
    if (!plain) {
      for (const x of ticksBetween(left, right)) {
        const [at] = sight.toPixels(x, 0);
        line(context, at, 0, at, sight.height);
        write(context, short(x), at + 3, sight.height - 5);
      }
      for (const y of ticksBetween(bottom, top)) {
        const [, at] = sight.toPixels(0, y);
        line(context, 0, at, sight.width, at);
        if (at > TITLE_PX) write(context, short(y), 4, at - 4);
      }
    }
    context.textAlign = "right";
    write(context, titles[0], sight.width - 8, sight.height - 20);
    context.textAlign = "left";
    write(context, titles[1], 8, 16);
  }

  paintCircles(context, { sight, circles, css }) {
    context.strokeStyle = context.fillStyle = css("--st-text-color");
    context.setLineDash([5, 4]);
    for (const radius of circles) {
      const [x, y] = sight.toPixels(0, 0);
      context.globalAlpha = 0.65;
      context.beginPath();
      context.ellipse(x, y, radius * sight.across, radius * sight.upwards, 0, 0, 2 * Math.PI);
      context.stroke();
      write(context, `${radius} σ of the prior`, x + 4, y - radius * sight.upwards - 4);
    }
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  // As many images as fit without covering each other, in the order of the points.
  paintImages(context, { sight, points, isShown, images }) {
    const drawn = [];
    const covers = (x, y) => ([left, top]) =>
      Math.abs(left - x) < THUMBNAIL_PX && Math.abs(top - y) < THUMBNAIL_PX;
    for (let i = 0; i < points.count; i++) {
      const [x, y] = sight.toPixels(points.numbers[2 * i], points.numbers[2 * i + 1]);
      if (x < 0 || y < 0 || x > sight.width || y > sight.height || !isShown(i)) continue;
      if (drawn.some(covers(x, y)) || !images.draw(context, i, x, y, THUMBNAIL_PX)) continue;
      drawn.push([x, y]);
    }
  }

  paintMarks(context, { sight, mark, outline, css }) {
    context.strokeStyle = css("--st-text-color");
    context.lineWidth = 2;
    if (mark) {
      const [x, y] = sight.toPixels(...mark);
      context.beginPath();
      context.arc(x, y, 8, 0, 2 * Math.PI);
      context.stroke();
    }
    if (outline.length > 1) {
      context.beginPath();
      for (const point of outline) context.lineTo(...sight.toPixels(...point));
      context.closePath();
      context.stroke();
      context.globalAlpha = 0.08;
      context.fillStyle = css("--st-text-color");
      context.fill();
      context.globalAlpha = 1;
    }
  }
}

// Offsets x, y in turns of all pixels of a disc.
function discOf(radius) {
  const offsets = [];
  const reach = Math.floor(radius);
  for (let y = -reach; y <= reach; y++) {
    for (let x = -reach; x <= reach; x++) if (Math.hypot(x, y) <= radius) offsets.push(x, y);
  }
  return Int32Array.from(offsets);
}

// About six round numbers between low and high.
function ticksBetween(low, high) {
  const rough = (high - low) / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high && found.length < 20; k++) found.push(k * step);
  return found;
}

function short(value) {
  return String(Number(value.toPrecision(6))).replace("-", "−");
}

function line(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

function write(context, text, x, y) {
  const before = context.globalAlpha;
  context.globalAlpha = 0.7;
  context.fillText(text, x, y);
  context.globalAlpha = before;
}
