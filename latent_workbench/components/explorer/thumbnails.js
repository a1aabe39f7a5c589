// The encoded images, small: one picture from the server that holds them all, side by side.

class Thumbnails {
  // about: {version, columns, width, height}; null where the run has none.
  constructor(run, about) {
    this.about = about;
    this.ready = about ? this.load(run) : Promise.resolve(null);
  }

  async load(run) {
    try {
      const response = await fetch(liveAddress(["thumbnails", run], { v: this.about.version }));
      if (response.ok) this.atlas = await createImageBitmap(await response.blob());
    } catch {
      // No connection: pictures stay empty, everything else works.
    }
  }

  close() {
    this.ready.then(() => this.atlas?.close());
  }

  async draw(canvas, index) {
    canvas.dataset.index = index;
    await this.ready;
    if (!this.atlas || canvas.dataset.index !== String(index)) return; // asked again meanwhile
    const { columns, width, height } = this.about;
    const [x, y] = [(index % columns) * width, Math.floor(index / columns) * height];
    if (canvas.width !== width || canvas.height !== height) {
      [canvas.width, canvas.height] = [width, height];
    }
    canvas.getContext("2d").drawImage(this.atlas, x, y, width, height, 0, 0, width, height);
    canvas.classList.add("drawn");
  }
}
