// The curves, drawn by Plotly and updated in place: zoom, hover and hidden curves survive every
// update.

import { context } from "../shared/canvas.js";
import { element, find } from "../shared/elements.js";
import { explain } from "../shared/glossary.js";
import { plotlySource } from "../shared/plotly_source.js";
import { saveMenu } from "../shared/save_chart.js";
import { Annotations } from "./annotations.js";
import { DrawScheduler } from "./draw_scheduler.js";
import { KlCharts } from "./kl.js";
import { abscissa, Curves, unitOf } from "./series.js";
import { isExtra, Terms, termOf } from "./terms.js";

/** @import { PlotlyLibrary } from "../shared/plotly.js" */
/** @import { MonitorData } from "./monitor.js" */
/** @import { Abscissa, Limits, News } from "./series.js" */

const MOST_POINTS = 4000; // of one curve, before a decimated set is asked for
const MARKED = 25; // below as many validations each is marked by a dot
const ZOOM_PAUSE_MS = 180;
const MINUTES_FROM_S = 600;
const OPTIONS = { displayModeBar: false, responsive: true, doubleClick: "reset+autosize" };
const OTHER_HUES = ["#009E73", "#56B4E9", "#8A8F98", "#882255"];

/**
 * @typedef {object} PlotlyAxis
 * @property {boolean} [autorange]
 * @property {[number, number]} range
 *
 * @typedef {object} Drawn what Plotly adds to the element
 * @property {{ xaxis: PlotlyAxis }} [layout]
 * @property {(event: string, act: (change: object) => void) => void} [on]
 *
 * @typedef {(limits: Limits | null, again?: boolean) => void} Ask for the curves whole, decimated
 *   to `limits`, unless that is what was asked for last; `again` asks even then
 */

export class Charts {
  /** @type {PlotlyLibrary | undefined} */
  plotly;
  /** @type {Abscissa} */
  x = "step";
  y = "linear";
  /** @type {number | null} */
  stepsPerEpoch = null;
  minutes = false;
  decimated = false;
  listening = false;
  /** The axis that the chart was drawn with. @type {string | undefined} */
  drawn;
  /** @type {string | undefined} */
  theme;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  zoomPause;
  /** @type {HTMLElement[]} */
  menus = [];
  curves = new Curves();
  scheduler = new DrawScheduler();

  /** @param {HTMLElement} root @param {MonitorData} data @param {Ask} ask */
  constructor(root, data, ask) {
    this.root = root;
    this.data = data;
    this.ask = ask;
    this.loss = /** @type {HTMLElement & Drawn} */ (find(root, ".vm-loss"));
    this.annotations = new Annotations(this);
    this.kl = new KlCharts(this);
    this.terms = new Terms(this);
    this.wire("x");
    this.wire("y");
    for (const [plot, name] of /** @type {const} */ ([
      [this.loss, "loss"],
      [this.kl.bars, "kl-now"],
      [this.kl.heat, "kl-over-time"],
    ])) {
      this.offerSaving(plot, name, find(plot.parentElement ?? root, ".vm-title"));
    }
    this.resizing = new ResizeObserver(() => this.resize());
    this.resizing.observe(root);
  }

  clear() {
    for (const each of [this.curves, this.annotations, this.kl]) each.clear();
    this.decimated = false;
  }

  remove() {
    this.scheduler.remove();
    this.resizing.disconnect();
    clearTimeout(this.zoomPause);
    for (const plot of this.plots()) this.plotly?.purge(plot);
    for (const menu of this.menus) menu.remove();
  }

  /**
   * The menu that saves a chart, in its title.
   * @param {HTMLElement} plot @param {string} name @param {HTMLElement} title
   */
  offerSaving(plot, name, title) {
    const { plotly, run } = this.data;
    const menu = saveMenu(plotlySource(plot, `${run}-${name}`, plotly));
    this.menus.push(menu);
    title.append(menu);
  }

  plots() {
    return [this.loss, ...this.kl.plots(), ...this.terms.plots()];
  }

  // --- data ---------------------------------------------------------------------------------------

