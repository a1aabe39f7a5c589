// Arithmetic on latent vectors, and the forms in which they travel.

const A_CALL = 8192; // arguments that any engine takes
const PARALLEL = 1e-6; // sine of the angle below which two vectors define no arc

/** @param {string} text */
function bytesOf(text) {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i); // from() is slower
  return bytes;
}

/**
 * @template T
 * @param {string} text base64
 * @param {{ new (buffer: ArrayBuffer): T }} Type of typed array
 */
export function fromBase64(text, Type) {
  return new Type(bytesOf(text).buffer);
}

/** @param {ArrayBufferView} array */
export function toBase64(array) {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let text = "";
  for (let i = 0; i < bytes.length; i += A_CALL) {
    text += String.fromCharCode(...bytes.subarray(i, i + A_CALL));
  }
  return btoa(text);
}

/**
 * The rows of a matrix [count, size], as views.
 * @param {Float32Array} numbers @param {number} count @param {number} size
 */
export function rowsOf(numbers, count, size) {
  return Array.from({ length: count }, (_, k) => numbers.subarray(k * size, (k + 1) * size));
}

/** @param {Float32Array} a @param {Float32Array} b */
export function dot(a, b) {
  let sum = 0;
  for (let d = 0; d < a.length; d++) sum += a[d] * b[d];
  return sum;
}

/** @param {number} value @param {number} low @param {number} high */
export function clamp(value, low, high) {
  return Math.max(low, Math.min(high, value));
}

/** @param {Float32Array} a @param {Float32Array} b @param {number} t */
export function lerp(a, b, t) {
  return a.map((x, d) => (1 - t) * x + t * b[d]);
}

/**
 * Along the arc from a to b, the length going straight from |a| to |b| (Shoemake 1985; White 2016).
 * The same as vae_core.latent.interpolation.spherical.
 * @param {Float32Array} a @param {Float32Array} b @param {number} t
 */
export function slerp(a, b, t) {
  const [lengthA, lengthB] = [Math.sqrt(dot(a, a)), Math.sqrt(dot(b, b))];
  if (Math.min(lengthA, lengthB) === 0) return lerp(a, b, t);
  const angle = Math.acos(clamp(dot(a, b) / lengthA / lengthB, -1, 1));
  if (Math.sin(angle) < PARALLEL) return lerp(a, b, t);
  const length = (1 - t) * lengthA + t * lengthB;
  const fromA = (length * Math.sin((1 - t) * angle)) / Math.sin(angle) / lengthA;
  const fromB = (length * Math.sin(t * angle)) / Math.sin(angle) / lengthB;
  return a.map((x, d) => fromA * x + fromB * b[d]);
}

/**
 * A .npy file of version 1.0: magic, header padded to 64 bytes, numbers.
 * @param {Float32Array} vector
 */
export function npy(vector) {
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${vector.length},), }`;
  const padded = `${header.padEnd(Math.ceil((11 + header.length) / 64) * 64 - 11)}\n`;
  const start = new Uint8Array(10 + padded.length);
  start.set([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0]);
  new DataView(start.buffer).setUint16(8, padded.length, true);
  start.set(new TextEncoder().encode(padded), 10);
  return new Blob([start, Float32Array.from(vector)]);
}
