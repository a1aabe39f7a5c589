// A decoder that Python wrote down step by step (vae_core/export/translated.py), carried out. Registers
// are flat arrays of float32; each step is made ready once and then runs without making anything.

import { fromBase64 } from "../shared/vectors.js";
import { fromColumns, linear, product, toColumns } from "./kernels.js";

/**
 * @typedef {object} Program
 * @property {number[]} inputs registers of z and of what the model is told
 * @property {number[]} sizes numbers in each register
 * @property {Step[]} steps
 * @property {[number, number][]} constants register and tensor
 * @property {number} result register of the picture, [channels, height, width]
 * @property {[string, number, number][]} tensors type, first byte and count
 * @property {string} data of the tensors, base64
 *
 * @typedef {Record<string, any> & { do: string, in: number[], out: number[] }} Step
 *
 * @typedef {object} Ready what a step is made of
 * @property {Float32Array} x what it reads first
 * @property {Float32Array} y what it writes first
 * @property {Float32Array[]} inputs
 * @property {Float32Array[]} outputs
 * @property {(index: number) => Float32Array | null} tensor null for −1
 * @property {(index: number) => Float32Array} needed
 */

/** @type {Record<string, (x: number, a: number, b: number) => number>} */
const MAPS = {
  relu: (x) => Math.max(x, 0),
  leaky_relu: (x, slope) => (x > 0 ? x : slope * x),
  elu: (x, a) => (x > 0 ? x : a * Math.expm1(x)),
  silu: (x) => x / (1 + Math.exp(-x)),
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  tanh: (x) => Math.tanh(x),
  softplus: (x) => (x > 20 ? x : Math.log1p(Math.exp(x))),
  exp: (x) => Math.exp(x),
  expm1: (x) => Math.expm1(x),
  log: (x) => Math.log(x),
  log1p: (x) => Math.log1p(x),
  sqrt: (x) => Math.sqrt(x),
  rsqrt: (x) => 1 / Math.sqrt(x),
  reciprocal: (x) => 1 / x,
  square: (x) => x * x,
  neg: (x) => -x,
  abs: (x) => Math.abs(x),
  sign: (x) => Math.sign(x),
  sin: (x) => Math.sin(x),
  cos: (x) => Math.cos(x),
  floor: (x) => Math.floor(x),
  trunc: (x) => Math.trunc(x),
  round: (x) => toEven(x),
  not: (x) => (x ? 0 : 1),
  pow: (x, a) => x ** a,
  times: (x, a) => x * a,
  clamp: (x, low, high) => Math.min(Math.max(x, low), high),
};

/** @type {Record<string, (a: number, b: number, c: number) => number>} */
const PAIRS = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  remainder: (a, b) => a - b * Math.floor(a / b),
  max: (a, b) => Math.max(a, b),
  min: (a, b) => Math.min(a, b),
  pow: (a, b) => a ** b,
  eq: (a, b) => Number(a === b),
  ne: (a, b) => Number(a !== b),
  lt: (a, b) => Number(a < b),
  le: (a, b) => Number(a <= b),
  gt: (a, b) => Number(a > b),
  ge: (a, b) => Number(a >= b),
  where: (condition, a, b) => (condition ? a : b),
};

/**
 * Of a row of `count` numbers from place `at` on.
 * @type {Record<string, (x: Float32Array, at: number, count: number) => number>}
 */
const REDUCTIONS = {
  sum: (x, at, count) => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += x[at + i];
    return sum;
  },
  mean: (x, at, count) => REDUCTIONS.sum(x, at, count) / count,
  max: (x, at, count) => x[at + REDUCTIONS.argmax(x, at, count)],
  min: (x, at, count) => x[at + REDUCTIONS.argmin(x, at, count)],
  argmax: (x, at, count) => {
    let best = 0;
    for (let i = 1; i < count; i++) if (x[at + i] > x[at + best]) best = i;
    return best;
  },
  argmin: (x, at, count) => {
    let best = 0;
    for (let i = 1; i < count; i++) if (x[at + i] < x[at + best]) best = i;
    return best;
  },
};

