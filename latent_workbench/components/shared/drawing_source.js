// A drawing of HTML and SVG, to be saved: its pictures where they stand, its words as text. Only what
// a drawing is made of is taken over; no file of ours lies in it, and no style sheet.

import { ground } from "./plotly_source.js";

const SVG = "http://www.w3.org/2000/svg";
const INHERITED = ["fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width", "opacity"];

/** @param {HTMLElement} root */
export function drawingAsSvg(root) {
  const box = root.getBoundingClientRect();
  const made = document.createElementNS(SVG, "svg");
  const [width, height] = [Math.ceil(box.width), Math.ceil(box.height)];
  set(made, { xmlns: SVG, width, height, viewBox: `0 0 ${width} ${height}` });
  const back = document.createElementNS(SVG, "rect");
  set(back, { width, height, fill: ground(root) });
  made.append(back);
  for (const picture of root.querySelectorAll("svg"))
    made.append(copied(picture, box), ...axis(picture, box));
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (parent && !parent.closest("svg") && node.textContent?.trim()) made.append(written(node, parent, box));
  }
  return new XMLSerializer().serializeToString(made);
}

/** @param {SVGSVGElement} picture @param {DOMRect} box */
function copied(picture, box) {
  const here = picture.getBoundingClientRect();
  const copy = /** @type {SVGSVGElement} */ (picture.cloneNode(true));
  const { color, fontFamily } = getComputedStyle(picture);
  const [x, y] = [here.left - box.left, here.top - box.top];
  copy.removeAttribute("style");
  set(copy, { x, y, width: here.width, height: here.height, "font-family": fontFamily });
  for (const each of [copy, ...copy.querySelectorAll("*")]) {
    for (const name of INHERITED) {
      if (each.getAttribute(name) === "currentColor") each.setAttribute(name, color);
    }
  }
  for (const title of copy.querySelectorAll("title")) title.remove(); // what is said when pointed at
  return copy;
}

/** The line below a picture, where it has one. @param {SVGSVGElement} picture @param {DOMRect} box */
function axis(picture, box) {
  const { borderBottomColor, borderBottomStyle, borderBottomWidth } = getComputedStyle(picture);
  if (borderBottomStyle === "none") return [];
  const { left, right, bottom } = picture.getBoundingClientRect();
  const line = document.createElementNS(SVG, "line");
  const y = bottom - box.top;
  set(line, { x1: left - box.left, x2: right - box.left, y1: y, y2: y, stroke: borderBottomColor });
  line.setAttribute("stroke-width", borderBottomWidth);
  return [line];
}

/** @param {Node} node @param {Element} parent @param {DOMRect} box */
function written(node, parent, box) {
  const range = document.createRange();
  range.selectNodeContents(node);
  const here = range.getBoundingClientRect();
  const { color, fontFamily, fontSize, fontWeight } = getComputedStyle(parent);
  const made = document.createElementNS(SVG, "text");
  const y = here.top - box.top + here.height / 2 + Number.parseFloat(fontSize) * 0.35;
  set(made, { x: here.left - box.left, y, fill: color, "font-size": fontSize, "font-weight": fontWeight });
  made.setAttribute("font-family", fontFamily);
  made.textContent = node.textContent?.trim() ?? "";
  return made;
}

/** @param {Element} made @param {Record<string, string | number>} attributes */
function set(made, attributes) {
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
}
