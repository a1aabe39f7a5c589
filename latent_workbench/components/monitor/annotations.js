// What happened on the way, marked on the curve of the total: β set by hand, steps that were
// skipped, returns to a save.

import { significant } from "../shared/format.js";
import { wrapped } from "./series.js";

/** @import { Charts } from "./charts.js" */
/** @import { BetaChange, News, Warning } from "./series.js" */

const WARNING = "#C8452F"; // stands out on light and dark, and is no curve's
const WARNINGS = {
  skipped: { name: "skipped", symbol: "x", size: 8 },
  went_back: { name: "went back", symbol: "triangle-left", size: 12 },
};

export class Annotations {
  /** @type {BetaChange[]} */
  changes = [];
  /** @type {Warning[]} */
  warnings = [];

  /** @param {Charts} charts */
  constructor(charts) {
    this.charts = charts;
  }

  clear() {
    this.changes = [];
    this.warnings = [];
  }

  /** @param {News} news */
  add(news) {
    this.changes.push(...(news.changes ?? []));
    this.warnings.push(...(news.marks ?? []));
  }

  traces() {
    const { changes, warnings } = this;
    const traces = [];
    if (changes.length) {
      const look = { color: this.charts.data.colors.beta, size: 10, symbol: "diamond" };
      const text = changes.map((change) => `β set to ${significant(change.value, 4)}`);
      traces.push(this.trace("changes", "β set", changes, text, look));
    }
    for (const [kind, { name, symbol, size }] of Object.entries(WARNINGS)) {
      const marks = warnings.filter((mark) => mark.kind === kind);
      const text = marks.map((mark) => wrapped(mark.message));
      if (marks.length) traces.push(this.trace(kind, name, marks, text, { color: WARNING, symbol, size }));
    }
    return traces;
  }

  /**
   * @param {string} uid
   * @param {string} name
   * @param {(BetaChange | Warning)[]} marks
   * @param {string[]} text
   * @param {object} marker
   */
  trace(uid, name, marks, text, marker) {
    return {
      type: "scatter",
      mode: "markers",
      name,
      x: this.abscissa(marks),
      y: marks.map(({ step }) => this.charts.curves.heightAt("train/total", step)),
      text,
      marker,
      hovertemplate: "%{text}<extra></extra>",
      uid,
    };
  }

  /** Upright lines behind the curves. */
  shapes() {
    const returns = this.warnings.filter((mark) => mark.kind === "went_back");
    const { beta } = this.charts.data.colors;
    return [...this.uprights(this.changes, beta), ...this.uprights(returns, WARNING)];
  }

  /** @param {(BetaChange | Warning)[]} marks @param {string} color */
  uprights(marks, color) {
    const line = { color, width: 1, dash: "dot" };
    return this.abscissa(marks).map((x) => ({
      type: "line",
      yref: "paper",
      y0: 0,
      y1: 1,
      layer: "below",
      x0: x,
      x1: x,
      line,
    }));
  }

  /** @param {(BetaChange | Warning)[]} marks */
  abscissa(marks) {
    return this.charts.abscissa({
      step: marks.map(({ step }) => step),
      time: marks.map(({ time }) => time),
    });
  }
}
