// What happened on the way, marked on the curve of the total: β set by hand, steps that were
// skipped, returns to a save.

const WARNING = "#C8452F"; // stands out on light and dark, and is no curve's
const KINDS = {
  skipped: { name: "skipped", symbol: "x", size: 8 },
  went_back: { name: "went back", symbol: "triangle-left", size: 12 },
};

class Marks {
  constructor(charts) {
    this.charts = charts;
    this.clear();
  }

  clear() {
    this.changes = []; // of β
    this.warnings = [];
  }

  take(news) {
    this.changes.push(...(news.changes ?? []));
    this.warnings.push(...(news.marks ?? []));
  }

  traces() {
    const { changes, warnings } = this;
    const traces = [];
    if (changes.length) {
      const look = { color: this.charts.data.colors.beta, size: 10, symbol: "diamond" };
      const text = changes.map((change) => `β set to ${Number(change.value.toPrecision(4))}`);
      traces.push(this.trace("changes", "β set", changes, text, look));
    }
    for (const [kind, { name, symbol, size }] of Object.entries(KINDS)) {
      const marks = warnings.filter((mark) => mark.kind === kind);
      const text = marks.map((mark) => wrapped(mark.message));
      if (marks.length) traces.push(this.trace(kind, name, marks, text, { color: WARNING, symbol, size }));
    }
    return traces;
  }

  trace(uid, name, marks, text, marker) {
    return {
      type: "scatter",
      mode: "markers",
      name,
      x: this.charts.abscissa(marks),
      y: marks.map((mark) => this.height(mark.step)),
      text,
      marker,
      hovertemplate: "%{text}<extra></extra>",
      uid,
    };
  }

  // Upright lines behind the curves.
  shapes() {
    const returns = this.warnings.filter((mark) => mark.kind === "went_back");
    const beta = this.changes.map((change) => this.upright(change, this.charts.data.colors.beta));
    return [...beta, ...returns.map((mark) => this.upright(mark, WARNING))];
  }

  upright(mark, color) {
    const [x] = this.charts.abscissa([mark]);
    const line = { color, width: 1, dash: "dot" };
    return { type: "line", yref: "paper", y0: 0, y1: 1, layer: "below", x0: x, x1: x, line };
  }

  // Where the curve of the total is at a step.
  height(step) {
    const total = this.charts.series.get("train/total");
    if (!total) return 0;
    const after = total.step.findIndex((each) => each >= step);
    return total.y[after < 0 ? total.y.length - 1 : after];
  }
}

// A sentence in lines that a label of a chart holds.
function wrapped(text) {
  return text.replaceAll("<", "&lt;").replace(/(.{36}\S*)\s/g, "$1<br>");
}
