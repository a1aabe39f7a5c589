// Where to start from: an image that the model has encoded, or an image file.

const PAGE_OF_IMAGES = 60;

class ImagePicker {
  // data: {run, count, label_names, shape}; on: {onPick(index), onHoldOut(blob), nameOf(index)}
  constructor(data, labels, thumbnails, on) {
    Object.assign(this, { data, labels, thumbnails, on });
    this.page = 0;
    this.label = "";
    this.cells = Array.from({ length: PAGE_OF_IMAGES }, () => {
      const cell = button(element("canvas"), "", () => {
        this.root.close();
        on.onPick(Number(cell.dataset.index));
      });
      return cell;
    });
    this.place = element("small");
    const present = [...new Set(labels ?? [])].filter((label) => label >= 0).sort((a, b) => a - b);
    const nameOf = (label) => data.label_names[label] ?? `label ${label}`;
    const filter = [["", "All labels"], ...present.map((label) => [label, nameOf(label)])];
    const controls = [
      ...(present.length > 1 ? [choice(filter, "Show images with this label", (label) => {
        Object.assign(this, { label, page: 0 });
        this.show();
      })] : []),
      button("‹", "Images before these", () => this.turn(-1)),
      this.place,
      button("›", "Images after these", () => this.turn(1)),
    ];
    this.holdOuts = element("div", { class: "cells few" });
    this.root = dialog("Start from an image of the data", "images", [
      element("small", {}, ["Kept aside from training"]),
      this.holdOuts,
      element("div", { class: "bar" }, [element("small", {}, ["Learned from"]), ...controls]),
      element("div", { class: "cells" }, this.cells),
    ]);
  }

  open() {
    this.show();
    this.root.showModal();
    this.loading ??= this.loadHoldOuts();
  }

  // The images that the previews show, one a class, side by side in one picture.
  async loadHoldOuts() {
    const [, height, width] = this.data.shape;
    try {
      const address = liveAddress(["preview", this.data.run, "originals.png"]);
      const strip = await createImageBitmap(await (await fetch(address)).blob());
      for (let x = 0; x + width <= strip.width; x += width) {
        const canvas = element("canvas", { width, height, class: "drawn" });
        canvas.getContext("2d").drawImage(strip, x, 0, width, height, 0, 0, width, height);
        const title = `Start from hold-out image ${x / width + 1}`;
        this.holdOuts.append(button(canvas, title, () => {
          this.root.close();
          canvas.toBlob((blob) => this.on.onHoldOut(blob));
        }));
      }
      strip.close();
    } catch {
      this.holdOuts.append("This run keeps no previews of them.");
    }
  }

  turn(by) {
    const pages = Math.ceil(this.chosen().length / PAGE_OF_IMAGES);
    this.page = (this.page + by + pages) % pages;
    this.show();
  }

  chosen() {
    const all = Array.from({ length: this.data.count }, (_, index) => index);
    return this.label === "" ? all : all.filter((i) => this.labels[i] === Number(this.label));
  }

  show() {
    const chosen = this.chosen();
    const first = this.page * PAGE_OF_IMAGES;
    const last = Math.min(first + PAGE_OF_IMAGES, chosen.length);
    this.place.textContent = `${first + 1}–${last} of ${chosen.length}`;
    this.cells.forEach((cell, i) => {
      const index = chosen[first + i];
      cell.hidden = index === undefined;
      if (cell.hidden) return;
      cell.dataset.index = index;
      cell.title = this.on.nameOf(index);
      cell.setAttribute("aria-label", `Start from ${cell.title}`);
      this.thumbnails.draw(cell.firstChild, index);
    });
  }
}

// Encode an image file with the model of `run`: {vector, picture} or {message}.
async function encodeImage(run, label, blob, drawn) {
  const address = liveAddress(["encode", run], { label, drawn: drawn ? 1 : null });
  try {
    const response = await fetch(address, { method: "POST", body: blob });
    return await response.json();
  } catch {
    return { message: "The image could not be sent. Check that the app still runs, then try again." };
  }
}
