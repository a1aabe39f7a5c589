// Markup that Python wrote, taken over as it is; what is the same stays where it is.

import { element } from "../shared/elements.js";

/** @type {WeakMap<object, string>} */
const shown = new WeakMap();

/** @param {ComponentCall<string>} call */
export default function ({ parentElement, data: [markup] }) {
  if (shown.get(parentElement) === markup) return;
  shown.set(parentElement, markup);
  parentElement.querySelector(".drawing")?.remove();
  const root = element("div", { class: "drawing" });
  root.innerHTML = markup;
  parentElement.append(root);
}
