// One menu for every chart: save it as SVG, PDF or PNG, and its numbers as CSV. A chart says how it
// becomes SVG; the other two are made of that, the PDF by the server.

import { liveAddress } from "./address.js";
import { context } from "./canvas.js";
import { button, download, element } from "./elements.js";

const PNG_SCALE = 3; // pixels for one of the page's: a column of a paper at 300 dots an inch
const FAILED = "The chart could not be saved. Check that the app still runs.";

/**
 * @typedef {object} Source a chart
 * @property {string} name of its files, without the ending
 * @property {() => Promise<string>} svg
 * @property {() => string} [csv] where it has numbers of its own
 * @property {boolean} [alone] true where there is no server, which makes the PDF
 */

const STYLE = `
  :host { display: inline-block; position: relative; z-index: 3; }
  :host(.over) { position: absolute; top: 0; right: 0; }
  button {
    all: unset; box-sizing: border-box; cursor: pointer; padding: 2px 5px; border-radius: 5px;
    font: 12px/18px var(--st-font, sans-serif); color: inherit;
  }
  .open { opacity: 0.45; }
  .open:hover, .open:focus-visible, .open[aria-expanded=true] { opacity: 1; }
  button:focus-visible { outline: 2px solid currentcolor; }
  .open svg { display: block; width: 16px; height: 16px; }
  .menu {
    position: absolute; right: 0; top: 100%; display: grid; min-width: 84px; padding: 4px; border-radius: 6px;
    background: Canvas; color: CanvasText; box-shadow: 0 2px 10px rgb(0 0 0 / 30%);
  }
  .menu[hidden] { display: none; }
  .menu button:hover { background: color-mix(in srgb, CanvasText 10%, transparent); }
  p { margin: 2px 5px; max-width: 220px; width: max-content; font: 12px/16px var(--st-font, sans-serif); }
  p:empty { display: none; }
`;

const ICON =
  '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true">' +
  '<path d="M12 4v11m-5-5 5 5 5-5M5 20h14"/></svg>';

/**
 * The menu, for whoever puts it somewhere.
 * @param {Source} source
 */
export function saveMenu(source) {
  const host = element("span", { "data-testid": "save-chart" });
  const inside = host.attachShadow({ mode: "open" });
  const menu = element("div", { class: "menu", role: "menu", hidden: "" });
  const problem = element("p", { role: "status" });
  const open = button("", "Save chart", () => show(Boolean(menu.hidden)), {
    class: "open",
    "aria-haspopup": "menu",
  });
  open.innerHTML = ICON;

  /** @param {boolean} shown */
  function show(shown) {
    menu.hidden = !shown;
    problem.textContent = "";
    open.setAttribute("aria-expanded", String(shown));
  }
  /** @type {[string, () => Promise<Blob>][]} */
  const ways = [
    ["svg", async () => new Blob([await source.svg()], { type: "image/svg+xml" })],
    ["pdf", async () => pdf(await source.svg())],
    ["png", async () => png(await source.svg())],
  ];
  if (source.alone) ways.splice(1, 1);
  const { csv } = source;
  if (csv) ways.push(["csv", async () => new Blob([csv()], { type: "text/csv" })]);
  for (const [kind, make] of ways) {
    const act = async () => {
      problem.textContent = "…";
      try {
        download(`${source.name}.${kind}`, await make());
        show(false);
      } catch (error) {
        problem.textContent = error instanceof Refused ? error.message : FAILED;
        if (!(error instanceof Refused)) reportError(error);
      }
    };
    menu.append(button(kind.toUpperCase(), `Save as ${kind.toUpperCase()}`, act, { role: "menuitem" }));
  }
  menu.append(problem);
  host.addEventListener("keydown", (event) => event.key === "Escape" && show(false));
  host.addEventListener("focusout", (event) => {
    const next = event.relatedTarget;
    if (next instanceof Node && !host.contains(next)) show(false);
  });
  inside.append(element("style", {}, [STYLE]), open, menu);
  return host;
}

/**
 * The menu at the upper right corner of a chart.
 * @param {HTMLElement} place @param {Source} source
 */
export function offerSaving(place, source) {
  const menu = saveMenu(source);
  menu.classList.add("over");
  // What is not on the page yet has no style.
  if (["", "static"].includes(getComputedStyle(place).position)) place.style.position = "relative";
  place.append(menu);
  return menu;
}

/** What the server says that a person can mend. */
class Refused extends Error {}

/** @param {string} svg */
async function pdf(svg) {
  const response = await fetch(liveAddress(["charts", "pdf"]), { method: "POST", body: svg });
  if (response.ok) return response.blob();
  throw new Refused((await response.json()).message);
}

/** @param {string} svg @returns {Promise<Blob>} */
async function png(svg) {
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  try {
    await image.decode();
    const [width, height] = [image.naturalWidth * PNG_SCALE, image.naturalHeight * PNG_SCALE];
    const canvas = element("canvas", { width, height });
    context(canvas).drawImage(image, 0, 0, width, height);
    return await new Promise((done, fail) =>
      canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("no picture")))),
    );
  } finally {
    URL.revokeObjectURL(image.src);
  }
}

/**
 * Rows as CSV, RFC 4180; the columns of all of them, in the order of their appearance.
 * @param {Record<string, unknown>[]} rows
 */
export function asCsv(rows) {
  const columns = [...new Set(rows.flatMap(Object.keys))];
  const line = (/** @type {unknown[]} */ cells) => cells.map(quoted).join(",");
  return `${[line(columns), ...rows.map((row) => line(columns.map((name) => row[name])))].join("\r\n")}\r\n`;
}

/** @param {unknown} cell */
function quoted(cell) {
  const text = cell === null || cell === undefined ? "" : String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
