// Codes for symbols that come with given probabilities; lengths in bits.

/** Σ p −log₂ q: the mean length with the code for q. @param {number[]} p @param {number[]} q */
export function crossEntropy(p, q) {
  return p.reduce((sum, each, i) => sum + (each ? -each * Math.log2(q[i]) : 0), 0);
}

/** @param {number[]} p */
export function entropy(p) {
  return crossEntropy(p, p);
}

/** KL(p‖q). @param {number[]} p @param {number[]} q */
export function divergence(p, q) {
  return p.reduce((sum, each, i) => sum + (each ? each * Math.log2(each / q[i]) : 0), 0);
}

/** `p` with one of its entries set and the others scaled, so that their sum is 1. @param {number[]} p @param {number} index @param {number} value */
export function withEntry(p, index, value) {
  const rest = (1 - value) / (1 - p[index]);
  return p.map((each, i) => (i === index ? value : each * rest));
}

/**
 * The words of a code that nothing beats whose words have whole bits.
 * Source: Huffman, A Method for the Construction of Minimum-Redundancy Codes (1952).
 * @param {number[]} q @returns {string[]}
 */
export function huffman(q) {
  const words = q.map(() => "");
  const heaps = q.map((weight, i) => ({ weight, symbols: [i] }));
  while (heaps.length > 1) {
    heaps.sort((a, b) => b.weight - a.weight);
    const [one, zero] = [
      /** @type {typeof heaps[0]} */ (heaps.pop()),
      /** @type {typeof heaps[0]} */ (heaps.pop()),
    ];
    for (const i of zero.symbols) words[i] = `0${words[i]}`;
    for (const i of one.symbols) words[i] = `1${words[i]}`;
    heaps.push({ weight: zero.weight + one.weight, symbols: [...zero.symbols, ...one.symbols] });
  }
  return words;
}

/**
 * The most frequent letters of a text with their shares, the others together as "…".
 * @param {string} text @param {number} most
 */
export function frequencies(text, most) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const letter of text.toLowerCase().replace(/\s/g, ""))
    counts.set(letter, (counts.get(letter) ?? 0) + 1);
  const sorted = [...counts].sort((a, b) => b[1] - a[1]);
  const few = sorted.length > most ? sorted.slice(0, most - 1) : sorted;
  const rest = sorted.slice(few.length).reduce((sum, [, count]) => sum + count, 0);
  const all = rest ? [...few, /** @type {[string, number]} */ (["…", rest])] : few;
  const total = all.reduce((sum, [, count]) => sum + count, 0);
  return { symbols: all.map(([letter]) => letter), p: all.map(([, count]) => count / total) };
}

/** Shares of grey levels, from black to white, of values from 0 to 1; none of them 0. @param {ArrayLike<number>} values @param {number} levels */
export function levelsOf(values, levels) {
  const counts = new Array(levels).fill(1); // as if each had been seen once: no code is endless
  for (let i = 0; i < values.length; i++) counts[Math.min(levels - 1, Math.floor(values[i] * levels))] += 1;
  return counts.map((count) => count / (values.length + levels));
}
