// The few loops in which a decoder spends its time, over flat arrays of float32. Products of matrices
// are made four rows by four columns at a time: sixteen sums stay in registers, and each number that
// is read is used four times.

/**
 * c = a · b for a [rows, inner] and b [inner, columns]; rows of `b` may lie `step` apart.
 *
 * @param {Float32Array} c [rows, columns]
 * @param {Float32Array} a @param {number} aStart
 * @param {Float32Array} b @param {number} bStart
 * @param {number} cStart
 * @param {number} rows @param {number} inner @param {number} columns
 */
export function product(c, cStart, a, aStart, b, bStart, rows, inner, columns) {
  const wholeRows = rows - (rows % 4);
  const wholeColumns = columns - (columns % 4);
  for (let i = 0; i < wholeRows; i += 4) {
    const a0 = aStart + i * inner;
    for (let j = 0; j < wholeColumns; j += 4) {
      tile(c, cStart + i * columns + j, a, a0, b, bStart + j, inner, columns);
    }
    for (let j = wholeColumns; j < columns; j++) {
      for (let r = 0; r < 4; r++) {
        c[cStart + (i + r) * columns + j] = along(a, a0 + r * inner, b, bStart + j, inner, columns);
      }
    }
  }
  for (let i = wholeRows; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      c[cStart + i * columns + j] = along(a, aStart + i * inner, b, bStart + j, inner, columns);
    }
  }
}

/**
 * Four rows by four columns of the product.
 * @param {Float32Array} c @param {number} to
 * @param {Float32Array} a @param {number} row
 * @param {Float32Array} b @param {number} column
 * @param {number} inner @param {number} columns
 */
function tile(c, to, a, row, b, column, inner, columns) {
  let [c00, c01, c02, c03] = [0, 0, 0, 0];
  let [c10, c11, c12, c13] = [0, 0, 0, 0];
  let [c20, c21, c22, c23] = [0, 0, 0, 0];
  let [c30, c31, c32, c33] = [0, 0, 0, 0];
  const [row1, row2, row3] = [row + inner, row + 2 * inner, row + 3 * inner];
  for (let k = 0, at = column; k < inner; k++, at += columns) {
    const b0 = b[at];
    const b1 = b[at + 1];
    const b2 = b[at + 2];
    const b3 = b[at + 3];
    const x0 = a[row + k];
    c00 += x0 * b0;
    c01 += x0 * b1;
    c02 += x0 * b2;
    c03 += x0 * b3;
    const x1 = a[row1 + k];
    c10 += x1 * b0;
    c11 += x1 * b1;
    c12 += x1 * b2;
    c13 += x1 * b3;
    const x2 = a[row2 + k];
    c20 += x2 * b0;
    c21 += x2 * b1;
    c22 += x2 * b2;
    c23 += x2 * b3;
    const x3 = a[row3 + k];
    c30 += x3 * b0;
    c31 += x3 * b1;
    c32 += x3 * b2;
    c33 += x3 * b3;
  }
  c[to] = c00;
  c[to + 1] = c01;
  c[to + 2] = c02;
  c[to + 3] = c03;
  c[to + columns] = c10;
  c[to + columns + 1] = c11;
  c[to + columns + 2] = c12;
  c[to + columns + 3] = c13;
  c[to + 2 * columns] = c20;
  c[to + 2 * columns + 1] = c21;
  c[to + 2 * columns + 2] = c22;
  c[to + 2 * columns + 3] = c23;
  c[to + 3 * columns] = c30;
  c[to + 3 * columns + 1] = c31;
  c[to + 3 * columns + 2] = c32;
  c[to + 3 * columns + 3] = c33;
}

/**
 * One number of the product.
 * @param {Float32Array} a @param {number} row
 * @param {Float32Array} b @param {number} column
 * @param {number} inner @param {number} columns
 */
