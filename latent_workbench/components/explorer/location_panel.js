// Where the point lies: where training drew, nearer to the mean, farther out or in a hole; and what
// lies near.

import { element, pictureButton } from "../shared/elements.js";
import { signed } from "../shared/format.js";

/** @import { PictureButton } from "../shared/elements.js" */
/** @import { Explorer } from "./explorer.js" */
/** @import { Location } from "./frames.js" */
/** @import { StartingPoints } from "./starting_points.js" */

export const NEAREST = 5;

export class LocationPanel {
  /** @param {Explorer} explorer @param {StartingPoints} starts */
  constructor({ data, thumbnails }, starts) {
    this.thumbnails = thumbnails;
    this.starts = starts;
    this.noDensity = data.no_density;
    this.sentence = element("p", { class: "sentence", "data-testid": "whereabouts" }, ["\u00a0"]);
    this.needle = element("i");
    this.gauge = element("div", { class: "gauge" }, [this.needle]);
    this.cells = Array.from({ length: NEAREST }, () => {
      const cell = pictureButton("", ({ dataset }) => starts.pick(Number(dataset.index)));
      cell.disabled = true;
      return cell;
    });
    this.root = element("section", { class: "whereabouts", "aria-label": "Where this point lies" }, [
      this.sentence,
      this.gauge,
      element("div", { class: "nearest" }, [element("small", {}, ["Nearest images"]), ...this.cells]),
    ]);
  }

  /** @param {Location} location */
  show(location) {
    this.sentence.textContent = SENTENCES[location.verdict](location);
    this.sentence.title =
      "Distance: Mahalanobis, under the aggregated posterior, from which training draws z. As far " +
      "as usual: as the fifth nearest image is from a training draw; a dimension counts by what it " +
      `tells of images. ${this.density(location)}`;
    this.root.dataset.meant = location.verdict;
    this.gauge.title = `Nearer to the mean: ${percentOf(location.nearer)} training draws`;
    this.needle.style.left = `${100 * location.nearer}%`;
    this.cells.forEach((cell, i) => this.showCell(cell, location.nearest[i]?.index));
  }

  /** @param {Location} location */
  density({ log_density }) {
    return Number.isNaN(log_density)
      ? this.noDensity
      : `Log-density under the prior: ${signed(log_density, 1)} nats.`;
  }

  /** @param {PictureButton} cell @param {number | undefined} index */
  showCell(cell, index) {
    cell.disabled = index === undefined;
    if (index === undefined || cell.dataset.index === String(index)) return;
    cell.dataset.index = String(index);
    cell.title = `Start from this image: ${this.starts.nameOf(index)}`;
    cell.setAttribute("aria-label", cell.title);
    this.thumbnails.draw(cell.picture, index);
  }
}

/**
 * By verdict; two lines at most, so that nothing below moves while somebody drags.
 * @type {Record<string, (location: Location) => string>}
 */
const SENTENCES = {
  typical: ({ distance, nearer, gap }) =>
    `${sigmas(distance)}; ${percentOf(nearer)} training draws are nearer. ` +
    `Images lie ${times(gap)} as far as usual`,
  near: ({ distance, nearer }) =>
    `${sigmas(distance)}, nearer than ${percentOf(1 - nearer)} training draws: training seldom came here`,
  hole: ({ distance, gap }) =>
    `In a hole: the nearest images are ${times(gap)} as far as usual (${sigmas(distance)})`,
  far: ({ distance, nearer }) =>
    `${sigmas(distance)}, farther than ${percentOf(nearer)} training draws: outside what the model ` +
    "has seen",
};

/** @param {number} distance */
function sigmas(distance) {
  const shown = distance < 1e4 ? distance.toFixed(1) : distance.toExponential(0);
  return `${shown} σ from the mean`;
}

/** @param {number} share */
function percentOf(share) {
  if (share <= 0) return "no";
  if (share >= 1) return "all";
  const digits = share < 0.01 || share > 0.99 ? 1 : 0;
  return `${(100 * share).toFixed(digits)} % of`;
}

/** @param {number} factor */
function times(factor) {
  return factor < 99.95 ? `${factor.toFixed(1)} ×` : "over 100 ×";
}