/** By the name of a step: makes it ready to run. @type {Record<string, (step: Step, ready: Ready) => () => void>} */
const STEPS = {
  linear: ({ inputs, weight, bias }, { x, y, tensor, needed }) => {
    const [w, b] = [needed(weight), tensor(bias)];
    return () => linear(y, x, w, b, inputs);
  },

  convolution: ({ before, after, kernel, groups, weight, bias, ...how }, { x, y, tensor, needed }) => {
    const [w, b] = [needed(weight), tensor(bias)];
    const [channels, outputs] = [before[0] / groups, after[0] / groups];
    const [inner, places] = [channels * kernel[0] * kernel[1], after[1] * after[2]];
    const columns = new Float32Array(inner * places);
    const meeting = meetingOf(channels, before, after, kernel, how);
    return () => {
      for (let g = 0; g < groups; g++) {
        toColumns(columns, x, g * channels * before[1] * before[2], meeting);
        product(y, g * outputs * places, w, g * outputs * inner, columns, 0, outputs, inner, places);
      }
      if (b) addToChannels(y, b, places);
    };
  },

  transposed: ({ before, after, kernel, groups, weight, bias, ...how }, { x, y, tensor, needed }) => {
    const [w, b] = [needed(weight), tensor(bias)];
    const [channels, outputs] = [before[0] / groups, after[0] / groups];
    const [taps, places] = [outputs * kernel[0] * kernel[1], before[1] * before[2]];
    const columns = new Float32Array(taps * places);
    const meeting = meetingOf(outputs, after, before, kernel, how);
    return () => {
      y.fill(0);
      for (let g = 0; g < groups; g++) {
        product(columns, 0, w, g * taps * channels, x, g * channels * places, taps, channels, places);
        fromColumns(y, g * outputs * after[1] * after[2], columns, meeting);
      }
      if (b) addToChannels(y, b, after[1] * after[2]);
    };
  },

  affine: ({ inner, scale, shift }, { x, y, needed }) => {
    const [a, b] = [needed(scale), needed(shift)];
    return () => scaled(y, x, (channel) => [a[channel], b[channel]], inner, a.length);
  },

  group_norm: ({ groups, inner, eps, scale, shift }, { x, y, tensor }) => {
    const [a, b] = [tensor(scale), tensor(shift)];
    const channels = x.length / inner;
    const [size, each] = [x.length / groups, channels / groups];
    return () => {
      const moments = Array.from({ length: groups }, (_, g) => momentsOf(x, g * size, size));
      scaled(
        y,
        x,
        (channel) => {
          const [mean, variance] = moments[Math.floor(channel / each)];
          const factor = (a ? a[channel] : 1) / Math.sqrt(variance + eps);
          return [factor, (b ? b[channel] : 0) - mean * factor];
        },
        inner,
        channels,
      );
    };
  },

  map: ({ f, told }, { x, y }) => {
    const [each, [a = 0, b = 0]] = [named(MAPS, f), told];
    if (f === "relu") {
      // of all the most frequent, and by far quicker without a call for each number
      return () => {
        for (let i = 0; i < x.length; i++) y[i] = Math.max(x[i], 0);
      };
    }
    return () => {
      for (let i = 0; i < x.length; i++) y[i] = each(x[i], a, b);
    };
  },

  pair: ({ f, shape, strides }, { y, inputs }) => {
    const each = named(PAIRS, f);
    const [a, b, c = b] = inputs;
    const [placesA, placesB, placesC] = [...strides, strides[1]].map((steps) => placesOf(shape, steps, 0));
    return () => {
      for (let i = 0; i < y.length; i++) y[i] = each(a[placesA[i]], b[placesB[i]], c[placesC[i]]);
    };
  },

  strided: ({ shape, strides, offset }, { x, y }) => copied(x, y, placesOf(shape, strides, offset)),

  gather: ({ table }, { x, y, needed }) => copied(x, y, Int32Array.from(needed(table))),

  cat: ({ outer }, { y, inputs }) => {
    return () => {
      let to = 0;
      for (let row = 0; row < outer; row++) {
        for (const part of inputs) {
          const size = part.length / outer;
          y.set(part.subarray(row * size, (row + 1) * size), to);
          to += size;
        }
      }
    };
  },

  nearest: ({ before, after }, { x, y }) => {
    const planes = x.length / (before[0] * before[1]);
    const places = new Int32Array(y.length);
    let to = 0;
    for (let plane = 0; plane < planes; plane++) {
      for (let row = 0; row < after[0]; row++) {
        const from = (plane * before[0] + Math.floor((row * before[0]) / after[0])) * before[1];
        for (let column = 0; column < after[1]; column++) {
          places[to++] = from + Math.floor((column * before[1]) / after[1]);
        }
      }
    }
    return copied(x, y, places);
  },

  reduce: ({ f, count }, { x, y }) => {
    const each = named(REDUCTIONS, f);
    return () => {
      for (let row = 0; row < y.length; row++) y[row] = each(x, row * count, count);
    };
  },

  softmax: ({ count, log }, { x, y }) => {
    return () => {
      for (let at = 0; at < x.length; at += count) {
        const most = REDUCTIONS.max(x, at, count);
        for (let i = at; i < at + count; i++) y[i] = Math.exp(x[i] - most);
        const sum = REDUCTIONS.sum(y, at, count);
        for (let i = at; i < at + count; i++) y[i] = log ? x[i] - most - Math.log(sum) : y[i] / sum;
      }
    };
  },

  top: ({ count, k }, { x, outputs: [values, places] }) => {
    return () => {
      for (let row = 0; row < x.length / count; row++) {
        const numbers = x.subarray(row * count, (row + 1) * count);
        const order = Array.from(numbers.keys()).sort((i, j) => numbers[j] - numbers[i]);
        for (let i = 0; i < k; i++) {
          values[row * k + i] = numbers[order[i]];
          places[row * k + i] = order[i];
        }
      }
    };
  },

  scatter: ({ count, k }, { y, inputs: [base, places, source] }) => {
    return () => {
      y.set(base);
      places.forEach((place, i) => {
        y[Math.floor(i / k) * count + place] = source[i];
      });
    };
  },

  rows: ({ width, table }, { x, y, needed }) => {
    const rows = needed(table);
    return () => {
      x.forEach((row, i) => y.set(rows.subarray(row * width, (row + 1) * width), i * width));
    };
  },
};