  /** @param {News} news */
  add(news) {
    if (news.restart) this.clear();
    if (news.decimated !== undefined) this.decimated = news.decimated;
    for (const each of [this.curves, this.annotations, this.kl]) each.add(news);
    if (Math.max(0, ...this.curves.lengths()) > MOST_POINTS) this.ask(this.limits(), true);
  }

  /** @param {News} news */
  update(news) {
    this.add(news);
    const curves = news.train || news.validation || news.changes || news.marks || news.restart;
    if (this.theme !== this.themeNow()) this.drawAll();
    else if (this.plotly) {
      if (curves) this.drawCurves();
      if (news.kl || news.restart) this.kl.draw();
    }
  }

  drawAll() {
    if (!this.plotly) return;
    this.theme = this.themeNow();
    this.drawCurves();
    this.kl.draw();
  }

  drawCurves() {
    this.scheduler.request(this.loss, () => this.drawLoss());
    this.terms.draw();
  }

  // --- the curves ---------------------------------------------------------------------------------

  drawLoss() {
    const names = this.curves.names().filter((name) => !isExtra(name));
    if (!this.curves.names().length) {
      this.blank(this.loss); // a chart of nothing has axes of nothing
      return;
    }
    // While somebody looks at a stretch, its numbers keep their unit.
    if (this.drawn !== this.x || !this.limits()) {
      this.minutes = this.x === "time" && this.curves.lastTime() > MINUTES_FROM_S;
    }
    // The total lies lowest: where it is nearly the reconstruction, both stay visible.
    names.sort((a, b) => Number(b.endsWith("/total")) - Number(a.endsWith("/total")));
    const traces = [...names.map((name) => this.curve(name)), ...this.annotations.traces()];
    this.react(this.loss, traces, this.lossLayout());
    this.drawn = this.x;
    if (!this.listening) {
      this.listening = true;
      this.loss.on?.("plotly_relayout", (change) => this.zoomed(change));
    }
    this.look();
    this.offerLog(names);
    this.loss.dataset.points = String(this.curves.lengths().reduce((sum, each) => sum + each, 0));
  }

  /** @param {HTMLElement} plot @param {object[]} traces @param {object} layout */
  react(plot, traces, layout) {
    this.plotly?.react(plot, traces, layout, OPTIONS);
    explain(plot);
  }

  /** An empty panel in place of a chart. @param {HTMLElement} plot */
  blank(plot) {
    if (!plot.firstChild) return;
    this.plotly?.purge(plot); // with it go its listeners
    plot.replaceChildren();
    if (plot !== this.loss) return;
    this.listening = false;
    this.drawn = undefined;
    plot.dataset.points = "0";
  }

  /** @param {string} name */
  curve(name) {
    const term = termOf(name);
    const validation = name.startsWith("validation/");
    const points = this.curves.get(name);
    const { length } = points.y;
    const lines = validation && length < MARKED ? "lines+markers" : "lines";
    return {
      type: "scatter",
      mode: length === 1 ? "markers" : lines,
      marker: { size: validation ? 4 : 5 },
      name: term,
      legendgroup: term,
      legendrank: term === "total" ? 1001 : 1000,
      showlegend: !validation,
      x: this.abscissa(points),
      y: [...points.y],
      line: {
        color: this.hue(term),
        width: term === "total" ? 2.6 : 1.6,
        dash: validation ? "dash" : "solid",
      },
      hovertemplate: `${term}${validation ? " (validation)" : ""} %{y:.5~g}<extra></extra>`,
      uid: name.replace(/\W/g, "-"), // Plotly makes a CSS class of it
    };
  }

  /** @param {{ step: number[], time: number[] }} points */
  abscissa(points) {
    return abscissa(points, this.x, this);
  }

