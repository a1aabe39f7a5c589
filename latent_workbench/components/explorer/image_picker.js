// A window of images to start from: those that the model has encoded, and those kept aside.

import { drawTile } from "../shared/canvas.js";
import { button, choice, dialog, element, pictureButton } from "../shared/elements.js";
import { tileOf } from "../shared/thumbnails.js";

/** @import { Explorer } from "./explorer.js" */
/** @import { StartingPoints } from "./starting_points.js" */

const PAGE_OF_IMAGES = 60;

export class ImagePicker {
  page = 0;
  label = "";
  /** @type {Promise<void> | undefined} */
  loading;

  /** @param {Explorer} explorer @param {StartingPoints} starts */
  constructor({ data, engine, thumbnails }, starts) {
    this.data = data;
    this.server = engine.server;
    this.thumbnails = thumbnails;
    this.starts = starts;
    this.cells = Array.from({ length: PAGE_OF_IMAGES }, () =>
      pictureButton("", ({ dataset }) => {
        this.root.close();
        starts.pick(Number(dataset.index));
      }),
    );
    this.place = element("small");
    this.holdOuts = element("div", { class: "cells few" });
    this.root = dialog("Start from an image of the data", "images", [
      ...(this.server ? [element("small", {}, ["Kept aside from training"]), this.holdOuts] : []),
      element("div", { class: "bar" }, [
        element("small", {}, ["Learned from"]),
        ...this.filter(),
        button("‹", "Images before these", () => this.turn(-1)),
        this.place,
        button("›", "Images after these", () => this.turn(1)),
      ]),
      element("div", { class: "cells" }, this.cells),
    ]);
  }

  /** A choice of labels, where there are several. */
  filter() {
    const present = [...new Set(this.starts.labels ?? [])]
      .filter((label) => label >= 0)
      .sort((a, b) => a - b);
    if (present.length < 2) return [];
    /** @type {[number | string, string][]} */
    const options = present.map((label) => [label, this.data.label_names[label] ?? `label ${label}`]);
    return [
      choice([["", "All labels"], ...options], "Show images with this label", (label) => {
        this.label = label;
        this.page = 0;
        this.show();
      }),
    ];
  }

  open() {
    this.show();
    this.root.showModal();
    this.loading ??= this.loadHoldOuts();
  }

  /** The images that the previews show, one a class, side by side in one picture. */
  async loadHoldOuts() {
    const [, height, width] = this.data.shape;
    const strip = await this.server?.holdOuts();
    if (!strip) {
      this.holdOuts.append("This run keeps no previews of them.");
      return;
    }
    const columns = Math.floor(strip.width / width);
    for (let i = 0; i < columns; i++) {
      const name = this.data.hold_outs?.[i] ?? `hold-out image ${i + 1}`;
      const cell = pictureButton(`Start from ${name}`, ({ picture }) => {
        this.root.close();
        picture.toBlob((blob) => blob && this.starts.encode(blob, false));
      });
      drawTile(cell.picture, tileOf(strip, i, { columns, width, height }));
      this.holdOuts.append(cell);
    }
    strip.close();
  }

  /** @param {number} by */
  turn(by) {
    const pages = Math.ceil(this.chosen().length / PAGE_OF_IMAGES);
    this.page = (this.page + by + pages) % pages;
    this.show();
  }

  chosen() {
    const all = Array.from({ length: this.data.count }, (_, index) => index);
    return this.label === "" ? all : all.filter((i) => this.starts.labels?.[i] === Number(this.label));
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
      cell.dataset.index = String(index);
      cell.title = this.starts.nameOf(index);
      cell.setAttribute("aria-label", `Start from ${cell.title}`);
      this.thumbnails.draw(cell.picture, index);
    });
  }
}
