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

  // scene: {sight, points, space or null, color(i) → ABGR, isShown(i), selected: Uint8Array or null,
  //         circles, mark: [x, y] or null, outline: [[x, y], …], images: {find(i)} or null, css(name)}
  paint(scene) {
    const { sight } = scene;
    this.scale = devicePixelRatio;
    this.halo = scene.css("--st-background-color");
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
    if (scene.space) this.paintAxes(context, scene);
    else this.paintGrid(context, scene);
    context.drawImage(this.layer, 0, 0, sight.width, sight.height);
    if (scene.space) this.paintTitles(context, scene);
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
    const { numbers, count, farFirst, nearness } = points;
    const [sx, sy] = [sight.across * this.scale, sight.upwards * this.scale];
    const [left, top] = [width / 2 - sight.x * sx, height / 2 + sight.y * sy];
    const { words } = this;
    const edge = Math.ceil(radius);
    for (let k = 0; k < count; k++) {
      const i = farFirst ? farFirst[k] : k;
      const x = Math.round(left + numbers[2 * i] * sx);
      const y = Math.round(top - numbers[2 * i + 1] * sy);
      if (!(x >= edge && y >= edge && x < width - edge && y < height - edge)) continue;
      if (!wanted(i) || !isShown(i)) continue;
      const strength = farFirst ? opacity * (0.4 + 0.6 * nearness(i)) : opacity; // what is far is faint
      const word = ((color(i) & 0xffffff) | (strength << 24)) >>> 0;
      const at = y * width + x;
      for (let d = 0; d < disc.length; d += 2) words[at + disc[d + 1] * width + disc[d]] = word;
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
        this.write(context, short(x), at + 3, sight.height - 5);
      }
      for (const y of ticksBetween(bottom, top)) {
        const [, at] = sight.toPixels(0, y);
        line(context, 0, at, sight.width, at);
        if (at > TITLE_PX) this.write(context, short(y), 4, at - 4);
      }
    }
    context.textAlign = "right";
    this.write(context, titles[0], sight.width - 8, sight.height - 20);
    context.textAlign = "left";
    this.write(context, titles[1], 8, 16);
  }

  paintAxes(context, { sight, space, titles, css }) {
    context.lineWidth = 1;
    context.strokeStyle = css("--st-border-color");
    titles.forEach((_, axis) => {
      const [start, end] = space.ends(axis).map((at) => sight.toPixels(...at));
      line(context, ...start, ...end);
    });
  }

  paintTitles(context, { sight, space, titles, css }) {
    context.fillStyle = css("--st-text-color");
    titles.forEach((title, axis) => {
      const [left, top] = sight.toPixels(...space.ends(axis)[1]);
      context.textAlign = left > sight.width / 2 ? "right" : "left";
      this.write(context, title, left, Math.max(12, Math.min(sight.height - 6, top)));
    });
    context.textAlign = "left";
  }

  paintCircles(context, { sight, space, circles, css }) {
    context.strokeStyle = context.fillStyle = css("--st-text-color");
    context.setLineDash([5, 4]);
    for (const radius of circles) {
      // Seen from any side, a sphere is a circle.
      const [x, y] = sight.toPixels(...(space ? space.place(0, 0, 0) : [0, 0]));
      context.globalAlpha = 0.65;
      context.beginPath();
      context.ellipse(x, y, radius * sight.across, radius * sight.upwards, 0, 0, 2 * Math.PI);
      context.stroke();
      this.write(context, `${radius} σ of the prior`, x + 4, y - radius * sight.upwards - 4);
    }
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  // As many images as fit without covering each other, in the order of the points. Two that share
  // a cell would cover each other, so one place for each cell is all that has to be known.
  paintImages(context, { sight, points, isShown, images }) {
    context.imageSmoothingEnabled = false;
    const columns = Math.ceil(sight.width / THUMBNAIL_PX) + 2;
    const taken = [];
    const isFree = (x, y, cell) => {
      for (let row = cell - columns; row <= cell + columns; row += columns) {
        for (let at = row - 1; at <= row + 1; at++) {
          const other = taken[at];
          if (other && Math.abs(other[0] - x) < THUMBNAIL_PX && Math.abs(other[1] - y) < THUMBNAIL_PX) return false;
        }
      }
      return true;
    };
    for (let i = 0; i < points.count; i++) {
      const [x, y] = sight.toPixels(points.numbers[2 * i], points.numbers[2 * i + 1]);
      if (x < 0 || y < 0 || x > sight.width || y > sight.height || !isShown(i)) continue;
      const cell = (Math.floor(y / THUMBNAIL_PX) + 1) * columns + Math.floor(x / THUMBNAIL_PX) + 1;
      if (!isFree(x, y, cell)) continue;
      taken[cell] = [x, y];
      const found = images.find(i);
      if (!found) continue;
      const { source, left, top, width, height } = found;
      const [x0, y0] = [x - THUMBNAIL_PX / 2, y - THUMBNAIL_PX / 2];
      context.drawImage(source, left, top, width, height, x0, y0, THUMBNAIL_PX, THUMBNAIL_PX);
    }
  }

  // Legible over points too.
  write(context, text, x, y) {
    context.save();
    context.globalAlpha = 0.8;
    context.setLineDash([]);
    context.lineWidth = 3;
    context.strokeStyle = this.halo;
    context.strokeText(text, x, y);
    context.fillText(text, x, y);
    context.restore();
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
