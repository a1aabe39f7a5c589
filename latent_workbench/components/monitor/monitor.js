// Watches one run over a socket and shows it. The server sends what is new; a lost connection is
// taken up again and begins with everything.

const LONGEST_PAUSE_MS = 8000;
const FAILURES_BEFORE_SAID = 3;
const GONE = 4004;
const LEAVE_AFTER_MS = 300;

const ACTIVE = ["starting", "training", "paused"];

const WHAT_TO_DO = {
  interrupted: "The training process has ended before it was done. Resume goes on from the last save.",
  failed: "The log below has the details. Mend the cause, then resume or start anew.",
};

const monitors = new WeakMap();

export default function ({ parentElement, data: [data], setStateValue }) {
  let monitor = monitors.get(parentElement);
  if (monitor && monitor.data.run !== data.run) {
    monitor.remove();
    monitor = undefined;
  }
  if (!monitor) {
    monitor = new Monitor(parentElement.querySelector(".vm"), data);
    monitors.set(parentElement, monitor);
  }
  clearTimeout(monitor.leaving);
  monitor.toldState = data.state;
  monitor.tell = (state) => setStateValue("state", state);
  return () => {
    // A rerun of the script may call this and then mount again at once.
    monitor.leaving = setTimeout(() => {
      monitor.remove();
      if (monitors.get(parentElement) === monitor) monitors.delete(parentElement);
    }, LEAVE_AFTER_MS);
  };
}

class Monitor {
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.status = { state: data.state };
    this.about = {};
    this.now = {};
    this.failures = 0;
    root.querySelector(".vm-charts").classList.toggle("vm-alone", !data.has_kl);
    this.charts = new Charts(root, data, (limits, again) => this.ask(limits, again));
    this.previews = new Previews(root, data.run);
    this.charts.loss.dataset.points = 0;
    root.dataset.run = data.run;
    this.showHead();
    this.connect();
    this.plot();
  }

  remove() {
    if (this.removed) return; // the next run may already be drawn in the same place
    this.removed = true;
    clearTimeout(this.leaving);
    clearTimeout(this.retry);
    this.socket?.close();
    this.charts.remove();
    this.previews.remove();
  }

  async plot() {
    try {
      const Plotly = await loadPlotly(this.data.plotly);
      if (this.removed) return;
      this.charts.begin(Plotly);
      this.showHead();
    } catch {
      if (this.removed) return;
      this.problem = "The charts could not be loaded. Reload the page.";
      this.showHead();
    }
  }

  // --- the connection -------------------------------------------------------------------------------

  connect() {
    this.asked = false; // what was asked for on a lost connection is answered by nobody
    this.limits = JSON.stringify(null); // a connection begins with everything
    const socket = new WebSocket(liveSocket(["progress", this.data.run]));
    socket.onmessage = (event) => this.receive(JSON.parse(event.data));
    socket.onclose = (event) => this.lost(event.code);
    this.socket = socket;
  }

  lost(code) {
    if (this.removed || code === GONE) return;
    this.failures += 1;
    if (this.failures >= FAILURES_BEFORE_SAID) {
      this.problem = "The app does not answer. The training goes on; this page tries again.";
      this.showHead();
    }
    const pause = Math.min(LONGEST_PAUSE_MS, 250 * 2 ** (this.failures - 1));
    this.retry = setTimeout(() => this.connect(), pause);
  }

  // Ask for the curves whole. One question is on its way at a time; whoever draws the answer asks
  // again if something else is looked at by then.
  ask(limits, again = false) {
    const wished = JSON.stringify(limits);
    if (this.asked || (wished === this.limits && !again)) return;
    if (this.socket.readyState !== WebSocket.OPEN) return;
    this.asked = true; // until the answer is there
    this.limits = wished;
    this.socket.send(JSON.stringify({ want: "series", ...limits }));
  }

  receive(news) {
    if (this.removed) return;
    if (news.kind === "error") {
      this.problem = news.message;
      this.showHead();
      return;
    }
    this.failures = 0;
    this.problem = "";
    if (news.restart) Object.assign(this, { asked: false, now: {}, dimensions: undefined });
    if (news.status) this.status = news.status;
    if (news.run) this.about = news.run;
    for (const key of ["beta", "active_units", "note", "measured"]) {
      if (key in news) this.now[key] = news[key];
    }
    if (news.kl?.values?.length) this.dimensions = news.kl.values[0].length;
    const { epochs } = this.about;
    if (epochs && this.status.total_steps) {
      this.charts.stepsPerEpoch = this.status.total_steps / epochs;
    }
    this.charts.update(news);
    this.previews.update(news);
    this.showHead();
    if (news.status && news.status.state !== this.toldState) {
      this.toldState = news.status.state;
      this.tell(news.status.state);
    }
  }

  // --- the head ---------------------------------------------------------------------------------------

  showHead() {
    const { state, step = 0, total_steps: total = 0, images_per_s: speed, message } = this.status;
    const { epochs } = this.about;
    const chip = this.part(".vm-chip");
    put(chip, this.status.host ? `${state} on ${this.status.host}` : state);
    chip.dataset.state = state;
    const share = total ? step / total : 0;
    const epoch = epochs && total ? Math.min(epochs, Math.floor(share * epochs + 1e-9) + 1) : null;
    put(this.part(".vm-epoch"), epoch ? `epoch ${epoch}/${epochs}` : "");
    const bar = this.part(".vm-bar");
    bar.firstElementChild.style.width = `${100 * share}%`;
    bar.setAttribute("aria-valuenow", Math.round(100 * share));
    const left = state === "training" ? this.status.seconds_left : null;
    put(this.part(".vm-left"), left == null ? "" : `${inWords(left)} left`);
    const measured = this.now.measured ?? this.data.measured_on.count;
    put(this.part(".vm-facts"), [
      total ? `step ${grouped(step)} of ${grouped(total)}` : "",
      ACTIVE.includes(state) ? message || (state === "starting" && "Starting") : "",
      speed ? `${grouped(Number(speed.toPrecision(3)))} images/s` : "",
      this.now.beta == null ? "" : `β ${Number(this.now.beta.toPrecision(3))}`,
      measured ? `measured on ${grouped(measured)} ${this.data.measured_on.part} images` : "",
    ].filter(Boolean).join(" · "));
    const active = this.now.active_units;
    put(this.part(".vm-active"), active == null || !this.dimensions ? "" : `${active} of ${this.dimensions} active`);
    this.showNote();
  }

  showNote() {
    const { state, message } = this.status;
    const sentences = this.problem
      ? [this.problem]
      : [["failed", "damaged"].includes(state) ? message : "", WHAT_TO_DO[state] ?? "", this.now.note ?? ""];
    const note = this.part(".vm-note");
    put(note, sentences.filter(Boolean).join(" "));
    note.hidden = !note.textContent;
  }

  part(selector) {
    return this.root.querySelector(selector);
  }
}

// Text that has not changed is left alone, so that a selection in it survives.
function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function inWords(seconds) {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
