// The curves, drawn by Plotly and updated in place: zoom, hover and hidden curves survive every
// update.

const HELD_AT_MOST = 4000; // points of one curve, before a decimated set is asked for
const MARKED = 25; // below as many validations each is marked by a dot
const ZOOM_PAUSE_MS = 180;
const MINUTES_FROM_S = 600;
const CONFIG = { displayModeBar: false, responsive: true, doubleClick: "reset+autosize" };
const OTHER_HUES = ["#009E73", "#56B4E9", "#8A8F98", "#882255"];

// version: of the library that the server has.
function loadPlotly(version) {
  window.__plotlyLoading ??= new Promise((done, fail) => {
    const script = document.createElement("script");
    script.src = liveAddress(["plotly.min.js"], { v: version });
    script.onload = () => done(window.Plotly);
    script.onerror = () => {
      window.__plotlyLoading = undefined;
      fail(new Error("plotly.min.js could not be loaded"));
    };
    document.head.append(script);
  });
  return window.__plotlyLoading;
}

class Charts {
  // `ask(limits or null, again)` requests the curves whole, decimated to `limits` = {axis, low,
  // high}, unless that is what was asked for last; `again` asks even then.
  constructor(root, data, ask) {
    this.loss = root.querySelector(".vm-loss");
    this.root = root;
    this.data = data;
    this.ask = ask;
    this.x = "step";
    this.y = "linear";
    this.stepsPerEpoch = null;
    this.pace = new Pace();
    this.marks = new Marks(this);
    this.kl = new KlCharts(root, this);
    this.terms = new Terms(root.querySelector(".vm-terms"), this);
    this.clear();
    for (const group of root.querySelectorAll(".vm-switch")) this.wire(group);
    this.resizing = new ResizeObserver(() => this.resize());
    this.resizing.observe(root);
  }

  clear() {
    this.series = new Map(); // "train/kl" -> {step, time, y}
    this.marks.clear();
    this.kl.clear();
    this.decimated = false;
  }

  remove() {
    this.pace.remove();
    this.resizing.disconnect();
    clearTimeout(this.zoomPause);
    for (const plot of this.plots()) this.Plotly?.purge(plot);
  }

  plots() {
    return [this.loss, ...this.kl.plots(), ...this.terms.plots()];
  }

  // --- data ---------------------------------------------------------------------------------------

  take(news) {
    if (news.restart) this.clear();
    if (news.decimated !== undefined) this.decimated = news.decimated;
    for (const split of ["train", "validation"]) {
      for (const [term, more] of Object.entries(news[split] ?? {})) {
        const name = `${split}/${term}`;
        const held = this.series.get(name);
        if (!held) this.series.set(name, more);
        else for (const key of ["step", "time", "y"]) held[key].push(...more[key]);
      }
    }
    this.marks.take(news);
    this.kl.take(news);
    const longest = Math.max(0, ...[...this.series.values()].map((held) => held.y.length));
    if (longest > HELD_AT_MOST) this.ask(this.limits(), true);
  }

  update(news) {
    this.take(news);
    const curves = news.train || news.validation || news.changes || news.marks || news.restart;
    if (this.theme !== this.themeNow()) this.drawAll();
    else if (this.Plotly) {
      if (curves) this.drawCurves();
      if (news.kl || news.restart) this.kl.draw();
    }
  }

  begin(Plotly) {
    this.Plotly = Plotly;
    this.drawAll();
  }

  drawAll() {
    if (!this.Plotly) return;
    this.theme = this.themeNow();
    this.drawCurves();
    this.kl.draw();
  }

  drawCurves() {
    this.pace.ask(this.loss, () => this.drawLoss());
    this.terms.draw();
  }

  // --- the curves ---------------------------------------------------------------------------------

  drawLoss() {
    if (!this.series.size) return this.blank(this.loss); // a chart of nothing has axes of nothing
    // While somebody looks at a stretch, its numbers keep their unit.
    if (this.drawn !== this.x || !this.limits()) {
      this.minutes = this.x === "time" && this.lastTime() > MINUTES_FROM_S;
    }
    // The total lies lowest: where it is nearly the reconstruction, both stay visible.
    const names = [...this.series.keys()].filter((name) => !this.terms.has(name));
    names.sort((a, b) => b.endsWith("/total") - a.endsWith("/total"));
    const traces = names.map((name) => this.curve(name));
    traces.push(...this.marks.traces());
    this.Plotly.react(this.loss, traces, this.lossLayout(), CONFIG);
    this.drawn = this.x;
    if (!this.listening) {
      this.listening = true;
      this.loss.on("plotly_relayout", (change) => this.zoomed(change));
    }
    this.look();
    this.offerLog(names);
    this.loss.dataset.points = [...this.series.values()].reduce((sum, held) => sum + held.y.length, 0);
  }

  // An empty panel in place of a chart.
  blank(plot) {
    if (!plot.firstChild) return;
    this.Plotly.purge(plot); // with it go its listeners
    plot.replaceChildren();
    if (plot === this.loss) Object.assign(this, { listening: false, drawn: undefined });
    if (plot === this.loss) plot.dataset.points = 0;
  }

