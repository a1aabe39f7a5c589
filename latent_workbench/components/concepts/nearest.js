// How near pictures come to real ones.

/** The lengths of pictures that lie one after the other. @param {ArrayLike<number>} all @param {number} size of each */
export function lengths(all, size) {
  return Float64Array.from({ length: all.length / size }, (_, i) => {
    let sum = 0;
    for (let k = 0; k < size; k++) sum += all[i * size + k] ** 2;
    return Math.sqrt(sum);
  });
}

/**
 * How unlike a picture is to the one of many real ones that is most like it: 1 − cos of the angle
 * between them, which neither light nor contrast changes.
 *
 * @param {ArrayLike<number>} picture [size]
 * @param {ArrayLike<number>} real [n · size]
 * @param {Float64Array} long their `lengths`
 */
export function unlikeness(picture, real, long) {
  const size = picture.length;
  const [own] = lengths(picture, size);
  let most = 0;
  for (let i = 0; i < long.length; i++) {
    let dot = 0;
    for (let k = 0; k < size; k++) dot += picture[k] * real[i * size + k];
    if (long[i] > 0 && own > 0) most = Math.max(most, dot / (long[i] * own));
  }
  return 1 - most;
}

/** The middle one, or the mean of the two in the middle. @param {number[]} values */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** mean + root · noise, for a lower triangular root [n, n]. @param {ArrayLike<number>} mean @param {ArrayLike<number>} root @param {ArrayLike<number>} noise */
export function correlated(mean, root, noise) {
  const n = mean.length;
  return Float32Array.from({ length: n }, (_, i) => {
    let sum = mean[i];
    for (let j = 0; j <= i; j++) sum += root[i * n + j] * noise[j];
    return sum;
  });
}
