// Points in space, seen from a side that the hand turns: the view is a plane of points again.

import { clamp } from "../shared/vectors.js";
import { Points } from "./plane.js";

const SHADES = 512; // steps of depth by which the points are ordered
const STEEPEST = Math.PI / 2;
const AXES = [0, 1, 2];

export class Space {
  yaw = -0.5;
  pitch = 0.35;

  /**
   * @param {Float32Array} numbers [3 N]; the first axis goes across, the second upwards, the third
   *   towards the eye while nothing has been turned
   */
  constructor(numbers) {
    this.numbers = numbers;
    this.count = numbers.length / 3;
    this.center = AXES.map((axis) => this.middle(axis));
    this.radius = this.reach();
  }

  /** @param {number} axis */
  middle(axis) {
    let [low, high] = [Infinity, -Infinity];
    for (let i = axis; i < this.numbers.length; i += 3) {
      low = Math.min(low, this.numbers[i]);
      high = Math.max(high, this.numbers[i]);
    }
    return this.count ? (low + high) / 2 : 0;
  }

  reach() {
    const [x, y, z] = this.center;
    let most = 0;
    for (let i = 0; i < this.numbers.length; i += 3) {
      const [dx, dy, dz] = [this.numbers[i] - x, this.numbers[i + 1] - y, this.numbers[i + 2] - z];
      most = Math.max(most, dx * dx + dy * dy + dz * dz);
    }
    return Math.sqrt(most) || 1;
  }

  /** @param {number} yaw @param {number} pitch in radians */
  turn(yaw, pitch) {
    this.yaw += yaw;
    this.pitch = clamp(this.pitch + pitch, -STEEPEST, STEEPEST);
  }

  /** What an axis's unit is across, upwards and towards the eye: three rows of three. */
  rotation() {
    const [cy, sy, cp, sp] = [this.yaw, this.pitch].flatMap((angle) => [Math.cos(angle), Math.sin(angle)]);
    return [
      [cy, sp * sy, -cp * sy],
      [0, cp, sp],
      [sy, -sp * cy, cp * cy],
    ];
  }

  /** Where (x, y, z) is seen: [across, upwards]. @param {number[]} point @returns {[number, number]} */
  project(point) {
    const rows = this.rotation();
    /** @param {number} side */
    const along = (side) =>
      point.reduce((sum, value, axis) => sum + (value - this.center[axis]) * rows[axis][side], 0);
    return [along(0), along(1)];
  }

  /** Where row i is seen. @param {number} i */
  at(i) {
    return this.project([...this.numbers.subarray(3 * i, 3 * i + 3)]);
  }

  /** Both ends of an axis through the middle of the points. @param {number} axis */
  ends(axis) {
    return [-1, 1].map((sign) =>
      this.project(this.center.map((value, k) => value + (k === axis ? sign * this.radius : 0))),
    );
  }

  /**
   * The points as they are seen, those that are farther away first.
   *
   * @param {number} [step] of a sample: every so manieth row alone is looked at
   */
  seen(step = 1) {
    const { numbers, count, radius, center } = this;
    const flat = new Float32Array(2 * count);
    const depths = new Uint16Array(count);
    const starts = new Uint32Array(SHADES + 1);
    const [[xa, xu, xt], [, yu, yt], [za, zu, zt]] = this.rotation();
    for (let i = 0; i < count; i += step) {
      const x = numbers[3 * i] - center[0];
      const y = numbers[3 * i + 1] - center[1];
      const z = numbers[3 * i + 2] - center[2];
      flat[2 * i] = x * xa + z * za;
      flat[2 * i + 1] = x * xu + y * yu + z * zu;
      const depth = (x * xt + y * yt + z * zt) / radius;
      depths[i] = clamp(Math.floor(((depth + 1) / 2) * SHADES), 0, SHADES - 1);
      starts[depths[i] + 1] += 1;
    }
    for (let shade = 0; shade < SHADES; shade++) starts[shade + 1] += starts[shade];
    const points = new Points(flat, { low: -radius, high: radius });
    points.step = step;
    points.farFirst = new Uint32Array(Math.ceil(count / step));
    for (let i = 0; i < count; i += step) points.farFirst[starts[depths[i]]++] = i;
    points.nearness = (i) => depths[i] / SHADES;
    return points;
  }
}
