// A pen that writes SVG where a canvas would have pixels: so much of a canvas's as our charts use,
// which are drawn by the same code either way.

import { context } from "./canvas.js";
import { element } from "./elements.js";

const ANCHORS = { left: "start", right: "end", center: "middle", start: "start", end: "end" };
const DIGITS = 2;

/** @typedef {CanvasRenderingContext2D | SvgPen} Pen */

export class SvgPen {
  strokeStyle = "#000";
  fillStyle = "#000";
  lineWidth = 1;
  globalAlpha = 1;
  font = "10px sans-serif";
  /** @type {keyof typeof ANCHORS} */
  textAlign = "start";
  textBaseline = "alphabetic";
  imageSmoothingEnabled = true;
  /** @type {number[]} */
  dash = [];
  /** @type {string[]} */
  parts = [];
  /** @type {string[]} */
  path = [];
  /** @type {object[]} */
  states = [];

  /** @param {number} width @param {number} height @param {string} ground the colour behind all */
  constructor(width, height, ground) {
    this.size = [width, height];
    this.fillStyle = ground;
    this.fillRect(0, 0, width, height);
  }

  /** All that was drawn. */
  text() {
    const [width, height] = this.size;
    const head = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`;
    return `${head}${this.parts.join("")}</svg>`;
  }

  /** @param {string} tag @param {Record<string, string | number>} attributes @param {string} [inner] */
  add(tag, attributes, inner) {
    const told = Object.entries(attributes).map(([name, value]) => ` ${name}="${escaped(value)}"`);
    this.parts.push(`<${tag}${told.join("")}${inner === undefined ? "/>" : `>${escaped(inner)}</${tag}>`}`);
  }

  save() {
    const { strokeStyle, fillStyle, lineWidth, globalAlpha, font, textAlign, textBaseline, dash } = this;
    this.states.push({ strokeStyle, fillStyle, lineWidth, globalAlpha, font, textAlign, textBaseline, dash });
  }

  restore() {
    Object.assign(this, this.states.pop());
  }

  /** @param {number[]} dash */
  setLineDash(dash) {
    this.dash = dash;
  }

  beginPath() {
    this.path = [];
  }

  /** @param {number} x @param {number} y */
  moveTo(x, y) {
    this.path.push(`M${short(x)} ${short(y)}`);
  }

  /** @param {number} x @param {number} y */
  lineTo(x, y) {
    this.path.push(`${this.path.length ? "L" : "M"}${short(x)} ${short(y)}`);
  }

  closePath() {
    this.path.push("Z");
  }

  /** A whole circle, whatever is said after the radius. @param {number} x @param {number} y @param {number} r */
  arc(x, y, r) {
    this.ellipse(x, y, r, r);
  }

  /** A whole one likewise. @param {number} x @param {number} y @param {number} a @param {number} b */
  ellipse(x, y, a, b) {
    const [from, to] = [`${short(x - a)} ${short(y)}`, `${short(x + a)} ${short(y)}`];
    const half = `A${short(a)} ${short(b)} 0 0 1`;
    this.path.push(`M${from}${half} ${to}${half} ${from}Z`);
  }

  stroke() {
    this.add("path", { d: this.path.join(""), fill: "none", ...this.line() });
  }

  fill() {
    this.add("path", { d: this.path.join(""), ...this.inside() });
  }

  /** @param {number} x @param {number} y @param {number} width @param {number} height */
  fillRect(x, y, width, height) {
    this.add("rect", {
      x: short(x),
      y: short(y),
      width: short(width),
      height: short(height),
      ...this.inside(),
    });
  }

  /** @param {string} text @param {number} x @param {number} y */
  fillText(text, x, y) {
    this.add("text", { ...this.letters(x, y), ...this.inside() }, text);
  }

  /** @param {string} text @param {number} x @param {number} y */
  strokeText(text, x, y) {
    const looks = { fill: "none", ...this.line(), "stroke-linejoin": "round" };
    this.add("text", { ...this.letters(x, y), ...looks }, text);
  }

  /** @param {string} text */
  measureText(text) {
    const pen = context(element("canvas"));
    pen.font = this.font;
    return pen.measureText(text);
  }

  /**
   * Part of a picture, as large as it is there.
   * @param {CanvasImageSource} source
   * @param {number} left @param {number} top @param {number} width @param {number} height of it
   * @param {number} x @param {number} y @param {number} w @param {number} h on the chart
   */
  drawImage(source, left, top, width, height, x, y, w, h) {
    const tile = element("canvas", { width, height });
    context(tile).drawImage(source, left, top, width, height, 0, 0, width, height);
    /** @type {Record<string, string>} */
    const look = this.imageSmoothingEnabled ? {} : { style: "image-rendering: pixelated" };
    const place = { x: short(x), y: short(y), width: short(w), height: short(h) };
    this.add("image", { href: tile.toDataURL("image/png"), ...place, opacity: this.globalAlpha, ...look });
  }

  line() {
    const { strokeStyle, lineWidth, globalAlpha, dash } = this;
    /** @type {Record<string, string | number>} */
    const looks = { stroke: strokeStyle, "stroke-width": lineWidth };
    if (globalAlpha < 1) looks["stroke-opacity"] = globalAlpha;
    if (dash.length) looks["stroke-dasharray"] = dash.join(" ");
    return looks;
  }

  inside() {
    /** @type {Record<string, string | number>} */
    const looks = { fill: this.fillStyle };
    if (this.globalAlpha < 1) looks["fill-opacity"] = this.globalAlpha;
    return looks;
  }

  /** @param {number} x @param {number} y */
  letters(x, y) {
    const [, weight, size, family] = this.font.match(/^(?:(\d+|bold) )?([\d.]+px) (.*)$/) ?? [];
    const middle = this.textBaseline === "middle" ? 0.35 * Number.parseFloat(size ?? "0") : 0;
    return {
      x: short(x),
      y: short(y + middle),
      "font-family": family ?? "sans-serif",
      "font-size": size ?? "10px",
      ...(weight ? { "font-weight": weight } : {}),
      "text-anchor": ANCHORS[this.textAlign],
    };
  }
}

/** @param {number} value */
function short(value) {
  return Number(value.toFixed(DIGITS));
}

/** @param {string | number} value */
function escaped(value) {
  return String(value)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