  lossLayout() {
    const titles = { step: "step", epoch: "epoch", time: `training time (${this.minutes ? "min" : "s"})` };
    const legend = {
      orientation: "h",
      x: 0,
      y: 1,
      xanchor: "left",
      yanchor: "bottom",
      bgcolor: "rgba(0,0,0,0)",
    };
    return {
      ...this.layout({ l: 52, r: 6, t: 24, b: 38 }),
      hovermode: "x unified",
      showlegend: true,
      legend,
      xaxis: { ...this.axis(titles[this.x]), uirevision: this.x },
      yaxis: {
        ...this.axis("nats per image"),
        type: this.y,
        uirevision: this.y,
        ...(this.y === "log" ? { dtick: "D2" } : {}),
      },
      shapes: this.annotations.shapes(),
    };
  }

  // --- looks ----------------------------------------------------------------------------------------

  /** @param {string} name */
  css(name) {
    return getComputedStyle(this.root).getPropertyValue(name).trim();
  }

  /** A colour of the theme, whatever it was written as, as #rrggbb. @param {string} name */
  hex(name) {
    const pen = context(element("canvas"));
    pen.fillStyle = this.css(name);
    return String(pen.fillStyle);
  }

  themeNow() {
    return this.css("--st-text-color") + this.css("--st-background-color");
  }

  /** @param {string} term */
  hue(term) {
    if (term === "total") return this.css("--st-text-color");
    return this.data.colors[term] ?? OTHER_HUES[this.terms.place(term) % OTHER_HUES.length];
  }

  /** @param {{ l: number, r: number, t: number, b: number }} margin */
  layout(margin) {
    return {
      autosize: true,
      margin,
      uirevision: "kept",
      separators: ".\u2009",
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: this.css("--st-font") || "sans-serif", size: 11, color: this.css("--st-text-color") },
      hoverlabel: { bgcolor: this.css("--st-background-color"), font: { size: 12 } },
      dragmode: "zoom",
      showlegend: false,
    };
  }

  /** @param {string} title */
  axis(title) {
    const line = this.css("--st-border-color");
    return {
      title: { text: title, standoff: 6 },
      gridcolor: line,
      linecolor: line,
      zeroline: false,
      exponentformat: "none",
      separatethousands: true,
      automargin: false,
    };
  }

  resize() {
    for (const plot of this.plots()) {
      if (plot.offsetParent && plot.querySelector(".main-svg")) this.plotly?.Plots.resize(plot);
    }
  }

  // --- what the person does ---------------------------------------------------------------------------

  /** Let the buttons of a group set an axis. @param {"x" | "y"} name */
  wire(name) {
    const buttons = [...find(this.root, `.vm-switch[data-name=${name}]`).querySelectorAll("button")];
    const show = () => {
      for (const each of buttons) {
        each.setAttribute("aria-pressed", String(each.dataset.value === this[name]));
      }
    };
    for (const each of buttons) {
      each.onclick = () => {
        Object.assign(this, { [name]: each.dataset.value });
        show();
        this.drawAll();
        this.scheduler.hurry();
      };
    }
    show();
  }

  /** A logarithm needs positive values; a learned σ can make nats negative. @param {string[]} names */
  offerLog(names) {
    const negative = names.some((name) => this.curves.get(name).y.some((y) => y < 0));
    const button = /** @type {HTMLButtonElement} */ (find(this.root, 'button[data-value="log"]'));
    button.disabled = negative;
    button.title = negative ? "Some values are below zero, so there is no logarithm to show." : "";
  }

  /** @param {object} change */
  zoomed(change) {
    if (!Object.keys(change).some((key) => key.startsWith("xaxis"))) return;
    clearTimeout(this.zoomPause);
    this.zoomPause = setTimeout(() => this.look(), ZOOM_PAUSE_MS);
  }

  // Where points were left out, ask for those of the stretch that is looked at. The chart is what
  // says which one that is: after a zoom, another axis, a new connection, an answer come late.
  look() {
    if (this.decimated) this.ask(this.limits());
  }

  /** @returns {Limits | null} */
  limits() {
    const axis = this.loss.layout?.xaxis;
    if (axis?.autorange !== false || this.drawn !== this.x) return null;
    const [low, high] = axis.range.map((value) => value * unitOf(this.x, this));
    return { axis: this.x === "time" ? "time" : "step", low, high };
  }
}
