// Markup that Python wrote, taken over as it is; what is the same stays where it is.

import { drawingAsSvg } from "../shared/drawing_source.js";
import { element } from "../shared/elements.js";
import { offerSaving } from "../shared/save_chart.js";

/** @typedef {{ name: string, markup: string, csv: string }} Drawing csv: "" where it has no numbers */

/** @type {WeakMap<object, string>} */
const shown = new WeakMap();

/** @param {ComponentCall<Drawing>} call */
export default function ({ parentElement, data: [{ name, markup, csv }] }) {
  if (shown.get(parentElement) === markup) return;
  shown.set(parentElement, markup);
  parentElement.querySelector(".drawing")?.remove();
  const inside = element("div");
  inside.innerHTML = markup;
  const root = element("div", { class: "drawing" }, [inside]);
  const svg = async () => drawingAsSvg(inside);
  offerSaving(root, csv ? { name, svg, csv: () => csv } : { name, svg });
  parentElement.append(root);
}