function along(a, row, b, column, inner, columns) {
  let sum = 0;
  for (let k = 0, at = column; k < inner; k++, at += columns) sum += a[row + k] * b[at];
  return sum;
}

/**
 * y = x · wᵀ + bias for x [rows, inputs] and w [outputs, inputs].
 *
 * @param {Float32Array} y @param {Float32Array} x @param {Float32Array} w
 * @param {Float32Array | null} bias
 * @param {number} inputs
 */
export function linear(y, x, w, bias, inputs) {
  const outputs = w.length / inputs;
  for (let row = 0; row < x.length / inputs; row++) {
    const from = row * inputs;
    for (let o = 0; o < outputs; o++) {
      const at = o * inputs;
      let [s0, s1, s2, s3] = [bias ? bias[o] : 0, 0, 0, 0];
      let k = 0;
      for (; k + 3 < inputs; k += 4) {
        s0 += x[from + k] * w[at + k];
        s1 += x[from + k + 1] * w[at + k + 1];
        s2 += x[from + k + 2] * w[at + k + 2];
        s3 += x[from + k + 3] * w[at + k + 3];
      }
      for (; k < inputs; k++) s0 += x[from + k] * w[at + k];
      y[row * outputs + o] = s0 + s1 + (s2 + s3);
    }
  }
}

/**
 * How the pixels of a small picture meet those of a large one through a kernel.
 * @typedef {object} Meeting
 * @property {number} channels
 * @property {[number, number]} large height and width
 * @property {[number, number]} small
 * @property {[number, number]} kernel
 * @property {[number, number]} stride
 * @property {[number, number]} padding
 * @property {[number, number]} dilation
 */

/**
 * For each channel and each place of the kernel the rows of the large picture that it meets, one
 * after the other: `each` is told where in the columns a row of the small picture begins, where in
 * the large picture its first pixel lies, and which pixels of the row, from `first` to before
 * `last`, meet any at all.
 *
 * @param {Meeting} meeting
 * @param {(to: number, from: number, first: number, last: number, step: number) => void} each
 */
function meetings({ channels, large, small, kernel, stride, padding, dilation }, each) {
  const [height, width] = large;
  const [rows, columns] = small;
  let to = 0;
  for (let channel = 0; channel < channels; channel++) {
    for (let ky = 0; ky < kernel[0]; ky++) {
      for (let kx = 0; kx < kernel[1]; kx++) {
        const left = kx * dilation[1] - padding[1];
        const first = Math.max(0, Math.ceil(-left / stride[1]));
        const last = Math.min(columns, Math.ceil((width - left) / stride[1]));
        for (let y = 0; y < rows; y++, to += columns) {
          const row = y * stride[0] + ky * dilation[0] - padding[0];
          const within = row >= 0 && row < height && first < last;
          const from = (channel * height + row) * width + left;
          each(to, from, within ? first : columns, within ? last : columns, stride[1]);
        }
      }
    }
  }
}

/**
 * The patches of a picture that a convolution looks at, one column a place: [channels · kernel, places].
 *
 * @param {Float32Array} columns @param {Float32Array} picture from channel `start` on
 * @param {number} start @param {Meeting} meeting
 */
export function toColumns(columns, picture, start, meeting) {
  const width = meeting.small[1];
  meetings(meeting, (to, from, first, last, step) => {
    columns.fill(0, to, to + first);
    for (let x = first, at = start + from + first * step; x < last; x++, at += step) {
      columns[to + x] = picture[at];
    }
    columns.fill(0, to + last, to + width);
  });
}

/**
 * The reverse: every patch is added where it was taken from.
 *
 * @param {Float32Array} picture @param {number} start @param {Float32Array} columns
 * @param {Meeting} meeting
 */
export function fromColumns(picture, start, columns, meeting) {
  meetings(meeting, (to, from, first, last, step) => {
    for (let x = first, at = start + from + first * step; x < last; x++, at += step) {
      picture[at] += columns[to + x];
    }
  });
}
