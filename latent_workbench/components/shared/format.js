// Numbers, sizes and durations as a person reads them.

const MB = 1e6;

/** With its sign, also where it is positive. @param {number} value @param {number} [digits] */
export function signed(value, digits = 2) {
  const sign = value > 0 ? "+" : value < 0 ? "−" : "";
  return `${sign}${Math.abs(value).toFixed(digits)}`;
}

/** With as many digits as count. @param {number} value @param {number} digits */
export function significant(value, digits) {
  return String(Number(value.toPrecision(digits))).replace("-", "−");
}

/**
 * At most so many letters, as Python's `shortened`: without the folders, then without the middle.
 *
 * @param {string} name
 * @param {number} most
 */
export function shortened(name, most) {
  if (name.length <= most) return name;
  const last = name.slice(name.lastIndexOf("/") + 1);
  if (last.length + 2 <= most) return `…/${last}`;
  if (last.length <= most) return last;
  const before = Math.floor((most - 1) / 3);
  return `${last.slice(0, before)}…${last.slice(last.length - (most - 1 - before))}`;
}

/** With a thin space between thousands. @param {number} number */
export function grouped(number) {
  return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, "\u2009");
}

/** @param {number} bytes */
export function size(bytes) {
  const mb = bytes / MB;
  if (mb < 0.1) return `${Math.max(1, Math.round(bytes / 1000))} kB`;
  return `${mb < 100 ? mb.toFixed(1) : Math.round(mb)} MB`;
}

/** "12.4 of 400 MB" @param {number} sent @param {number} total */
export function progressOf(sent, total) {
  return total < 0.1 * MB ? size(total) : `${size(sent).replace(/ MB$/, "")} of ${size(total)}`;
}

/** @param {number} seconds @param {number} [secondsUpTo] from there on in minutes */
export function duration(seconds, secondsUpTo = 60) {
  if (seconds < secondsUpTo) return `${Math.max(1, Math.ceil(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
