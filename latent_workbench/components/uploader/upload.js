// One upload on its way: announced, sent file by file, then looked at by the server.

import { liveAddress } from "../shared/address.js";

const AT_ONCE = 3;
const SPEED_OVER_MS = 8000;
const LOST = "The connection was lost during the upload. Check that the app still runs, then try again.";

/**
 * @typedef {{ sent: number, total: number, seconds: number | null, checking: boolean }} Progress in
 *   bytes; the seconds left, once known; checking: the server looks at what was sent
 *
 * @typedef {object} UploadEvents
 * @property {(now: Progress) => void} progress
 * @property {() => void} done
 * @property {(sentence: string) => void} refused
 */

/** The seconds that an upload still takes, by the speed of the last ones. */
export class Speed {
  /** When how much had been sent. @type {[number, number][]} */
  marks;

  /** @param {number} total bytes @param {number} now in ms */
  constructor(total, now) {
    this.total = total;
    this.marks = [[now, 0]];
  }

  /** null where it is too early to say. @param {number} sent bytes @param {number} now in ms */
  secondsLeft(sent, now) {
    this.marks.push([now, sent]);
    while (this.marks.length > 2 && now - this.marks[1][0] > SPEED_OVER_MS) this.marks.shift();
    const [[since, before]] = this.marks;
    const speed = (sent - before) / (now - since || 1);
    return speed > 0 && now - since > 1000 ? (this.total - sent) / speed / 1000 : null;
  }
}

export class Upload {
  /** What the server calls it. @type {string | undefined} */
  id;
  ended = false;
  /** @type {Set<XMLHttpRequest>} */
  requests = new Set();

  /**
   * @param {string[]} place what the addresses begin with: the kind of upload, and the session's token
   * @param {import("./files.js").Named[]} files
   * @param {UploadEvents} on
   */
  constructor(place, files, on) {
    this.place = place;
    this.files = files;
    this.on = on;
    this.total = files.reduce((sum, { file }) => sum + file.size, 0);
    this.sent = files.map(() => 0);
    this.speed = new Speed(this.total, performance.now());
    this.run();
  }

  /** @param {(string | number)[]} names */
  at(...names) {
    return liveAddress([...this.place, ...names]);
  }

  async run() {
    try {
      const announced = this.files.map(({ name, file }) => ({ name, size: file.size }));
      const answer = await ask(this.at(), "POST", JSON.stringify({ files: announced }));
      /** @type {string} */
      const id = answer.upload;
      this.id = id;
      if (this.ended) this.discard(id);
      let next = 0;
      const worker = async () => {
        while (next < this.files.length && !this.ended) await this.put(id, next++);
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      if (this.ended) return;
      this.report(true);
      await ask(this.at(id), "POST");
      this.end(() => this.on.done());
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      this.end(() => this.on.refused(message));
    }
  }

  /** @param {string} id @param {number} index @returns {Promise<void>} */
  put(id, index) {
    const { file } = this.files[index];
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest(); // `fetch` tells nothing of what has been sent
      this.requests.add(request);
      request.open("PUT", this.at(id, index));
      request.upload.onprogress = ({ loaded }) => {
        this.sent[index] = Math.min(loaded, file.size);
        this.report(false);
      };
      request.onload = () => {
        this.requests.delete(request);
        this.sent[index] = file.size;
        if (request.status < 300) resolve();
        else reject(new Error(refusal(request.status, request.responseText)));
      };
      request.onerror = () => reject(new Error(LOST));
      request.onabort = () => resolve();
      request.send(file);
    });
  }

  /** @param {boolean} checking */
  report(checking) {
    if (this.ended) return;
    const { total } = this;
    const sent = this.sent.reduce((sum, each) => sum + each, 0);
    const seconds = this.speed.secondsLeft(sent, performance.now());
    this.on.progress({ sent, total, seconds, checking });
  }

  cancel() {
    this.end();
    if (this.id) this.discard(this.id);
  }

  /** @param {string} id */
  discard(id) {
    ask(this.at(id), "DELETE").catch(() => {}); // the server notices a lost page by itself
  }

  /** @param {() => void} [report] */
  end(report) {
    if (this.ended) return;
    this.ended = true;
    for (const request of this.requests) request.abort();
    report?.();
  }
}

/**
 * Ask one of the server's routes; its refusal is an Error.
 * @param {URL} address @param {string} method @param {string} [body]
 */
export async function ask(address, method, body) {
  let response;
  try {
    response = await fetch(address, { method, body, keepalive: method === "DELETE" });
  } catch {
    throw new Error(LOST);
  }
  if (!response.ok) throw new Error(refusal(response.status, await response.text()));
  return response.status === 204 ? {} : response.json();
}

/** What a person reads of an answer that refuses. @param {number} status @param {string} text */
export function refusal(status, text) {
  try {
    return JSON.parse(text).message;
  } catch {
    return status === 413
      ? "The proxy in front of this app does not let so much through; ask whoever runs it."
      : `The upload was refused with status ${status}.`;
  }
}
