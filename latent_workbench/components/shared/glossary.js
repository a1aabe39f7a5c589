// The words of the app where they stand on charts: each says what it means, and leads to the glossary.

import terms from "../../shared/glossary.json" with { type: "json" };
import { liveAddress } from "./address.js";
import { element } from "./elements.js";

/** @typedef {{ term: string, says: string, also: string[], figure: string }} Term */

const WORD = /[\p{L}\p{N}_]/u;
const SVG = "http://www.w3.org/2000/svg";
const MARK = "data-term";

/**
 * The term that comes first in a title; of two that begin there, the longer one. As Python's `term_in`.
 * @param {string} text @returns {Term | null}
 */
export function termIn(text) {
  const lower = text.toLowerCase();
  /** @type {{ at: number, long: number, term: Term } | null} */
  let best = null;
  for (const term of /** @type {Term[]} */ (terms)) {
    for (const word of [term.term, ...term.also]) {
      for (
        let at = lower.indexOf(word.toLowerCase());
        at >= 0;
        at = lower.indexOf(word.toLowerCase(), at + 1)
      ) {
        const alone = !WORD.test(text[at - 1] ?? "") && !WORD.test(text[at + word.length] ?? "");
        if (!alone) continue;
        if (!best || at < best.at || (at === best.at && word.length > best.long)) {
          best = { at, long: word.length, term };
        }
        break;
      }
    }
  }
  return best?.term ?? null;
}

/** @param {Term} term */
export function addressOf(term) {
  const address = new URL(`../concepts`, liveAddress(["x"]));
  address.searchParams.set("concepts-tab", "Glossary");
  address.searchParams.set("term", term.term);
  return address.href;
}

/** A label that leads to what it means, where it names a term. @param {string} label @returns {Node} */
export function linkedLabel(label) {
  const term = termIn(label);
  if (!term) return document.createTextNode(label);
  return element("a", { class: "term", href: addressOf(term), target: "_blank", title: term.says }, [label]);
}

/** Titles of axes and entries of the legend of a chart that Plotly has drawn. @param {ParentNode} root */
export function explain(root) {
  for (const text of root.querySelectorAll(".xtitle, .ytitle, .legendtext, .colorbar text")) {
    const words = text.textContent ?? "";
    if (text.getAttribute(MARK) === words) continue;
    text.setAttribute(MARK, words);
    const term = termIn(words);
    if (term) link(/** @type {SVGTextElement} */ (text), term);
  }
}

/**
 * Title and link of a word; that of a legend keeps its own click, which hides a curve, so its link is a
 * mark behind it.
 * @param {SVGTextElement} text @param {Term} term
 */
function link(text, term) {
  const inLegend = text.classList.contains("legendtext");
  const anchor = document.createElementNS(SVG, "a");
  anchor.setAttribute("href", addressOf(term));
  anchor.setAttribute("target", "_blank");
  anchor.setAttribute("data-testid", "term-link");
  anchor.setAttribute("aria-label", `${term.term}: ${term.says}`);
  const title = document.createElementNS(SVG, "title");
  title.textContent = term.says;
  if (!inLegend) {
    text.style.pointerEvents = "all";
    text.style.textDecoration = "underline dotted";
    text.before(anchor);
    anchor.append(title, text);
    return;
  }
  const mark = document.createElementNS(SVG, "text");
  for (const name of ["y", "style"]) mark.setAttribute(name, text.getAttribute(name) ?? "");
  const box = text.getBBox();
  mark.setAttribute("x", String(box.x + box.width + 3));
  mark.style.pointerEvents = "all";
  mark.style.opacity = "0.6";
  mark.style.cursor = "help";
  mark.textContent = "?";
  anchor.append(title, mark);
  text.parentNode?.append(anchor);
}
