// What each point is painted with: made anew when colours, filters or the selection change, and not
// for every frame.

export const OPACITY = 0xd8; // of 255
export const FADED = 0x38; // of what is not selected, or left over by a filter: below one half

/**
 * @typedef {object} Look
 * @property {Uint32Array} words colours as 0xAABBGGRR [N]; 0 leaves no pixel
 * @property {Uint8Array | null} shapes which of the `MARKS` [N]; null where all are discs
 * @property {boolean} faded whether some are faded: those lie below the others
 *
 * @typedef {object} Paint
 * @property {(i: number) => number} color as 0x..BBGGRR
 * @property {(i: number) => number} shape
 * @property {(i: number) => boolean} isShown
 */

/**
 * @param {number} count
 * @param {Paint} legend
 * @param {Uint8Array | null} passing 0 for what a filter leaves out
 * @param {boolean} hides true where a filter hides what it leaves out, and does not only fade it
 * @param {Uint8Array | null} selected 1 for each selected row
 * @returns {Look}
 */
export function lookOf(count, legend, passing, hides, selected) {
  const words = new Uint32Array(count);
  const shapes = new Uint8Array(count);
  let [faded, marked] = [false, false];
  for (let i = 0; i < count; i++) {
    const left = passing !== null && !passing[i];
    if ((left && hides) || !legend.isShown(i)) continue;
    const faint = left || (selected !== null && !selected[i]);
    words[i] = ((legend.color(i) & 0xffffff) | ((faint ? FADED : OPACITY) << 24)) >>> 0;
    shapes[i] = legend.shape(i);
    faded ||= faint;
    marked ||= shapes[i] > 0;
  }
  return { words, shapes: marked ? shapes : null, faded };
}
