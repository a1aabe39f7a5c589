// Watches one run over a socket and shows it. The server sends what is new; a lost connection is
// taken up again and begins with everything.

import { liveSocket } from "../shared/address.js";
import { find, setText } from "../shared/elements.js";
import { duration, grouped, significant } from "../shared/format.js";
import { placed } from "../shared/places.js";
import { loadPlotly } from "../shared/plotly.js";
import { LiveSocket } from "../shared/socket.js";
import { Charts } from "./charts.js";
import { Previews } from "./previews.js";

const FAILURES_BEFORE_SAID = 3;
const GONE = 4004;
const ACTIVE = ["starting", "training", "paused"];

/** @type {Record<string, string>} */
const WHAT_TO_DO = {
  interrupted: "The training process has ended before it was done. Resume goes on from the last save.",
  failed: "The log below has the details. Mend the cause, then resume or start anew.",
};

/**
 * @typedef {object} MonitorData as Python sends it
 * @property {string} run
 * @property {string} state as the script run saw it
 * @property {boolean} has_kl
 * @property {{ count: number, part: string }} measured_on
 * @property {string[]} hold_outs names of the files of the images in the previews
 * @property {Record<string, { label: string, unit: string, help: string }>} terms
 * @property {string[]} steps those of `terms` that tell how steps go
 * @property {Record<string, string>} colors
 * @property {string} plotly version
 *
 * @typedef {object} Measured what is newest of the run
 * @property {number | null} [beta]
 * @property {number | null} [active_units]
 * @property {string | null} [note]
 * @property {number | null} [measured] images
 *
 * @typedef {import("./series.js").News & Measured} News
 */

/** @param {ComponentCall<MonitorData>} call */
export default function ({ parentElement, data: [data], setStateValue }) {
  const make = () => new Monitor(find(parentElement, ".vm"), data);
  const { made: monitor, leave } = placed(parentElement, data.run, make);
  monitor.toldState = data.state;
  monitor.tell = (state) => setStateValue("state", state);
  return leave;
}

class Monitor {
  /** @type {import("./series.js").About} */
  about = {};
  /** @type {Measured} */
  now = {};
  /** Latent dimensions. @type {number | undefined} */
  dimensions;
  problem = "";
  removed = false;
  /** What was asked for on a lost connection is answered by nobody. */
  asked = false;
  limits = "null";
  toldState = "";
  /** @type {(state: string) => void} */
  tell = () => {};

  /** @param {HTMLElement} root @param {MonitorData} data */
  constructor(root, data) {
    this.root = root;
    this.data = data;
    /** @type {import("./series.js").Status} */
    this.status = { state: data.state };
    find(this.root, ".vm-charts").classList.toggle("vm-alone", !data.has_kl);
    this.charts = new Charts(root, data, (limits, again) => this.ask(limits, again));
    this.previews = new Previews(root, data.run, data.hold_outs);
    this.charts.loss.dataset.points = "0";
    root.dataset.run = data.run;
    this.showHead();
    this.socket = new LiveSocket(liveSocket(["progress", data.run]), {
      onOpen: () => {},
      onMessage: (text) => this.receive(JSON.parse(text)),
      onLost: (code) => this.lost(code),
    });
    this.plot();
    requestAnimationFrame(() => this.comeIntoSight());
  }

  /** Who has just pressed Start, at the end of a long form, is to see what has begun. */
  comeIntoSight() {
    const { top } = this.root.getBoundingClientRect();
    if (top < 0 || top > window.innerHeight / 2) this.root.scrollIntoView({ block: "start" });
  }

  remove() {
    if (this.removed) return; // the next run may already be drawn in the same place
    this.removed = true;
    this.socket.close();
    this.charts.remove();
    this.previews.remove();
  }

  async plot() {
    try {
      const plotly = await loadPlotly(this.data.plotly);
      if (this.removed) return;
      this.charts.plotly = plotly;
      this.charts.drawAll();
    } catch {
      if (this.removed) return;
      this.problem = "The charts could not be loaded. Reload the page.";
    }
    this.showHead();
  }

