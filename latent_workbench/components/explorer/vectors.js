// Arithmetic on latent vectors, and the forms in which they leave.

const PARALLEL = 1e-6; // sine of the angle below which two vectors define no arc

function fromBase64(text, Type) {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i); // from() is slower
  return new Type(bytes.buffer);
}

function toBase64(array) {
  let text = "";
  for (const byte of new Uint8Array(array.buffer, array.byteOffset, array.byteLength)) {
    text += String.fromCharCode(byte);
  }
  return btoa(text);
}

function dot(a, b) {
  let sum = 0;
  for (let d = 0; d < a.length; d++) sum += a[d] * b[d];
  return sum;
}

function linear(a, b, t) {
  return a.map((x, d) => (1 - t) * x + t * b[d]);
}

// Along the arc from a to b, the length going straight from |a| to |b| (Shoemake 1985; White 2016).
// The same as vae_core.latent.interpolation.spherical.
function spherical(a, b, t) {
  const [lengthA, lengthB] = [Math.sqrt(dot(a, a)), Math.sqrt(dot(b, b))];
  if (Math.min(lengthA, lengthB) === 0) return linear(a, b, t);
  const angle = Math.acos(Math.max(-1, Math.min(1, dot(a, b) / lengthA / lengthB)));
  if (Math.sin(angle) < PARALLEL) return linear(a, b, t);
  const length = (1 - t) * lengthA + t * lengthB;
  const fromA = (length * Math.sin((1 - t) * angle)) / Math.sin(angle) / lengthA;
  const fromB = (length * Math.sin(t * angle)) / Math.sin(angle) / lengthB;
  return a.map((x, d) => fromA * x + fromB * b[d]);
}

const PATHS = { linear, spherical };

// A Float32Array as a .npy file of version 1.0: magic, header padded to 64 bytes, numbers.
function npy(vector) {
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${vector.length},), }`;
  const padded = header.padEnd(Math.ceil((11 + header.length) / 64) * 64 - 11) + "\n";
  const start = new Uint8Array(10 + padded.length);
  start.set([0x93, ...new TextEncoder().encode("NUMPY"), 1, 0]);
  new DataView(start.buffer).setUint16(8, padded.length, true);
  start.set(new TextEncoder().encode(padded), 10);
  return new Blob([start, vector]);
}
