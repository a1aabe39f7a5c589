// The marks of points: ten colours, and of more categories every ten have another mark.

const FEW = 6000; // up to so many points are drawn larger

/** Half the width of a mark in pixels of the page. @param {number} count of all points */
export function radiusOf(count) {
  return count <= FEW ? 2.6 : 1.5;
}

/**
 * Disc, ring, upright cross and slanted cross.
 *
 * @type {((x: number, y: number) => boolean)[]} whether a pixel belongs to it, from −1 to 1
 */
export const MARKS = [
  (x, y) => Math.hypot(x, y) <= 1,
  (x, y) => Math.abs(Math.hypot(x, y) - 0.8) <= 0.2,
  (x, y) => Math.min(Math.abs(x), Math.abs(y)) <= 0.25,
  (x, y) => Math.abs(Math.abs(x) - Math.abs(y)) <= 0.25,
];

/** The same for a fragment of a shader. */
export const MARKS_IN_GLSL = `
bool within(int mark, vec2 p) {
  float away = length(p);
  if (mark == 1) return abs(away - 0.8) <= 0.2;
  if (mark == 2) return min(abs(p.x), abs(p.y)) <= 0.25;
  if (mark == 3) return abs(abs(p.x) - abs(p.y)) <= 0.25;
  return away <= 1.0;
}`;

/**
 * Offsets x, y in turns of all pixels of a mark.
 *
 * @param {number} radius
 * @param {(x: number, y: number) => boolean} within
 */
export function markOf(radius, within) {
  const offsets = [];
  const reach = Math.floor(radius);
  for (let y = -reach; y <= reach; y++) {
    for (let x = -reach; x <= reach; x++) if (within(x / radius, y / radius)) offsets.push(x, y);
  }
  return Int32Array.from(offsets);
}
