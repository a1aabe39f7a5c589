// The terms that only this family has: a small chart each, with its name, its value now and its unit.
// So have, where somebody opens them, the gradient and the learning rate.

import { element, find, setText } from "../shared/elements.js";
import { significant } from "../shared/format.js";

const IN_COMMON = ["recon", "kl", "total"];

/** @typedef {{ plot: HTMLElement, now: HTMLElement, unit: string }} Panel */

/** Of a curve such as "train/kl". @param {string} name */
export function termOf(name) {
  return name.split("/")[1];
}

/** @param {string} name */
export function isExtra(name) {
  return !IN_COMMON.includes(termOf(name));
}

export class Terms {
  /** @type {Map<string, Panel>} */
  panels = new Map();

  /** @param {import("./charts.js").Charts} charts */
  constructor(charts) {
    this.root = find(charts.root, ".vm-terms");
    this.charts = charts;
    this.root.replaceChildren();
    this.steps = find(charts.root, ".vm-steps");
    this.steps.replaceChildren();
    this.more = find(charts.root, ".vm-more");
    this.more.addEventListener("toggle", () => this.draw());
  }

  /** @param {string} term */
  place(term) {
    return [...this.panels.keys()].indexOf(term);
  }

  plots() {
    return [...this.panels.values()].map((panel) => panel.plot);
  }

  draw() {
    for (const term of new Set(this.charts.curves.names().filter(isExtra).map(termOf))) {
      if (!this.panels.has(term)) this.panels.set(term, this.build(term));
    }
    for (const [term, panel] of this.panels) {
      if (panel.plot.closest("details:not([open])")) continue; // nobody sees it
      this.charts.scheduler.request(panel.plot, () => this.drawTerm(term, panel));
    }
  }

  /** @param {string} term @param {Panel} panel */
  drawTerm(term, { plot, now, unit }) {
    const { charts } = this;
    const names = [`train/${term}`, `validation/${term}`].filter((name) => charts.curves.has(name));
    if (!names.length) {
      setText(now, ""); // the run began anew, and has not got so far
      charts.blank(plot);
      return;
    }
    const traces = names.map((name) => ({ ...charts.curve(name), showlegend: false }));
    charts.react(plot, traces, this.layout(charts.data.steps.includes(term)));
    const { y } = charts.curves.get(names[0]);
    setText(now, `${significant(y[y.length - 1], 3)} ${unit}`);
  }

  /** @param {string} term @returns {Panel} */
  build(term) {
    const { label = term, unit = "", help = "" } = this.charts.data.terms[term] ?? {};
    const now = element("span", { class: "vm-hint" });
    const plot = element("div", { class: "vm-plot vm-term", "data-testid": `term-${term}` });
    const title = element("div", { class: "vm-title" }, [element("b", {}, [label]), now]);
    this.charts.offerSaving(plot, term, title);
    const ofSteps = this.charts.data.steps.includes(term);
    const place = ofSteps ? this.steps : this.root;
    place.append(element("div", { class: "vm-panel", title: help }, [title, plot]));
    this.more.hidden = !this.steps.childElementCount;
    return { plot, now, unit };
  }

  /** @param {boolean} fromZero a learning rate may be the same all through */
  layout(fromZero) {
    const { charts } = this;
    return {
      ...charts.layout({ l: 46, r: 6, t: 4, b: 22 }),
      hovermode: "x unified",
      xaxis: { ...charts.axis(""), nticks: 4, uirevision: charts.x },
      yaxis: { ...charts.axis(""), nticks: 4, rangemode: fromZero ? "tozero" : "normal" },
    };
  }
}
