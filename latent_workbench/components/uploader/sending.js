// One upload on its way: announced, sent file by file, then looked at by the server.

const AT_ONCE = 3;
const SPEED_OVER_MS = 8000;

class Sending {
  // on: {progress({sent, total, seconds, checking}), done(), refused(sentence)}
  constructor(token, files, on) {
    Object.assign(this, { files, on });
    this.at = (...names) => liveAddress(["uploads", token, ...names]);
    this.total = files.reduce((sum, { file }) => sum + file.size, 0);
    this.sent = files.map(() => 0);
    this.requests = new Set();
    this.ended = false;
    this.marks = [[performance.now(), 0]];
    this.run();
  }

  async run() {
    try {
      const announced = this.files.map(({ name, file }) => ({ name, size: file.size }));
      const answer = await ask(this.at(), "POST", JSON.stringify({ files: announced }));
      this.upload = answer.upload;
      if (this.ended) this.takeBack();
      let next = 0;
      const worker = async () => {
        while (next < this.files.length && !this.ended) await this.put(next++);
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      if (this.ended) return;
      this.tell(true);
      await ask(this.at(this.upload), "POST");
      this.end("done");
    } catch (error) {
      this.end("refused", error.message);
    }
  }

  put(index) {
    const { file } = this.files[index];
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest(); // `fetch` tells nothing of what has been sent
      this.requests.add(request);
      request.open("PUT", this.at(this.upload, index));
      request.upload.onprogress = ({ loaded }) => {
        this.sent[index] = Math.min(loaded, file.size);
        this.tell(false);
      };
      request.onload = () => {
        this.requests.delete(request);
        this.sent[index] = file.size;
        if (request.status < 300) resolve();
        else reject(new Error(sentence(request.status, request.responseText)));
      };
      request.onerror = () => reject(new Error(lost()));
      request.onabort = () => resolve();
      request.send(file);
    });
  }

  // Say how far it has come; the time left goes by the speed of the last seconds.
  tell(checking) {
    if (this.ended) return;
    const sent = this.sent.reduce((sum, each) => sum + each, 0);
    const now = performance.now();
    this.marks.push([now, sent]);
    while (this.marks.length > 2 && now - this.marks[1][0] > SPEED_OVER_MS) this.marks.shift();
    const [[since, before]] = this.marks;
    const speed = (sent - before) / (now - since || 1);
    const seconds = speed > 0 && now - this.marks[0][0] > 1000 ? (this.total - sent) / speed / 1000 : null;
    this.on.progress({ sent, total: this.total, seconds, checking });
  }

  cancel() {
    this.end(null);
    if (this.upload) this.takeBack();
  }

  takeBack() {
    ask(this.at(this.upload), "DELETE").catch(() => {}); // the server notices a lost page by itself
  }

  end(how, ...told) {
    if (this.ended) return;
    this.ended = true;
    for (const request of this.requests) request.abort();
    if (how) this.on[how](...told);
  }
}

async function ask(address, method, body) {
  let response;
  try {
    response = await fetch(address, { method, body, keepalive: method === "DELETE" });
  } catch {
    throw new Error(lost());
  }
  if (!response.ok) throw new Error(sentence(response.status, await response.text()));
  return response.status === 204 ? {} : response.json();
}

function sentence(status, text) {
  try {
    return JSON.parse(text).message;
  } catch {
    return status === 413
      ? "The proxy in front of this app does not let so much through; ask whoever runs it."
      : `The upload was refused with status ${status}.`;
  }
}

function lost() {
  return "The connection was lost during the upload. Check that the app still runs, then try again.";
}
