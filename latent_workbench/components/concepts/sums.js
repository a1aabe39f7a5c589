// Convolution of one picture with one kernel, as networks have it (no kernel is turned around), and its
// transpose. Pictures are square, row after row.

/**
 * @typedef {object} Setting
 * @property {number} size n, a side of the input
 * @property {number} kernel k
 * @property {number} stride s
 * @property {number} padding p
 */

/** A side of the output of a convolution. @param {Setting} setting */
export function convolvedSize({ size, kernel, stride, padding }) {
  return Math.floor((size + 2 * padding - kernel) / stride) + 1;
}

/** A side of the output of its transpose. @param {Setting} setting */
export function transposedSize({ size, kernel, stride, padding }) {
  return (size - 1) * stride - 2 * padding + kernel;
}

/**
 * The products that make one output of a convolution.
 * @param {ArrayLike<number>} x @param {ArrayLike<number>} w @param {Setting} setting @param {number} row @param {number} column of the output
 */
export function gathered(x, w, { size, kernel, stride, padding }, row, column) {
  const found = [];
  for (let a = 0; a < kernel; a++) {
    for (let b = 0; b < kernel; b++) {
      const [i, j] = [row * stride - padding + a, column * stride - padding + b];
      const inside = i >= 0 && j >= 0 && i < size && j < size;
      found.push({ i, j, value: inside ? x[i * size + j] : 0, weight: w[a * kernel + b], inside });
    }
  }
  return found;
}

/**
 * The products that make one output of the transpose: of each input whose kernel reaches it.
 * @param {ArrayLike<number>} x @param {ArrayLike<number>} w @param {Setting} setting @param {number} row @param {number} column of the output
 */
export function scattered(x, w, { size, kernel, stride, padding }, row, column) {
  const found = [];
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      const [a, b] = [row + padding - i * stride, column + padding - j * stride];
      if (a < 0 || b < 0 || a >= kernel || b >= kernel) continue;
      found.push({ i, j, value: x[i * size + j], weight: w[a * kernel + b], inside: true });
    }
  }
  return found;
}

/** @typedef {typeof gathered} Products */

/** @param {ReturnType<Products>} products */
export function summed(products) {
  return products.reduce((sum, { value, weight }) => sum + value * weight, 0);
}

/** The whole output. @param {ArrayLike<number>} x @param {ArrayLike<number>} w @param {Setting} setting @param {boolean} transposed */
export function output(x, w, setting, transposed) {
  const side = transposed ? transposedSize(setting) : convolvedSize(setting);
  const products = transposed ? scattered : gathered;
  return Float64Array.from({ length: side * side }, (_, k) =>
    summed(products(x, w, setting, Math.floor(k / side), k % side)),
  );
}

/** A square picture in fewer pixels: means of blocks. @param {ArrayLike<number>} x @param {number} size @param {number} smaller */
export function shrunk(x, size, smaller) {
  return Float64Array.from({ length: smaller * smaller }, (_, k) => {
    const [top, bottom] = [Math.floor(k / smaller), Math.floor(k / smaller) + 1].map((each) =>
      Math.floor((each * size) / smaller),
    );
    const [left, right] = [k % smaller, (k % smaller) + 1].map((each) => Math.floor((each * size) / smaller));
    let [sum, count] = [0, 0];
    for (let i = top; i < bottom; i++) {
      for (let j = left; j < right; j++) {
        sum += x[i * size + j];
        count += 1;
      }
    }
    return sum / count;
  });
}
