// A place to drop images or a .zip, two buttons to choose them, and how far they have come.

const uploaders = new WeakMap();

export default function ({ parentElement, data: [data], setTriggerValue }) {
  let uploader = uploaders.get(parentElement);
  if (!uploader) {
    uploader = new Uploader(parentElement);
    uploaders.set(parentElement, uploader);
  }
  uploader.show(data, () => setTriggerValue("changed", Date.now()));
  return () => uploader.leave();
}

class Uploader {
  constructor(parent) {
    this.root = make("div", "uploader", parent);
    this.root.dataset.testid = "uploader";
    make("div", "title", this.root).textContent = "Upload a .zip or several images";
    this.place = make("div", "place", this.root);
    this.place.dataset.testid = "upload-place";
    this.text = make("div", "text", this.place);
    this.main = make("div", "main", this.text);
    this.main.dataset.testid = "upload-state";
    this.main.setAttribute("role", "status");
    this.note = make("div", "note", this.text);
    this.bar = make("div", "bar", this.text);
    this.bar.setAttribute("role", "progressbar");
    this.bar.setAttribute("aria-label", "Upload");
    this.filled = make("div", "filled", this.bar);
    this.buttons = make("div", "buttons", this.place);
    this.files = this.chooser("Choose files", "upload-files", {});
    this.folder = this.chooser("Choose a folder", "upload-folder", { webkitdirectory: "" });
    this.cancel = this.button("Cancel", "upload-cancel", () => this.stop());
    this.remove = this.button("Remove", "upload-remove", () => this.takeBack());
    this.problem = make("div", "problem", this.root);
    this.problem.dataset.testid = "upload-problem";
    this.problem.setAttribute("role", "alert");
    this.sending = null;
    this.left = 0;
    this.listen();
  }

  show(data, changed) {
    [this.data, this.changed] = [data, changed];
    this.draw();
  }

  // Streamlit has taken the element out of the page: what was on its way ends.
  leave() {
    setTimeout(() => this.root.isConnected || this.stop(), 0);
  }

  chooser(label, testid, attributes) {
    const input = make("input", "", this.root);
    Object.assign(input, { type: "file", multiple: true, hidden: true, tabIndex: -1 });
    for (const [name, value] of Object.entries(attributes)) input.setAttribute(name, value);
    input.dataset.testid = `${testid}-input`;
    input.addEventListener("change", () => {
      const files = chosen(input);
      input.value = ""; // the same file may be chosen again
      this.take(files);
    });
    return this.button(label, testid, () => {
      input.accept = attributes.webkitdirectory === undefined ? this.data.endings.join(",") : "";
      input.click();
    });
  }

  button(label, testid, act) {
    const button = make("button", "", this.buttons);
    Object.assign(button, { type: "button", textContent: label });
    button.dataset.testid = testid;
    button.addEventListener("click", act);
    return button;
  }

  listen() {
    let inside = 0; // entering a child comes before leaving its parent
    const over = (by) => {
      inside = Math.max(0, inside + by);
      this.place.classList.toggle("over", inside > 0 && !this.sending);
    };
    this.place.addEventListener("dragenter", () => over(1));
    this.place.addEventListener("dragleave", () => over(-1));
    this.place.addEventListener("dragover", (event) => event.preventDefault());
    this.place.addEventListener("drop", async (event) => {
      event.preventDefault();
      over(-inside);
      if (this.sending) return;
      try {
        this.take(await dropped(event.dataTransfer));
      } catch {
        this.refuse("The folder could not be read by the browser; choose it with the button.");
      }
    });
    window.addEventListener("pagehide", () => this.stop());
  }

  take(found) {
    if (this.sending || this.data.off || !found.length) return;
    const { files, left } = usable(found, this.data.endings);
    this.left = left;
    this.problem.textContent = "";
    if (!files.length) {
      this.refuse("There are no images in this folder.");
      return;
    }
    this.sending = new Sending(this.data.token, files, {
      progress: (now) => this.draw(now),
      done: () => this.after(),
      refused: (sentence) => this.refuse(sentence),
    });
    this.draw({ sent: 0, total: this.sending.total, seconds: null, checking: false });
  }

  after() {
    this.sending = null;
    this.changed();
  }

  refuse(sentence) {
    this.sending = null;
    this.problem.textContent = sentence;
    this.draw();
  }

  stop() {
    if (!this.sending) return;
    this.sending.cancel();
    this.sending = null;
    this.draw();
  }

  async takeBack() {
    this.remove.disabled = true;
    try {
      await ask(liveAddress(["uploads", this.data.token]), "DELETE");
      this.left = 0;
      this.changed();
    } catch (error) {
      this.refuse(error.message);
    } finally {
      this.remove.disabled = false;
    }
  }

  draw(now = null) {
    const { kept, limit, off } = this.data;
    const busy = this.sending !== null;
    if (busy && !now) return; // the next progress draws
    this.place.classList.toggle("busy", busy);
    this.place.classList.toggle("kept", !busy && kept !== null);
    this.bar.hidden = !busy;
    for (const each of [this.files, this.folder]) each.hidden = busy || kept !== null;
    this.cancel.hidden = !busy;
    this.remove.hidden = busy || kept === null;
    for (const each of [this.files, this.folder, this.remove]) {
      Object.assign(each, { disabled: Boolean(off), title: off });
    }
    const skipped = this.left ? `${this.left} other ${this.left === 1 ? "file" : "files"} left out` : "";
    if (busy) {
      const done = now.total ? now.sent / now.total : 0;
      this.main.textContent = now.checking ? "Looking at the images" : share(now.sent, now.total);
      this.note.textContent = now.checking || now.seconds === null ? "" : `${duration(now.seconds)} left`;
      this.filled.style.width = `${100 * done}%`;
      this.bar.setAttribute("aria-valuenow", Math.round(100 * done));
    } else if (kept) {
      this.main.textContent = kept.name;
      this.note.textContent = [size(kept.bytes), skipped].filter(Boolean).join(" · ");
    } else {
      this.main.textContent = "Drop images, a folder or a .zip here";
      this.note.textContent = off || `Up to ${limit}. Folders become labels.`;
    }
  }
}

function make(tag, name, parent) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  return parent.appendChild(element);
}
