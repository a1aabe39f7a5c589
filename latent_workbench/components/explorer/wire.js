// The client's end of the live decoder. It owns nothing but the connection: one request is in
// flight at a time, and of each kind only the newest waits, so a fast hand never builds a queue.

const KINDS = ["picture", "vector", "ends", "strips"]; // in order of urgency
const TRIES_BEFORE_BLOCKED = 3;
const LONGEST_PAUSE_MS = 8000;
const PATIENCE_MS = 30000; // the first request may wait for the server to load its engine

class LiveDecoder {
  // `on` has onPictures(kind, {count, height, width, channels, pixels, where}, first), onVector(vector),
  // onProblem(sentence or "").
  // label: what a conditional model is told; null for all others.
  constructor(runId, label, on) {
    this.asked = [["decode", runId], { label }];
    this.on = on;
    this.waiting = {};
    this.flying = null;
    this.sequence = 0;
    this.failures = 0;
    this.closed = false;
    this.open();
  }

  // False while a proxy blocks sockets: pictures then come by ordinary requests, on release only.
  get live() {
    return this.failures < TRIES_BEFORE_BLOCKED;
  }

  // vectors: an array of Float32Array, all of one length; nearest: how many encodings near the
  // first of them to name; first: handed back with the pictures.
  ask(kind, vectors, { nearest = 0, first = 0 } = {}) {
    this.waiting[kind] = { kind, vectors, nearest, first };
    this.pump();
  }

  // question: {type: "random" or "encoding", …}; the answer is a latent vector.
  askVector(question) {
    this.waiting.vector = { kind: "vector", question };
    this.pump();
  }

  // True while a request of this kind has not been sent yet.
  awaits(kind) {
    return Boolean(this.waiting[kind]);
  }

  close() {
    this.closed = true;
    clearTimeout(this.retry);
    clearTimeout(this.patience);
    this.socket.close();
  }

  open() {
    const socket = new WebSocket(liveSocket(...this.asked));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.pump();
    socket.onmessage = (event) => this.receive(event.data);
    socket.onclose = () => this.lost();
    this.socket = socket;
  }

  lost() {
    clearTimeout(this.patience);
    if (this.closed) return;
    if (this.flying && !this.flying.posted) this.putBack();
    this.failures += 1;
    if (!this.live) this.fallBack();
    const pause = Math.min(LONGEST_PAUSE_MS, 250 * 2 ** (this.failures - 1));
    this.retry = setTimeout(() => this.open(), pause);
  }

  putBack() {
    this.waiting[this.flying.kind] ??= this.flying;
    this.flying = null;
  }

  pump() {
    if (this.flying) return;
    const open = this.socket.readyState === WebSocket.OPEN;
    if (!open && this.live) return;
    const kind = KINDS.find((each) => this.waiting[each]);
    if (!kind) return;
    this.flying = this.waiting[kind];
    delete this.waiting[kind];
    this.sequence = (this.sequence + 1) >>> 0;
    const { question, vectors, nearest } = this.flying;
    const message = question
      ? JSON.stringify({ ...question, sequence: this.sequence })
      : requestFrame(vectors, this.sequence, nearest);
    if (open) {
      this.socket.send(message);
      this.patience = setTimeout(() => this.socket.close(), PATIENCE_MS);
    } else this.post(message, question ? "application/json" : "application/octet-stream");
  }

  fallBack() {
    this.on.onProblem(
      "Live decoding is blocked: your browser cannot open a WebSocket to this app, so the " +
        "picture follows when you let go. Check that the app still runs and that no proxy or " +
        "extension is in the way.",
    );
    this.pump();
  }

  async post(body, kind) {
    this.flying.posted = true;
    const { sequence } = this;
    const headers = { "content-type": kind };
    try {
      const response = await fetch(liveAddress(...this.asked), { method: "POST", body, headers });
      const type = response.headers.get("content-type") ?? "";
      const json = type.includes("json");
      const answer = json ? await response.json() : readReply(await response.arrayBuffer());
      this.answer({ ...answer, sequence }, false);
    } catch {
      if (this.flying) this.putBack(); // no server at all; the next attempt to open tries again
    }
  }

  receive(data) {
    const answer = typeof data === "string" ? JSON.parse(data) : readReply(data);
    // Sequence 0 answers a request so broken that the server could not read its number.
    if (!this.flying || (answer.sequence !== this.sequence && answer.sequence !== 0)) return;
    this.failures = 0; // an answer, not an open socket, proves that the way is free
    clearTimeout(this.patience);
    this.answer(answer, true);
  }

  answer(answer, bySocket) {
    const { kind, first } = this.flying;
    this.flying = null;
    if (bySocket || answer.message) this.on.onProblem(answer.message ?? "");
    if (answer.vector) this.on.onVector(Float32Array.from(answer.vector));
    if (answer.pixels) this.on.onPictures(kind, answer, first);
    this.pump();
  }
}

function requestFrame(vectors, sequence = 0, nearest = 0) {
  const size = vectors[0].length;
  const message = new ArrayBuffer(8 + 4 * size * vectors.length);
  const header = new DataView(message);
  header.setUint32(0, sequence, true);
  header.setUint16(4, vectors.length, true);
  header.setUint16(6, nearest, true);
  const numbers = new Float32Array(message, 8);
  vectors.forEach((vector, index) => numbers.set(vector, index * size));
  return message;
}

function readReply(data) {
  const header = new DataView(data);
  const sequence = header.getUint32(0, true);
  const rest = new Uint8Array(data, 12);
  if (header.getUint8(4)) return { sequence, message: new TextDecoder().decode(rest) };
  const [channels, count] = [header.getUint8(5), header.getUint16(6, true)];
  const [height, width] = [header.getUint16(8, true), header.getUint16(10, true)];
  const size = channels * count * height * width;
  const where = rest.length > size ? readWhere(new DataView(data, 12 + size)) : null;
  return { sequence, channels, count, height, width, pixels: rest.subarray(0, size), where };
}

// Where the first vector lies: σ from the mean and the share of training draws nearer to it; how far
// the nearest encodings are, in times as usual, and the share of draws with closer ones; log-density
// under the prior in nats, no number where there is none; what it means, and the nearest encodings.
function readWhere(view) {
  const nearest = Array.from({ length: view.getUint16(20, true) }, (_, i) => ({
    index: view.getUint32(24 + 8 * i, true),
    distance: view.getFloat32(28 + 8 * i, true),
  }));
  const names = ["distance", "nearer", "gap", "closer", "logDensity"];
  const numbers = names.map((name, i) => [name, view.getFloat32(4 * i, true)]);
  return { ...Object.fromEntries(numbers), verdict: view.getUint16(22, true), nearest };
}

// Draw picture `index` of a reply at its native size; the style sheet scales it.
function drawPicture(canvas, { channels, height, width, pixels }, index) {
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const target = image.data;
  let from = index * height * width * channels;
  for (let to = 0; to < target.length; to += 4, from += channels) {
    target[to] = pixels[from];
    target[to + 1] = pixels[channels === 1 ? from : from + 1];
    target[to + 2] = pixels[channels === 1 ? from : from + 2];
    target[to + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  canvas.classList.add("drawn");
}
