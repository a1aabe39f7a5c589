// What the server tells of a run (latent_workbench/live/progress.py), and the curves made of it.

/**
 * @typedef {object} Series points of one curve
 * @property {number[]} step
 * @property {number[]} time
 * @property {number[]} y
 *
 * @typedef {{ step: number, time: number, value: number }} BetaChange set by hand
 * @typedef {{ step: number, time: number, kind: string, message: string }} Warning
 *
 * @typedef {object} News
 * @property {boolean} [restart] true where everything before is forgotten
 * @property {boolean} [decimated] true where points were left out
 * @property {Record<string, Series>} [train]
 * @property {Record<string, Series>} [validation]
 * @property {BetaChange[]} [changes]
 * @property {Warning[]} [marks]
 * @property {{ step?: number[], values?: number[][] }} [kl] per dimension
 * @property {number[]} [previews] steps
 * @property {Status} [status]
 * @property {About} [run]
 * @property {string} [kind] "error" where there is nothing but a `message`
 * @property {string} [message]
 *
 * @typedef {object} Status
 * @property {string} state
 * @property {number} [step]
 * @property {number} [total_steps]
 * @property {number} [images_per_s]
 * @property {number | null} [seconds_left]
 * @property {string} [message]
 * @property {string} [host]
 *
 * @typedef {object} About
 * @property {number} [epochs]
 * @property {number[]} [image_shape]
 * @property {boolean} [originals] true where the run keeps a picture of them
 * @property {boolean} [corrupted]
 *
 * @typedef {{ axis: "step" | "time", low: number, high: number }} Limits a stretch of an axis
 */

/** The curves by their name, such as "train/kl". */
export class Curves {
  /** @type {Map<string, Series>} */
  series = new Map();

  clear() {
    this.series.clear();
  }

  /** @param {News} news */
  add(news) {
    for (const [split, terms] of Object.entries({ train: news.train, validation: news.validation })) {
      for (const [term, more] of Object.entries(terms ?? {})) {
        const name = `${split}/${term}`;
        const known = this.series.get(name);
        if (!known) this.series.set(name, more);
        else {
          known.step.push(...more.step);
          known.time.push(...more.time);
          known.y.push(...more.y);
        }
      }
    }
  }

  /** @param {string} name */
  has(name) {
    return this.series.has(name);
  }

  /** @param {string} name */
  get(name) {
    const found = this.series.get(name);
    if (!found) throw new Error(`There is no curve ${name}.`);
    return found;
  }

  names() {
    return [...this.series.keys()];
  }

  /** How many points each has. */
  lengths() {
    return [...this.series.values()].map(({ y }) => y.length);
  }

  lastTime() {
    return Math.max(0, ...[...this.series.values()].map(({ time }) => time[time.length - 1]));
  }

  /**
   * Where a curve is at a step: its first point from there on, or its last.
   * @param {string} name @param {number} step
   */
  heightAt(name, step) {
    const curve = this.series.get(name);
    if (!curve) return 0;
    const after = curve.step.findIndex((each) => each >= step);
    return curve.y[after < 0 ? curve.y.length - 1 : after];
  }
}

/** @typedef {"step" | "epoch" | "time"} Abscissa */

/**
 * Steps and times of points, in the unit of an axis.
 *
 * @param {{ step: number[], time: number[] }} points
 * @param {Abscissa} axis
 * @param {{ stepsPerEpoch: number | null, minutes: boolean }} units
 */
export function abscissa({ step, time }, axis, units) {
  const scale = unitOf(axis, units);
  return (axis === "time" ? time : step).map((value) => value / scale);
}

/**
 * How many steps or seconds one unit of an axis is.
 * @param {Abscissa} axis @param {{ stepsPerEpoch: number | null, minutes: boolean }} units
 */
export function unitOf(axis, { stepsPerEpoch, minutes }) {
  if (axis === "time") return minutes ? 60 : 1;
  return axis === "epoch" ? stepsPerEpoch || 1 : 1;
}

/** @param {number[][]} rows */
export function transposed(rows) {
  return rows[rows.length - 1].map((_, k) => rows.map((row) => row[k]));
}

/** Ticks at whole numbers from 1 to `count`, at most so many. @param {number} count @param {number} [most] */
export function wholeTicks(count, most = 8) {
  const steps = [1, 2, 4, 5, 8, 10, 16, 20, 32, 50, 64, 100, 128, 200, 256, 512];
  const tick = steps.find((each) => count / each <= most) ?? 1024;
  return { tick0: tick === 1 ? 1 : 0, dtick: tick };
}

/** A sentence in lines that a label of a chart holds. @param {string} text */
export function wrapped(text) {
  return text.replaceAll("<", "&lt;").replace(/(.{36}\S*)\s/g, "$1<br>");
}

/** @param {string} color "#rrggbb" */
export function isDark(color) {
  const [r, g, b] = [1, 3, 5].map((i) => Number.parseInt(color.slice(i, i + 2), 16));
  return 0.299 * r + 0.587 * g + 0.114 * b < 128;
}
