// The KL of every dimension: as bars now, as a heat map over the run.

import { find } from "../shared/elements.js";
import { isDark, transposed, wholeTicks } from "./series.js";

export class KlCharts {
  /** @type {number[]} */
  step = [];
  /** @type {number[][]} */
  values = [];

  /** @param {import("./charts.js").Charts} charts */
  constructor(charts) {
    this.bars = find(charts.root, ".vm-bars");
    this.heat = find(charts.root, ".vm-heat");
    this.charts = charts;
  }

  clear() {
    this.step = [];
    this.values = [];
  }

  plots() {
    return [this.bars, this.heat];
  }

  /** @param {import("./series.js").News} news */
  add(news) {
    const { step = [], values = [] } = news.kl ?? {};
    // A preview and a validation of the same step: the later one is of all unseen images.
    if (this.step.length && this.step.at(-1) === step[0]) {
      this.step.pop();
      this.values.pop();
    }
    this.step.push(...step);
    this.values.push(...values);
  }

  draw() {
    for (const plot of this.plots()) {
      if (!this.values.length) this.charts.blank(plot);
      // The run may begin anew before the turn of a chart comes.
      else this.charts.scheduler.request(plot, () => this.values.length && this.drawPlot(plot));
    }
  }

  /** @param {HTMLElement} plot */
  drawPlot(plot) {
    if (plot === this.bars) this.drawBars(this.values[this.values.length - 1]);
    else this.drawHeat();
  }

  /** @param {number[]} now */
  drawBars(now) {
    const { charts } = this;
    const bars = {
      type: "bar",
      x: now.map((_, k) => k + 1),
      y: now,
      marker: { color: charts.data.colors.kl },
      hovertemplate: "dimension %{x}: %{y:.3~g} nats<extra></extra>",
    };
    const layout = {
      ...charts.layout({ l: 46, r: 4, t: 4, b: 36 }),
      bargap: now.length > 64 ? 0 : 0.25,
      xaxis: { ...charts.axis("dimension"), showgrid: false, ...wholeTicks(now.length) },
      yaxis: { ...charts.axis("nats"), rangemode: "tozero", nticks: 4 },
    };
    charts.react(this.bars, [bars], layout);
  }

  drawHeat() {
    const { charts, values } = this;
    const dimensions = values[values.length - 1].map((_, k) => k + 1);
    const most = isDark(charts.hex("--st-background-color")) ? "#ffd98a" : "#8a4b00";
    const heat = {
      type: "heatmap",
      x: [...this.step],
      y: dimensions,
      z: transposed(values),
      zmin: 0,
      showscale: false,
      colorscale: [
        [0, "rgba(230,159,0,0.04)"],
        [0.4, "rgba(230,159,0,0.6)"],
        [1, most],
      ],
      hovertemplate: "step %{x}, dimension %{y}: %{z:.3~g} nats<extra></extra>",
    };
    const layout = {
      ...charts.layout({ l: 46, r: 4, t: 2, b: 36 }),
      xaxis: { ...charts.axis("step"), showgrid: false, nticks: 4 },
      yaxis: { ...charts.axis("dimension"), showgrid: false, ...wholeTicks(dimensions.length, 4) },
    };
    charts.react(this.heat, [heat], layout);
  }
}
