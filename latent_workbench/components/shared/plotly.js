// The plotting library, as the server has it: loaded when it is first wanted.

import { liveAddress } from "./address.js";
import { element } from "./elements.js";

/**
 * @typedef {object} PlotlyLibrary what is used of it
 * @property {(plot: HTMLElement, traces: object[], layout: object, options: object) => void} react
 * @property {(plot: HTMLElement) => void} purge
 * @property {{ resize: (plot: HTMLElement) => void }} Plots
 * @property {(figure: object, how: object) => Promise<string>} toImage
 */

/** @type {Promise<PlotlyLibrary> | undefined} */
let loading;

/** @param {string} version of the library that the server has @returns {Promise<PlotlyLibrary>} */
export function loadPlotly(version) {
  loading ??= new Promise((done, fail) => {
    const script = element("script", { src: liveAddress(["plotly.min.js"], { v: version }).href });
    script.onload = () => done(/** @type {any} */ (window).Plotly);
    script.onerror = () => {
      loading = undefined;
      fail(new Error("plotly.min.js could not be loaded"));
    };
    document.head.append(script);
  });
  return loading;
}