  // --- the connection -------------------------------------------------------------------------------

  /** @param {number} code */
  lost(code) {
    this.asked = false;
    this.limits = "null"; // a connection begins with everything
    if (code === GONE) this.socket.close();
    else if (this.socket.failures >= FAILURES_BEFORE_SAID) {
      this.problem = "The app does not answer. The training goes on; this page tries again.";
      this.showHead();
    }
  }

  /**
   * Ask for the curves whole. One question is on its way at a time; whoever draws the answer asks
   * again if something else is looked at by then.
   * @param {import("./series.js").Limits | null} limits @param {boolean} [again]
   */
  ask(limits, again = false) {
    const wanted = JSON.stringify(limits);
    if (this.asked || (wanted === this.limits && !again) || !this.socket.isOpen) return;
    this.asked = true; // until the answer is there
    this.limits = wanted;
    this.socket.send(JSON.stringify({ want: "series", ...limits }));
  }

  /** @param {News} news */
  receive(news) {
    if (this.removed) return;
    if (news.kind === "error") {
      this.problem = news.message ?? "";
      this.showHead();
      return;
    }
    this.socket.failures = 0;
    this.problem = "";
    if (news.restart) {
      this.asked = false;
      this.now = {};
      this.dimensions = undefined;
    }
    if (news.status) this.status = news.status;
    if (news.run) this.about = news.run;
    const { beta, active_units, note, measured } = { ...this.now, ...news };
    this.now = { beta, active_units, note, measured };
    if (news.kl?.values?.length) this.dimensions = news.kl.values[0].length;
    const { epochs } = this.about;
    if (epochs && this.status.total_steps) this.charts.stepsPerEpoch = this.status.total_steps / epochs;
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
    const { state, host, step = 0, total_steps: total = 0, seconds_left } = this.status;
    const { epochs } = this.about;
    find(this.root, ".vm-chip").dataset.state = state;
    this.put(".vm-chip", host ? `${state} on ${host}` : state);
    const share = total ? step / total : 0;
    const epoch = epochs && total ? Math.min(epochs, Math.floor(share * epochs + 1e-9) + 1) : null;
    this.put(".vm-epoch", epoch ? `epoch ${epoch}/${epochs}` : "");
    find(this.root, ".vm-bar").setAttribute("aria-valuenow", String(Math.round(100 * share)));
    find(this.root, ".vm-bar i").style.width = `${100 * share}%`;
    const left = state === "training" ? seconds_left : null;
    this.put(".vm-left", left == null ? "" : `${duration(left)} left`);
    this.put(".vm-facts", this.facts().filter(Boolean).join(" · "));
    const { active_units: active } = this.now;
    this.put(
      ".vm-active",
      active == null || !this.dimensions ? "" : `${active} of ${this.dimensions} active`,
    );
    this.showNote();
  }

  facts() {
    const { state, step = 0, total_steps: total, images_per_s: speed, message } = this.status;
    const { beta } = this.now;
    const measured = this.now.measured ?? this.data.measured_on.count;
    return [
      total ? `step ${grouped(step)} of ${grouped(total)}` : "",
      ACTIVE.includes(state) ? message || (state === "starting" && "Starting") : "",
      speed ? `${grouped(Number(speed.toPrecision(3)))} images/s` : "",
      beta == null ? "" : `β ${significant(beta, 3)}`,
      measured ? `measured on ${grouped(measured)} ${this.data.measured_on.part} images` : "",
    ];
  }

  showNote() {
    const { state, message } = this.status;
    const sentences = this.problem
      ? [this.problem]
      : [["failed", "damaged"].includes(state) ? message : "", WHAT_TO_DO[state], this.now.note];
    const text = sentences.filter(Boolean).join(" ");
    this.put(".vm-note", text);
    find(this.root, ".vm-note").hidden = !text;
  }

  /** @param {string} selector @param {string} text */
  put(selector, text) {
    setText(find(this.root, selector), text);
  }
}