export class Graph {
  /** @param {Program} program */
  constructor({ inputs, sizes, steps, constants, result, tensors, data }) {
    const bytes = fromBase64(data, Uint8Array).buffer;
    const numbers = tensors.map(([type, start, count]) => READ[type](bytes, start, count));
    const registers = sizes.map((size) => new Float32Array(size));
    for (const [register, tensor] of constants) registers[register].set(numbers[tensor]);
    this.inputs = inputs.map((register) => registers[register]);
    this.result = registers[result];
    const tensor = (/** @type {number} */ index) => (index < 0 ? null : numbers[index]);
    const needed = (/** @type {number} */ index) => numbers[index];
    this.steps = steps.map((step) => {
      const [read, written] = [step.in, step.out].map((list) => list.map((each) => registers[each]));
      const ready = { x: read[0], y: written[0], inputs: read, outputs: written, tensor, needed };
      return named(STEPS, step.do)(step, ready);
    });
  }

  /**
   * The picture of z: uint8 [height, width, channels].
   * @param {Float32Array} z @param {number} [told] label, or where the dial is
   * @param {number} [channels]
   */
  picture(z, told = 0, channels = 1) {
    this.inputs[0].set(z);
    this.inputs[1]?.fill(told);
    for (const step of this.steps) step();
    const { result } = this;
    const pixels = new Uint8Array(result.length);
    const places = result.length / channels;
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < places; i++) {
        pixels[i * channels + c] = toEven(255 * Math.min(Math.max(result[c * places + i], 0), 1));
      }
    }
    return pixels;
  }
}

