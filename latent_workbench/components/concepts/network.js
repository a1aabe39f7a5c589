// Small dense networks that learn in the browser: forward, backward, and Adam.

/**
 * @typedef {object} Layer y = f(W x + b), W row after row
 * @property {number} inputs
 * @property {number} outputs
 * @property {"tanh" | "relu" | "linear"} activation
 * @property {Float64Array} weights [outputs · inputs], then the outputs' biases
 * @property {Float64Array} slopes of the loss, alike
 * @property {Float64Array} first of Adam's moments
 * @property {Float64Array} second
 */

/**
 * @param {number[]} sizes of the input and of each layer
 * @param {Layer["activation"]} activation of all but the last, which is linear
 * @param {() => number} normal draws of N(0, 1)
 * @returns {Layer[]}
 */
export function network(sizes, activation, normal) {
  return sizes.slice(1).map((outputs, k) => {
    const inputs = sizes[k];
    const count = outputs * inputs + outputs;
    const weights = new Float64Array(count);
    const scale = Math.sqrt((activation === "relu" ? 2 : 1) / inputs);
    for (let i = 0; i < outputs * inputs; i++) weights[i] = scale * normal();
    const last = k === sizes.length - 2;
    return {
      inputs,
      outputs,
      activation: last ? "linear" : activation,
      weights,
      slopes: new Float64Array(count),
      first: new Float64Array(count),
      second: new Float64Array(count),
    };
  });
}

/**
 * What each layer makes of x, itself first: the last is the answer.
 * @param {Layer[]} layers @param {Float64Array} x
 */
export function forward(layers, x) {
  const all = [x];
  for (const { inputs, outputs, activation, weights } of layers) {
    const before = all[all.length - 1];
    const after = new Float64Array(outputs);
    for (let o = 0; o < outputs; o++) {
      let sum = weights[outputs * inputs + o];
      const start = o * inputs;
      for (let i = 0; i < inputs; i++) sum += weights[start + i] * before[i];
      after[o] = activation === "tanh" ? Math.tanh(sum) : activation === "relu" ? Math.max(0, sum) : sum;
    }
    all.push(after);
  }
  return all;
}

/** f′ of a layer, told by what came out of it. @param {Layer["activation"]} activation @param {number} value */
export function slopeOf(activation, value) {
  if (activation === "tanh") return 1 - value * value;
  return activation === "relu" && value <= 0 ? 0 : 1;
}

/**
 * Adds the gradient of a loss to the layers' slopes.
 * @param {Layer[]} layers @param {Float64Array[]} all of `forward` @param {Float64Array} slope of the loss at the answer
 * @param {(layer: number, slope: Float64Array) => void} [more] adds what a loss says of what layer k gave
 * @returns {Float64Array} the slope at x
 */
export function backward(layers, all, slope, more) {
  let at = slope;
  for (let k = layers.length - 1; k >= 0; k--) {
    const { inputs, outputs, activation, weights, slopes } = layers[k];
    more?.(k, at);
    const [before, after] = [all[k], all[k + 1]];
    const down = new Float64Array(inputs);
    for (let o = 0; o < outputs; o++) {
      const each = at[o] * slopeOf(activation, after[o]);
      if (!each) continue;
      const start = o * inputs;
      for (let i = 0; i < inputs; i++) {
        slopes[start + i] += each * before[i];
        down[i] += each * weights[start + i];
      }
      slopes[outputs * inputs + o] += each;
    }
    at = down;
  }
  return at;
}

/**
 * One step of Adam with what has gathered in the slopes, which are then 0.
 * Source: Kingma and Ba, Adam (2015), algorithm 1.
 * @param {Layer[]} layers @param {number} rate @param {number} step from 1
 */
export function adam(layers, rate, step) {
  const [one, two] = [1 - 0.9 ** step, 1 - 0.999 ** step];
  for (const { weights, slopes, first, second } of layers) {
    for (let i = 0; i < weights.length; i++) {
      first[i] = 0.9 * first[i] + 0.1 * slopes[i];
      second[i] = 0.999 * second[i] + 0.001 * slopes[i] * slopes[i];
      weights[i] -= (rate * first[i]) / one / (Math.sqrt(second[i] / two) + 1e-8);
      slopes[i] = 0;
    }
  }
}
