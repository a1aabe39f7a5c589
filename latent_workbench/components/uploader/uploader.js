// A place to drop images or archives, two buttons to choose them, and how far they have come.

import { liveAddress } from "../shared/address.js";
import { element } from "../shared/elements.js";
import { duration, progressOf, size } from "../shared/format.js";
import { chosen, dropped, usable } from "./files.js";
import { ask, Upload } from "./upload.js";

const SECONDS_UP_TO = 90;

/**
 * @typedef {object} UploaderData as Python sends it
 * @property {[string, string]} place the kind of upload, and the session's token
 * @property {string} title
 * @property {string} hint what becomes of folders
 * @property {string} off why nothing can be uploaded, "" where it can
 * @property {{ name: string, bytes: number } | null} kept
 * @property {string[]} endings
 * @property {string} kinds what can be read, for a sentence
 * @property {string} limit
 */

/** @type {WeakMap<object, Uploader>} */
const uploaders = new WeakMap();

/** @param {ComponentCall<UploaderData>} call */
export default function ({ parentElement, data: [data], setTriggerValue }) {
  const uploader = uploaders.get(parentElement) ?? new Uploader(parentElement, data);
  uploaders.set(parentElement, uploader);
  uploader.show(data, () => setTriggerValue("changed", Date.now()));
  return () => uploader.leave();
}

class Uploader {
  /** @type {Upload | null} */
  upload = null;
  left = 0;
  changed = () => {};

  /** @param {HTMLElement} parent @param {UploaderData} data */
  constructor(parent, data) {
    this.data = data;
    this.main = element("div", { class: "main", "data-testid": "upload-state", role: "status" });
    this.note = element("div", { class: "note" });
    this.filled = element("div", { class: "filled" });
    const progress = { class: "bar", role: "progressbar", "aria-label": "Upload" };
    this.bar = element("div", progress, [this.filled]);
    const folder = { webkitdirectory: "" };
    this.inputs = [this.input("upload-files", {}), this.input("upload-folder", folder)];
    this.files = this.button("Choose files", "upload-files", () => {
      this.inputs[0].accept = this.data.endings.join(",");
      this.inputs[0].click();
    });
    this.folder = this.button("Choose a folder", "upload-folder", () => this.inputs[1].click());
    this.cancel = this.button("Cancel", "upload-cancel", () => this.stop());
    this.remove = this.button("Remove", "upload-remove", () => this.discard());
    this.problem = element("div", { class: "problem", "data-testid": "upload-problem", role: "alert" });
    this.place = element("div", { class: "place", "data-testid": "upload-place" }, [
      element("div", { class: "text" }, [this.main, this.note, this.bar]),
      element("div", { class: "buttons" }, [this.files, this.folder, this.cancel, this.remove]),
    ]);
    const title = element("div", { class: "title" }, [data.title]);
    const parts = [title, this.place, ...this.inputs, this.problem];
    this.root = element("div", { class: "uploader", "data-testid": "uploader" }, parts);
    parent.append(this.root);
    this.listen();
  }

  /** @param {UploaderData} data @param {() => void} changed */
  show(data, changed) {
    [this.data, this.changed] = [data, changed];
    this.draw();
  }

  /** Streamlit has taken the element out of the page: what was on its way ends. */
  leave() {
    setTimeout(() => this.root.isConnected || this.stop(), 0);
  }

  /** @param {string} testid @param {import("../shared/elements.js").Attributes} attributes */
  input(testid, attributes) {
    const input = element("input", { type: "file", multiple: "", hidden: "", tabindex: -1, ...attributes });
    input.dataset.testid = `${testid}-input`;
    input.addEventListener("change", () => {
      const files = chosen(input);
      input.value = ""; // the same file may be chosen again
      this.take(files);
    });
    return input;
  }

  /** @param {string} label @param {string} testid @param {() => void} act */
  button(label, testid, act) {
    const button = element("button", { type: "button", "data-testid": testid }, [label]);
    button.onclick = act;
    return button;
  }

  listen() {
    let inside = 0; // entering a child comes before leaving its parent
    /** @param {number} by */
    const over = (by) => {
      inside = Math.max(0, inside + by);
      this.place.classList.toggle("over", inside > 0 && !this.upload);
    };
    this.place.addEventListener("dragenter", () => over(1));
    this.place.addEventListener("dragleave", () => over(-1));
    this.place.addEventListener("dragover", (event) => event.preventDefault());
    this.place.addEventListener("drop", async (event) => {
      event.preventDefault();
      over(-inside);
      if (this.upload || !event.dataTransfer) return;
      try {
        this.take(await dropped(event.dataTransfer));
      } catch {
        this.refuse("The folder could not be read by the browser; choose it with the button.");
      }
    });
    window.addEventListener("pagehide", () => this.stop());
  }

  /** @param {import("./files.js").Named[]} found */
  take(found) {
    if (this.upload || this.data.off || !found.length) return;
    const { files, left } = usable(found, this.data.endings);
    this.left = left;
    this.problem.textContent = "";
    if (!files.length) {
      this.refuse("There are no images in this folder.");
      return;
    }
    this.upload = new Upload(this.data.place, files, {
      progress: (now) => this.draw(now),
      done: () => {
        this.upload = null;
        this.changed();
      },
      refused: (sentence) => this.refuse(sentence),
    });
    this.draw({ sent: 0, total: this.upload.total, seconds: null, checking: false });
  }

  /** @param {string} sentence */
  refuse(sentence) {
    this.upload = null;
    this.problem.textContent = sentence;
    this.draw();
  }

  stop() {
    if (!this.upload) return;
    this.upload.cancel();
    this.upload = null;
    this.draw();
  }

  async discard() {
    this.remove.disabled = true;
    try {
      await ask(liveAddress(this.data.place), "DELETE");
      this.left = 0;
      this.changed();
    } catch (error) {
      this.refuse(/** @type {Error} */ (error).message);
    } finally {
      this.remove.disabled = false;
    }
  }

  /** @param {import("./upload.js").Progress | null} [now] while something is on its way */
  draw(now = null) {
    const { kept, off } = this.data;
    const busy = this.upload !== null;
    if (busy && !now) return; // the next progress draws
    this.place.classList.toggle("busy", busy);
    this.place.classList.toggle("kept", !busy && kept !== null);
    this.bar.hidden = this.cancel.hidden = !busy;
    this.files.hidden = this.folder.hidden = busy || kept !== null;
    this.remove.hidden = busy || kept === null;
    for (const each of [this.files, this.folder, this.remove]) {
      each.disabled = Boolean(off);
      each.title = off;
    }
    if (busy && now) this.drawProgress(now);
    else if (kept) {
      const skipped = this.left ? `${this.left} other ${this.left === 1 ? "file" : "files"} left out` : "";
      this.main.textContent = kept.name;
      this.note.textContent = [size(kept.bytes), skipped].filter(Boolean).join(" · ");
    } else {
      this.main.textContent = "Drop images, a folder or an archive here";
      this.note.textContent = off || `Up to ${this.data.limit}: ${this.data.kinds}. ${this.data.hint}`;
    }
  }

  /** @param {import("./upload.js").Progress} now */
  drawProgress({ sent, total, seconds, checking }) {
    const percent = total ? (100 * sent) / total : 0;
    this.main.textContent = checking ? "Looking at the images" : progressOf(sent, total);
    const left = checking || seconds === null ? "" : `${duration(seconds, SECONDS_UP_TO)} left`;
    this.note.textContent = left;
    this.filled.style.width = `${percent}%`;
    this.bar.setAttribute("aria-valuenow", String(Math.round(percent)));
  }
}
