// The points as SVG: each mark a shape of its own, in the order in which they are painted.

import { radiusOf } from "./marks.js";

/** The marks of `MARKS` within a circle of 1, as paths. @type {string[]} */
const PATHS = [
  "M-1 0A1 1 0 0 1 1 0A1 1 0 0 1 -1 0Z",
  "M-1 0A1 1 0 0 1 1 0A1 1 0 0 1 -1 0ZM-.6 0A.6 .6 0 0 0 .6 0A.6 .6 0 0 0 -.6 0Z",
  "M-.25 -1H.25V-.25H1V.25H.25V1H-.25V.25H-1V-.25H-.25Z",
  "M-.82 -1L0 -.25L.82 -1L1 -.82L.25 0L1 .82L.82 1L0 .25L-.82 1L-1 .82L-.25 0L-1 -.82Z",
];

/**
 * @param {import("../shared/svg_pen.js").SvgPen} pen
 * @param {import("./renderer.js").Scene} scene
 */
export function writePoints(pen, { viewport, pointsOf, look }) {
  const points = pointsOf(1);
  const radius = radiusOf(points.count);
  const { numbers, farFirst, nearness } = points;
  for (const faded of look.faded ? [true, false] : [false]) {
    for (let k = 0; k < points.count; k++) {
      const i = farFirst ? farFirst[k] : k;
      const word = look.words[i];
      if (word < 0x1000000 || word < 0x80000000 !== faded) continue;
      const [x, y] = viewport.toPixels(numbers[2 * i], numbers[2 * i + 1]);
      if (x < -radius || y < -radius || x > viewport.width + radius || y > viewport.height + radius) continue;
      const opacity = ((word >>> 24) / 255) * (farFirst ? 0.4 + 0.6 * nearness(i) : 1);
      const color = [word & 0xff, (word >> 8) & 0xff, (word >> 16) & 0xff];
      pen.add("path", {
        d: PATHS[look.shapes?.[i] ?? 0],
        transform: `translate(${x.toFixed(1)} ${y.toFixed(1)}) scale(${radius})`,
        fill: `#${color.map((part) => part.toString(16).padStart(2, "0")).join("")}`,
        "fill-opacity": opacity.toFixed(2),
      });
    }
  }
}
