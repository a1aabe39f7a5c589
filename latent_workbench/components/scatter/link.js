// Two views of the same images: what is pointed at or selected in one shows in the other.

const LINKED = "encodings-linked";

class Link {
  // receive(kind, rows): "hover", "mark" or "select", and this view's rows of the same images.
  constructor(receive) {
    this.listen = ({ detail: { from, group, kind, ids } }) => {
      if (from !== this && group === this.group) receive(kind, this.rowsOf(ids));
    };
    window.addEventListener(LINKED, this.listen);
  }

  // link: {group, ids}, ids the place of every row in the data set as base64 of int32; or null.
  join(link) {
    this.group = link?.group;
    this.ids = link ? fromBase64(link.ids, Int32Array) : null;
    this.rows = null;
  }

  close() {
    window.removeEventListener(LINKED, this.listen);
  }

  tell(kind, rows) {
    if (!this.group) return;
    const detail = { from: this, group: this.group, kind, ids: Int32Array.from(rows, (i) => this.ids[i]) };
    window.dispatchEvent(new CustomEvent(LINKED, { detail }));
  }

  rowsOf(ids) {
    this.rows ??= new Map(Array.from(this.ids, (id, row) => [id, row]));
    return Int32Array.from(ids, (id) => this.rows.get(id) ?? -1).filter((row) => row >= 0);
  }
}
