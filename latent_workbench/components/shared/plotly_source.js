// A chart of Plotly's, to be saved: as Plotly draws it, and the numbers that it was drawn from.

import { loadPlotly } from "./plotly.js";
import { asCsv } from "./save_chart.js";

/** @import { Source } from "./save_chart.js" */

/**
 * @typedef {object} Trace
 * @property {string} [name]
 * @property {ArrayLike<unknown>} [x]
 * @property {ArrayLike<unknown>} [y]
 * @property {ArrayLike<ArrayLike<unknown>>} [z] of a heat map
 * @property {ArrayLike<unknown>} [text]
 * @property {{ array?: ArrayLike<unknown>, arrayminus?: ArrayLike<unknown> }} [error_x]
 * @property {{ array?: ArrayLike<unknown>, arrayminus?: ArrayLike<unknown> }} [error_y]
 *
 * @typedef {HTMLElement & { data?: Trace[], _fullData?: Trace[], layout?: object }} Plot what Plotly
 *   makes of an element; it keeps the traces as it understood them in `_fullData`
 */

/**
 * @param {Plot} plot
 * @param {string} name
 * @param {string} version of the library that the server has
 * @returns {Source}
 */
export function plotlySource(plot, name, version) {
  return {
    name,
    svg: () => svgOf(plot, version),
    csv: () => asCsv(rowsOf(plot._fullData ?? plot.data ?? [])),
  };
}

/** @param {Plot} plot @param {string} version */
async function svgOf(plot, version) {
  const { width, height } = plot.getBoundingClientRect();
  const layout = { ...plot.layout, width, height, autosize: false, paper_bgcolor: ground(plot) };
  const figure = { data: plot.data, layout, config: { staticPlot: true } };
  const plotly = await loadPlotly(version);
  return plotly.toImage(figure, { format: "svg", width, height, imageDataOnly: true });
}

/** What lies behind an element: its own colour, or that of whoever it lies in. @param {HTMLElement} inner */
export function ground(inner) {
  for (let each = /** @type {Element | null} */ (inner); each; each = around(each)) {
    const color = getComputedStyle(each).backgroundColor;
    if (color && color !== "transparent" && !/, 0\)$/.test(color)) return color;
  }
  return "#ffffff";
}

/** @param {Element} each */
function around(each) {
  const root = each.getRootNode();
  return each.parentElement ?? (root instanceof ShadowRoot ? root.host : null);
}

/** A row for each point of each trace. @param {Trace[]} traces */
export function rowsOf(traces) {
  return traces.flatMap((trace, i) => {
    const { x, y, z, text, error_x, error_y } = trace;
    const name = trace.name ?? `trace ${i}`;
    if (z) {
      return Array.from(z).flatMap((row, j) =>
        Array.from(row, (value, k) => ({ trace: name, x: x?.[k] ?? k, y: y?.[j] ?? j, z: value })),
      );
    }
    return Array.from({ length: Math.max(x?.length ?? 0, y?.length ?? 0) }, (_, k) => {
      /** @type {Record<string, unknown>} */
      const row = { trace: name, x: x?.[k] ?? k, y: y?.[k] ?? "" };
      const words = typeof text === "string" ? null : text;
      if (words?.length) row.text = words[k];
      for (const [axis, error] of /** @type {const} */ ([
        ["x", error_x],
        ["y", error_y],
      ])) {
        if (!error?.array) continue;
        row[`error_${axis}`] = error.array[k];
        if (error.arrayminus) row[`error_${axis}_minus`] = error.arrayminus[k];
      }
      return row;
    });
  });
}
