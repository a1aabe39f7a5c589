// The terms that only this family has: a small chart each, with its name, its value now and its unit.

const IN_COMMON = ["recon", "kl", "total"];

class Terms {
  constructor(root, charts) {
    this.root = root;
    this.charts = charts;
    this.panels = new Map(); // term -> {plot, now}
    root.replaceChildren();
  }

  has(name) {
    return !IN_COMMON.includes(name.split("/")[1]);
  }

  place(term) {
    return [...this.panels.keys()].indexOf(term);
  }

  plots() {
    return [...this.panels.values()].map((panel) => panel.plot);
  }

  names(term) {
    return ["train", "validation"]
      .map((split) => `${split}/${term}`)
      .filter((name) => this.charts.series.has(name));
  }

  draw() {
    const terms = new Set([...this.charts.series.keys()].filter((name) => this.has(name))
      .map((name) => name.split("/")[1]));
    for (const term of terms) if (!this.panels.has(term)) this.add(term);
    for (const [term, { plot }] of this.panels) {
      this.charts.pace.ask(plot, () => this.drawTerm(term, plot));
    }
  }

  drawTerm(term, plot) {
    const names = this.names(term);
    if (!names.length) { // the run began anew, and has not got so far
      put(this.panels.get(term).now, "");
      return this.charts.blank(plot);
    }
    const traces = names.map((name) => ({ ...this.charts.curve(name), showlegend: false }));
    this.charts.Plotly.react(plot, traces, this.layout(), CONFIG);
    this.tell(term);
  }

  add(term) {
    const { label = term, unit = "", help = "" } = this.charts.data.terms[term] ?? {};
    const panel = document.createElement("div");
    panel.className = "vm-panel";
    panel.title = help;
    const title = document.createElement("div");
    title.className = "vm-title";
    const name = document.createElement("b");
    name.textContent = label;
    const now = document.createElement("span");
    now.className = "vm-hint";
    const plot = document.createElement("div");
    plot.className = "vm-plot vm-term";
    plot.dataset.testid = `term-${term}`;
    title.append(name, now);
    panel.append(title, plot);
    this.root.append(panel);
    this.panels.set(term, { plot, now, unit });
  }

  tell(term) {
    const { y } = this.charts.series.get(this.names(term)[0]);
    const { now, unit } = this.panels.get(term);
    const value = String(Number(y[y.length - 1].toPrecision(3))).replace("-", "−");
    put(now, `${value} ${unit}`);
  }

  layout() {
    const { charts } = this;
    return {
      ...charts.layout(),
      uirevision: "kept",
      margin: { l: 46, r: 6, t: 4, b: 22 },
      hovermode: "x unified",
      showlegend: false,
      xaxis: { ...charts.axis(""), nticks: 4, uirevision: charts.x },
      yaxis: { ...charts.axis(""), nticks: 4 },
    };
  }
}
