// The KL of every dimension: as bars now, as a heat map over the run.

class KlCharts {
  constructor(root, charts) {
    this.bars = root.querySelector(".vm-bars");
    this.heat = root.querySelector(".vm-heat");
    this.charts = charts;
    this.clear();
  }

  clear() {
    this.step = [];
    this.values = [];
  }

  plots() {
    return [this.bars, this.heat];
  }

  take(news) {
    const { step = [], values = [] } = news.kl ?? {};
    // A preview and a validation of the same step: the later one is of all unseen images.
    if (this.step.at(-1) === step[0]) for (const key of ["step", "values"]) this[key].pop();
    this.step.push(...step);
    this.values.push(...values);
  }

  draw() {
    if (!this.values.length) return this.plots().forEach((plot) => this.charts.blank(plot));
    this.charts.pace.ask(this.bars, () => this.drawBars());
    this.charts.pace.ask(this.heat, () => this.drawHeat());
  }

  drawBars() {
    const { charts } = this;
    if (!this.values.length) return; // the run began anew before its turn came
    const now = this.values[this.values.length - 1];
    charts.Plotly.react(
      this.bars,
      [{ type: "bar", x: now.map((_, k) => k + 1), y: now, marker: { color: charts.data.colors.kl },
         hovertemplate: "dimension %{x}: %{y:.3~g} nats<extra></extra>" }],
      { ...this.layout(), margin: { l: 46, r: 4, t: 4, b: 36 }, bargap: now.length > 64 ? 0 : 0.25,
        xaxis: { ...charts.axis("dimension"), showgrid: false, ...wholeTicks(now.length) },
        yaxis: { ...charts.axis("nats"), rangemode: "tozero", nticks: 4 } },
      CONFIG,
    );
  }

  drawHeat() {
    const { charts, values } = this;
    if (!values.length) return;
    const dimensions = values[values.length - 1].map((_, k) => k + 1);
    charts.Plotly.react(
      this.heat,
      [{ type: "heatmap", x: [...this.step], y: dimensions, z: transposed(values), zmin: 0,
         showscale: false,
         colorscale: [[0, "rgba(230,159,0,0.04)"], [0.4, "rgba(230,159,0,0.6)"],
                      [1, isDark(charts.css("--st-background-color")) ? "#ffd98a" : "#8a4b00"]],
         hovertemplate: "step %{x}, dimension %{y}: %{z:.3~g} nats<extra></extra>" }],
      { ...this.layout(), margin: { l: 46, r: 4, t: 2, b: 36 },
        xaxis: { ...charts.axis("step"), showgrid: false, nticks: 4 },
        yaxis: { ...charts.axis("dimension"), showgrid: false,
          ...wholeTicks(dimensions.length, 4) } },
      CONFIG,
    );
  }

  layout() {
    return { ...this.charts.layout(), uirevision: "kept", showlegend: false };
  }
}

function transposed(rows) {
  return rows[rows.length - 1].map((_, k) => rows.map((row) => row[k]));
}

function wholeTicks(count, most = 8) {
  const tick = [1, 2, 4, 5, 8, 10, 16, 20, 32, 50, 64, 100, 128, 200, 256, 512]
    .find((each) => count / each <= most);
  return { tick0: tick === 1 ? 1 : 0, dtick: tick ?? 1024 };
}
