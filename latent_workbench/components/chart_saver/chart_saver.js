// Gives every Plotly chart that Streamlit draws the menu that saves it and links from its words to the
// glossary, whenever it appears.

import { explain } from "../shared/glossary.js";
import { plotlySource } from "../shared/plotly_source.js";
import { offerSaving } from "../shared/save_chart.js";

/** @import { Plot } from "../shared/plotly_source.js" */

const CHARTS = "[data-testid=stPlotlyChart]";

/** @type {WeakSet<Element>} */
const offered = new WeakSet();

/** @type {MutationObserver | undefined} */
let observer;

/** @param {ComponentCall<string>} call */
export default function ({ data: [version] }) {
  if (observer) return; // of an earlier run of the page: there is one document
  let waiting = false;
  const look = () => {
    waiting = false;
    for (const chart of document.querySelectorAll(CHARTS)) {
      offer(/** @type {HTMLElement} */ (chart), version);
      explain(chart);
    }
  };
  observer = new MutationObserver(() => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(look);
  });
  observer.observe(document.body, { childList: true, subtree: true });
  look();
}

/** @param {HTMLElement} chart @param {string} version */
function offer(chart, version) {
  if (offered.has(chart)) return;
  const plot = chart.querySelector(".js-plotly-plot");
  if (!plot) return;
  offered.add(chart);
  // The chart may be drawn anew in another element: it is looked for when it is saved.
  const source = () =>
    plotlySource(
      /** @type {Plot} */ (chart.querySelector(".js-plotly-plot") ?? plot),
      nameOf(chart),
      version,
    );
  offerSaving(chart, { name: nameOf(chart), svg: () => source().svg(), csv: () => source().csv?.() ?? "" });
}

/** The key that Python gave it, which Streamlit makes a class of. @param {Element} chart */
function nameOf(chart) {
  const keyed = chart.closest("[class*=st-key-]");
  return keyed?.className.match(/st-key-([\w-]+)/)?.[1] ?? "chart";
}