  curve(name) {
    const [split, term] = name.split("/");
    const held = this.series.get(name);
    const { length } = held.y;
    const lines = split === "validation" && length < MARKED ? "lines+markers" : "lines";
    return {
      type: "scatter",
      mode: length === 1 ? "markers" : lines,
      marker: { size: split === "validation" ? 4 : 5 },
      name: term,
      legendgroup: term,
      legendrank: term === "total" ? 1001 : 1000,
      showlegend: split === "train",
      x: this.abscissa(held),
      y: [...held.y],
      line: {
        color: this.hue(term),
        width: term === "total" ? 2.6 : 1.6,
        dash: split === "validation" ? "dash" : "solid",
      },
      hovertemplate: `${term}${split === "validation" ? " (validation)" : ""} %{y:.5~g}<extra></extra>`,
      uid: name.replace(/\W/g, "-"), // Plotly makes a CSS class of it
    };
  }

  // Steps, epochs or time of a series, or of a list of marks.
  abscissa(held) {
    const of = (key) => (Array.isArray(held) ? held.map((each) => each[key]) : held[key]);
    if (this.x === "time") return of("time").map((t) => (this.minutes ? t / 60 : t));
    const scale = this.x === "epoch" ? 1 / (this.stepsPerEpoch || 1) : 1;
    return of("step").map((step) => step * scale);
  }

  lossLayout() {
    const titles = { step: "step", epoch: "epoch", time: `training time (${this.minutes ? "min" : "s"})` };
    return {
      ...this.layout(),
      uirevision: "kept",
      margin: { l: 52, r: 6, t: 24, b: 38 },
      hovermode: "x unified",
      showlegend: true,
      legend: { orientation: "h", x: 0, y: 1, xanchor: "left", yanchor: "bottom", bgcolor: "rgba(0,0,0,0)" },
      xaxis: { ...this.axis(titles[this.x]), uirevision: this.x },
      yaxis: { ...this.axis("nats per image"), type: this.y, uirevision: this.y,
        ...(this.y === "log" ? { dtick: "D2" } : {}) },
      shapes: this.marks.shapes(),
    };
  }

  // --- looks ----------------------------------------------------------------------------------------

  css(name) {
    return getComputedStyle(this.root).getPropertyValue(name).trim();
  }

  themeNow() {
    return this.css("--st-text-color") + this.css("--st-background-color");
  }

  hue(term) {
    if (term === "total") return this.css("--st-text-color");
    return this.data.colors[term] ?? OTHER_HUES[this.terms.place(term) % OTHER_HUES.length];
  }

  layout() {
    return {
      autosize: true,
      separators: ".\u2009",
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: this.css("--st-font") || "sans-serif", size: 11, color: this.css("--st-text-color") },
      hoverlabel: { bgcolor: this.css("--st-background-color"), font: { size: 12 } },
      dragmode: "zoom",
    };
  }

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
    if (!this.Plotly) return;
    for (const plot of this.plots()) {
      if (plot.offsetParent && plot.querySelector(".main-svg")) this.Plotly.Plots.resize(plot);
    }
  }

  // --- what the person does ---------------------------------------------------------------------------

  wire(group) {
    const name = group.dataset.name;
    const buttons = [...group.querySelectorAll("button")];
    const show = () => buttons.forEach((b) => b.setAttribute("aria-pressed", b.dataset.value === this[name]));
    for (const button of buttons) {
      button.onclick = () => {
        this[name] = button.dataset.value;
        show();
        this.drawAll();
        this.pace.hurry();
      };
    }
    show();
  }

  // A logarithm needs positive values; a learned σ can make nats negative.
  offerLog(names) {
    const negative = names.some((name) => this.series.get(name).y.some((y) => y < 0));
    const button = this.root.querySelector('button[data-value="log"]');
    button.disabled = negative;
    button.title = negative ? "Some values are below zero, so there is no logarithm to show." : "";
  }

  zoomed(change) {
    const touched = Object.keys(change).some((key) => key.startsWith("xaxis"));
    if (!touched) return;
    clearTimeout(this.zoomPause);
    this.zoomPause = setTimeout(() => this.look(), ZOOM_PAUSE_MS);
  }

  // Where points were left out, ask for those of the stretch that is looked at. The chart is what
  // says which one that is: after a zoom, another axis, a new connection, an answer come late.
  look() {
    if (this.decimated) this.ask(this.limits());
  }

  limits() {
    const axis = this.loss.layout?.xaxis;
    if (!axis || axis.autorange !== false || this.drawn !== this.x) return null;
    const scale = this.x === "epoch" ? this.stepsPerEpoch || 1 : this.minutes ? 60 : 1;
    const [low, high] = axis.range.map((value) => value * scale);
    return { axis: this.x === "time" ? "time" : "step", low, high };
  }

  lastTime() {
    return Math.max(0, ...[...this.series.values()].map((held) => held.time[held.time.length - 1]));
  }
}

function isDark(color) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.fillStyle = color; // whatever it was, it reads back as #rrggbb
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(pen.fillStyle.slice(i, i + 2), 16));
  return 0.299 * r + 0.587 * g + 0.114 * b < 128;
}
