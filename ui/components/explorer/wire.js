// The client's end of the live decoder. It owns nothing but the connection: one request is in
// flight at a time, and of each kind only the newest waits, so a fast hand never builds a queue.

const KINDS = ["picture", "random", "strips"]; // in order of urgency
const TRIES_BEFORE_BLOCKED = 3;
const LONGEST_PAUSE_MS = 8000;
const PATIENCE_MS = 30000; // the first request may wait for the server to load its engine

class LiveDecoder {
  // `on` has onPictures(kind, {count, height, width, channels, pixels}), onRandom(vector),
  // onProblem(sentence or "").
  constructor(runId, on) {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.url = `${scheme}://${location.host}/live/decode/${encodeURIComponent(runId)}`;
    this.on = on;
    this.waiting = {};
    this.flying = null;
    this.sequence = 0;
    this.failures = 0;
    this.closed = false;
    this.open();
  }

  // vectors: an array of Float32Array, all of one length.
  ask(kind, vectors) {
    this.waiting[kind] = { kind, vectors };
    this.pump();
  }

  close() {
    this.closed = true;
    clearTimeout(this.retry);
    clearTimeout(this.patience);
    this.socket.close();
  }

  open() {
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.pump();
    socket.onmessage = (event) => this.receive(event.data);
    socket.onclose = () => this.lost();
    this.socket = socket;
  }

  lost() {
    clearTimeout(this.patience);
    if (this.closed) return;
    if (this.flying) {
      this.waiting[this.flying.kind] ??= this.flying;
      this.flying = null;
    }
    this.failures += 1;
    if (this.failures >= TRIES_BEFORE_BLOCKED) {
      this.on.onProblem(
        "Live decoding is blocked: your browser cannot open a WebSocket to this app. " +
          "Check that the app still runs and that no proxy or extension is in the way.",
      );
    }
    const pause = Math.min(LONGEST_PAUSE_MS, 250 * 2 ** (this.failures - 1));
    this.retry = setTimeout(() => this.open(), pause);
  }

  pump() {
    if (this.flying || this.socket.readyState !== WebSocket.OPEN) return;
    const kind = KINDS.find((each) => this.waiting[each]);
    if (!kind) return;
    this.flying = this.waiting[kind];
    delete this.waiting[kind];
    this.sequence = (this.sequence + 1) >>> 0;
    this.socket.send(kind === "random" ? this.textRequest() : this.binaryRequest());
    this.patience = setTimeout(() => this.socket.close(), PATIENCE_MS);
  }

  textRequest() {
    return JSON.stringify({ type: "random", sequence: this.sequence });
  }

  binaryRequest() {
    const { vectors } = this.flying;
    const size = vectors[0].length;
    const message = new ArrayBuffer(8 + 4 * size * vectors.length);
    const header = new DataView(message);
    header.setUint32(0, this.sequence, true);
    header.setUint16(4, vectors.length, true);
    const numbers = new Float32Array(message, 8);
    vectors.forEach((vector, index) => numbers.set(vector, index * size));
    return message;
  }

  receive(data) {
    const answer = typeof data === "string" ? JSON.parse(data) : readReply(data);
    // Sequence 0 answers a request so broken that the server could not read its number.
    if (!this.flying || (answer.sequence !== this.sequence && answer.sequence !== 0)) return;
    const { kind } = this.flying;
    this.flying = null;
    this.failures = 0; // an answer, not an open socket, proves that the way is free
    clearTimeout(this.patience);
    this.on.onProblem(answer.message ?? "");
    if (answer.vector) this.on.onRandom(Float32Array.from(answer.vector));
    if (answer.pixels) this.on.onPictures(kind, answer);
    this.pump();
  }
}

function readReply(data) {
  const header = new DataView(data);
  const rest = new Uint8Array(data, 12);
  const sequence = header.getUint32(0, true);
  if (header.getUint8(4)) return { sequence, message: new TextDecoder().decode(rest) };
  return {
    sequence,
    channels: header.getUint8(5),
    count: header.getUint16(6, true),
    height: header.getUint16(8, true),
    width: header.getUint16(10, true),
    pixels: rest,
  };
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
