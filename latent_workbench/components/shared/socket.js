// A socket to a live route. When it is lost it is opened again, more and more rarely.

const LONGEST_PAUSE_MS = 8000;

/** @param {number} failures how many in a row, from 1 */
export function retryPause(failures) {
  return Math.min(LONGEST_PAUSE_MS, 250 * 2 ** (failures - 1));
}

/**
 * @typedef {object} SocketEvents
 * @property {() => void} onOpen
 * @property {(data: any) => void} onMessage text, or an ArrayBuffer
 * @property {(code: number) => void} onLost before it is opened again; `close` keeps it from that
 */

export class LiveSocket {
  /** @type {WebSocket} */
  socket;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  retry;
  closed = false;
  /** Since its user last set it to 0: an answer, not an open socket, proves that the way is free. */
  failures = 0;

  /** @param {URL} address @param {SocketEvents} on */
  constructor(address, on) {
    this.address = address;
    this.on = on;
    this.socket = this.open();
  }

  get isOpen() {
    return this.socket.readyState === WebSocket.OPEN;
  }

  open() {
    const socket = new WebSocket(this.address);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.on.onOpen();
    socket.onmessage = (event) => this.on.onMessage(event.data);
    socket.onclose = (event) => this.lost(event.code);
    this.socket = socket;
    return socket;
  }

  /** @param {string | ArrayBuffer} message */
  send(message) {
    this.socket.send(message);
  }

  /** Give up this connection for another one. */
  drop() {
    this.socket.close();
  }

  close() {
    this.closed = true;
    clearTimeout(this.retry);
    this.socket.close();
  }

  /** @param {number} code */
  lost(code) {
    if (this.closed) return;
    this.failures += 1;
    this.on.onLost(code);
    if (!this.closed) this.retry = setTimeout(() => this.open(), retryPause(this.failures));
  }
}