/**
 * How tensors lie in the bytes, as numpy names their types.
 * @type {Record<string, (bytes: ArrayBuffer, start: number, count: number) => Float32Array>}
 */
const READ = {
  f4: (bytes, start, count) => new Float32Array(bytes, start, count),
  i4: (bytes, start, count) => Float32Array.from(new Int32Array(bytes, start, count)),
  f2: (bytes, start, count) => Float32Array.from(new Uint16Array(bytes, start, count), fromHalf),
};

/** Rounded; halves go to the even number, as torch has it. @param {number} x */
function toEven(x) {
  const down = Math.floor(x);
  const left = x - down;
  return left > 0.5 || (left === 0.5 && down % 2 !== 0) ? down + 1 : down;
}

/** The number that a float16 stands for, from its bits. @param {number} bits */
export function fromHalf(bits) {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
  return bits & 0x8000 ? -size : size;
}

/** @template Value @param {Record<string, Value>} table @param {string} name */
function named(table, name) {
  if (!Object.hasOwn(table, name)) throw new Error(`There is no step ${name}.`);
  return table[name];
}

/**
 * @param {number} channels of the large picture
 * @param {number[]} large @param {number[]} small [channels, height, width] each
 * @param {[number, number]} kernel @param {Record<string, any>} how
 * @returns {import("./kernels.js").Meeting}
 */
function meetingOf(channels, large, small, kernel, { stride, padding, dilation }) {
  return {
    channels,
    large: [large[1], large[2]],
    small: [small[1], small[2]],
    kernel,
    stride,
    padding,
    dilation,
  };
}

/** @param {Float32Array} y @param {Float32Array} bias @param {number} places */
function addToChannels(y, bias, places) {
  for (let channel = 0; channel < bias.length; channel++) {
    const value = bias[channel];
    for (let i = channel * places; i < (channel + 1) * places; i++) y[i] += value;
  }
}

/**
 * y = factor · x + shift by channels.
 * @param {Float32Array} y @param {Float32Array} x
 * @param {(channel: number) => [number, number]} by factor and shift
 * @param {number} inner @param {number} channels
 */
function scaled(y, x, by, inner, channels) {
  for (let channel = 0; channel < channels; channel++) {
    const [factor, shift] = by(channel);
    for (let i = channel * inner; i < (channel + 1) * inner; i++) y[i] = factor * x[i] + shift;
  }
}

/** Mean and variance. @param {Float32Array} x @param {number} at @param {number} count */
function momentsOf(x, at, count) {
  const mean = REDUCTIONS.mean(x, at, count);
  let squares = 0;
  for (let i = at; i < at + count; i++) squares += (x[i] - mean) ** 2;
  return [mean, squares / count];
}

/** @param {Float32Array} x @param {Float32Array} y @param {Int32Array} places */
function copied(x, y, places) {
  return () => {
    for (let i = 0; i < y.length; i++) y[i] = x[places[i]];
  };
}

/**
 * Where the numbers of an array of this shape lie that goes through memory by these strides.
 * @param {number[]} shape @param {number[]} strides @param {number} offset
 */
function placesOf(shape, strides, offset) {
  let places = Int32Array.of(offset);
  shape.forEach((length, axis) => {
    const wider = new Int32Array(places.length * length);
    for (let i = 0; i < wider.length; i++) {
      wider[i] = places[Math.floor(i / length)] + (i % length) * strides[axis];
    }
    places = wider;
  });
  return places;
}
