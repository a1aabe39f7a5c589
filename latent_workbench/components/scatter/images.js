// Pictures of the points: those that the run keeps come in one file, those of a whole part by row.

const A_REQUEST = 200; // rows asked for at once; the server gives at most 256
const MOST_SPRITES = 32; // answers kept, the newest
const SPRITE_COLUMNS = 16; // as the server lays them
const PATIENCE_MS = 8000;

class KeptImages {
  constructor(run, about, onArrival) {
    this.thumbnails = new Thumbnails(run, about);
    this.thumbnails.ready.then(onArrival);
  }

  // Where the image of row i can be drawn from: {source, left, top, width, height}; null for now.
  find(i) {
    const { atlas, about } = this.thumbnails;
    if (!atlas) return null;
    const { columns, width, height } = about;
    const [left, top] = [(i % columns) * width, Math.floor(i / columns) * height];
    return { source: atlas, left, top, width, height };
  }

  close() {
    this.thumbnails.close();
  }
}

class PartImages {
  constructor(run, { split, version }, onArrival) {
    Object.assign(this, { run, split, version, onArrival });
    this.sprites = [];
    this.places = new Map();
    this.wanted = new Set();
  }

  find(i) {
    const place = this.places.get(i);
    if (!place) {
      this.wanted.add(i);
      this.ask();
    }
    return place ?? null;
  }

  close() {
    this.closed = true;
    for (const { source } of this.sprites) source.close();
  }

  // One request at a time, for the newest wishes; who still wants the others wishes again.
  async ask() {
    if (this.asking) return;
    this.asking = true;
    await Promise.resolve(); // what one painting wishes for goes together
    const rows = [...this.wanted].slice(-A_REQUEST);
    this.wanted.clear();
    const source = await this.fetch(rows);
    // The data set may be about to be opened: ask again, more and more rarely.
    this.pause = source ? 0 : Math.min(PATIENCE_MS, 2 * (this.pause || 125));
    if (source) this.take(source, rows);
    else await new Promise((next) => setTimeout(next, this.pause));
    this.asking = false;
    if (!this.closed) this.onArrival();
  }

  async fetch(rows) {
    try {
      const asked = { v: this.version, rows: rows.join() };
      const response = await fetch(liveAddress(["images", this.run, this.split], asked));
      return response.ok ? await createImageBitmap(await response.blob()) : null;
    } catch {
      return null; // no connection: points stay without pictures, everything else works
    }
  }

  take(source, rows) {
    if (this.closed) return source.close();
    const columns = Math.min(SPRITE_COLUMNS, rows.length);
    const width = source.width / columns;
    const height = source.height / Math.ceil(rows.length / columns);
    rows.forEach((row, k) => {
      const [left, top] = [(k % columns) * width, Math.floor(k / columns) * height];
      this.places.set(row, { source, left, top, width, height });
    });
    this.sprites.push({ source, rows });
    if (this.sprites.length > MOST_SPRITES) {
      const oldest = this.sprites.shift();
      for (const row of oldest.rows) {
        if (this.places.get(row)?.source === oldest.source) this.places.delete(row);
      }
      oldest.source.close();
    }
  }
}

// What lies under the pointer: the image beside its point, and its name.
class Preview {
  constructor() {
    this.picture = element("canvas");
    this.name = element("span");
    this.root = element("div", { class: "hover" }, [this.picture, this.name]);
    this.index = -1;
  }

  // The image of row `index` at [x, y]; `images` may be null. Nothing where the index is −1.
  show(index, [x, y], width, name, images) {
    this.index = index;
    this.images = images;
    this.root.classList.toggle("shown", index >= 0);
    if (index < 0) return;
    this.root.style.transform = `translate(${x}px, ${y}px)`;
    this.root.classList.toggle("below", y < 110);
    this.root.classList.toggle("before", x > width - 150);
    this.name.textContent = name;
    this.draw();
  }

  hide() {
    this.show(-1, [0, 0]);
  }

  // Again when images have arrived.
  draw() {
    if (this.index < 0) return;
    const place = this.images?.find(this.index);
    this.picture.hidden = !this.images;
    this.picture.classList.toggle("drawn", Boolean(place));
    if (!place) return;
    const { source, left, top, width, height } = place;
    if (this.picture.width !== width) this.picture.width = width;
    if (this.picture.height !== height) this.picture.height = height;
    this.picture.getContext("2d").drawImage(source, left, top, width, height, 0, 0, width, height);
  }
}
