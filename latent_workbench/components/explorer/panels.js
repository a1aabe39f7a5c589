// What Explore has beyond the two sliders of the first page: map, location, path, and the windows to
// start from and to save.

import { element } from "../shared/elements.js";
import { DrawingBoard } from "./drawing_board.js";
import { ImagePicker } from "./image_picker.js";
import { LatentMap } from "./latent_map.js";
import { LocationPanel } from "./location_panel.js";
import { PathPanel } from "./path_panel.js";
import { SaveDialog } from "./save_dialog.js";
import { StartingPoints } from "./starting_points.js";
import { startBar } from "./toolbar.js";

export class Panels {
  /** Build them into the explorer. @param {import("./explorer.js").Explorer} explorer */
  constructor(explorer) {
    const { plane, unplaced } = explorer.data;
    const right = element("div", { class: "right" });
    this.starts = new StartingPoints(explorer);
    this.path = new PathPanel(explorer);
    this.board = new DrawingBoard(this.starts);
    if (plane) {
      this.map = new LatentMap(explorer, plane, this.starts);
      right.append(this.map.root);
    }
    if (plane && !unplaced) {
      this.location = new LocationPanel(explorer, this.starts);
      explorer.left.append(this.location.root);
    }
    right.append(this.path.root);
    const picker = new ImagePicker(explorer, this.starts);
    const saver = new SaveDialog(explorer, this.path);
    const bar = startBar(explorer, this.starts, { picker, board: this.board, saver });
    explorer.panes.append(right, bar);
    explorer.root.append(picker.root, saver.root, this.board.root);
  }
}
