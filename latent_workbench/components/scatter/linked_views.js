// Two views of the same images: what is pointed at or selected in one shows in the other.

const LINKED = "encodings-linked";

/** @typedef {"hover" | "mark" | "select"} Kind */

export class LinkedView {
  /** @type {string | undefined} */
  group;
  /** @type {Int32Array} */
  ids = new Int32Array();
  /** This view's row of each image. @type {Map<number, number> | null} */
  rows = null;

  /** @param {(kind: Kind, rows: Int32Array) => void} receive this view's rows of what another one tells of */
  constructor(receive) {
    /** @param {Event} event */
    this.listen = (event) => {
      const { from, group, kind, ids } = /** @type {CustomEvent} */ (event).detail;
      if (from !== this && group === this.group) receive(kind, this.rowsOf(ids));
    };
    window.addEventListener(LINKED, this.listen);
  }

  /**
   * @param {string | undefined} group
   * @param {Int32Array} ids the place of every row
   */
  join(group, ids) {
    this.group = group;
    this.ids = ids;
    this.rows = null;
  }

  close() {
    window.removeEventListener(LINKED, this.listen);
  }

  /** @param {Kind} kind @param {ArrayLike<number>} rows */
  broadcast(kind, rows) {
    if (!this.group) return;
    const ids = Int32Array.from(rows, (i) => this.ids[i]);
    const detail = { from: this, group: this.group, kind, ids };
    window.dispatchEvent(new CustomEvent(LINKED, { detail }));
  }

  /** @param {Int32Array} ids */
  rowsOf(ids) {
    const rows = (this.rows ??= new Map(Array.from(this.ids, (id, row) => [id, row])));
    return ids.map((id) => rows.get(id) ?? -1).filter((row) => row >= 0);
  }
}
