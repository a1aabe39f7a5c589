// What Explore has beyond the two sliders of the first page: map, location, path, and the windows to
// start from and to save.

import { element } from "../shared/elements.js";
import { DrawingBoard } from "./drawing_board.js";
import { ImagePicker } from "./image_picker.js";
import { LatentMap } from "./latent_map.js";
import { LocationPanel } from "./location_panel.js";
import { PathPanel } from "./path_panel.js";
import { REACH } from "./point.js";
import { SaveDialog, SWING_FRAMES } from "./save_dialog.js";
import { StartingPoints } from "./starting_points.js";
import { startBar } from "./toolbar.js";

/** @typedef {import("./explorer.js").Explorer} Explorer */

/**
 * @typedef {object} Panels
 * @property {StartingPoints} starts
 * @property {PathPanel} path
 * @property {LatentMap | null} map
 * @property {LocationPanel | null} location
 * @property {DrawingBoard} board
 */

/** Build them into the explorer. @param {Explorer} explorer @returns {Panels} */
export function buildPanels(explorer) {
  const { data, thumbnails } = explorer;
  const starts = new StartingPoints(explorer);
  const on = {
    onPick: (/** @type {number} */ index) => starts.pick(index),
    nameOf: (/** @type {number} */ index, /** @type {number | undefined} */ most = undefined) =>
      starts.nameOf(index, most),
    onRelease: () => explorer.release(),
    onPause: () => explorer.releaseSoon(),
    onHoldOut: (/** @type {Blob} */ blob) => starts.encode(blob, false),
  };
  const path = new PathPanel({
    ...on,
    onMove: (z) => explorer.carry(path, z),
    here: () => explorer.point.vector(),
    onEnds: () => explorer.tellPython(),
    ask: (ends) => explorer.decoder?.ask("ends", ends),
  });
  const right = element("div", { class: "right" }, [path.root]);
  const { map, location } = data.plane
    ? buildMap(explorer, data.plane, starts, on, right)
    : { map: null, location: null };
  const board = new DrawingBoard((blob) => starts.encode(blob, true));
  const picker = new ImagePicker(data, starts.labels, thumbnails, on);
  const saver = new SaveDialog(data.run, saveSource(explorer, path));
  const bar = startBar(explorer, { picker, board, saver, onFile: on.onHoldOut });
  explorer.panes.append(right, bar);
  explorer.root.append(picker.root, saver.root, board.root);
  return { starts, path, map, location, board };
}

/**
 * @param {Explorer} explorer
 * @param {import("./latent_map.js").PlaneData} plane
 * @param {StartingPoints} starts
 * @param {Omit<import("./latent_map.js").MapEvents, "onMove">} on
 * @param {HTMLElement} right
 */
function buildMap(explorer, plane, starts, on, right) {
  const { data, thumbnails } = explorer;
  const map = new LatentMap(plane, starts.labels, data.colors, thumbnails, {
    ...on,
    onMove: (x, y) => explorer.carry(map, map.plane.moved(explorer.point.vector(), x, y)),
  });
  const location = new LocationPanel(thumbnails, on, data.no_density);
  explorer.left.append(location.root);
  right.prepend(map.root);
  return { map, location };
}

/** @param {Explorer} explorer @param {PathPanel} path @returns {import("./save_dialog.js").SaveSource} */
function saveSource(explorer, path) {
  return {
    canvas: explorer.canvas,
    smooth: () => explorer.bar.isSmooth(),
    label: () => explorer.label,
    here: () => explorer.point.vector(),
    directions: () => explorer.data.directions.names,
    swing: (k) =>
      Array.from({ length: SWING_FRAMES }, (_, i) =>
        explorer.point.vector(k, REACH * Math.sin((2 * Math.PI * i) / SWING_FRAMES)),
      ),
    path: () => path.frames(),
    report: () => {
      const { run, step, conditions = [], directions } = explorer.data;
      const condition = explorer.label === null ? {} : { label: conditions[explorer.label] };
      const { values } = explorer.point;
      const z = Array.from(explorer.point.vector());
      return { run, step, ...condition, directions: directions.names, values, z };
    },
  };
}
