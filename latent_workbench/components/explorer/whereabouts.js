// Where the point lies: where training drew, nearer to the mean, farther out or in a hole; and what
// lies near.

const NEAREST = 5;
const MEANT = ["typical", "near", "hole", "far"]; // as `vae_core.latent.region.Verdict` counts

class Whereabouts {
  // on: {onPick(index), nameOf(index)}; noDensity: why the prior has none, "" where it has one
  constructor(thumbnails, on, noDensity) {
    Object.assign(this, { thumbnails, on, noDensity });
    this.sentence = element("p", { class: "sentence" }, ["\u00a0"]);
    this.sentence.dataset.testid = "whereabouts";
    this.gauge = element("div", { class: "gauge" }, [element("i")]);
    this.cells = Array.from({ length: NEAREST }, () => {
      const cell = button(element("canvas"), "", () => on.onPick(Number(cell.dataset.index)));
      cell.disabled = true;
      return cell;
    });
    this.root = element("section", { class: "whereabouts", "aria-label": "Where this point lies" }, [
      this.sentence,
      this.gauge,
      element("div", { class: "nearest" }, [element("small", {}, ["Nearest images"]), ...this.cells]),
    ]);
  }

  show(where) {
    const meant = MEANT[where.verdict];
    this.sentence.textContent = SENTENCES[meant](where);
    this.sentence.title =
      "Distance: Mahalanobis, under the aggregated posterior, from which training draws z. As far " +
      "as usual: as the fifth nearest image is from a training draw; a dimension counts by what it " +
      `tells of images. ${this.density(where)}`;
    this.root.dataset.meant = meant;
    this.gauge.title = `Nearer to the mean: ${shareOf(where.nearer)} training draws`;
    this.gauge.firstChild.style.left = `${100 * where.nearer}%`;
    this.cells.forEach((cell, i) => this.showCell(cell, where.nearest[i]));
  }

  density({ logDensity }) {
    return Number.isNaN(logDensity)
      ? this.noDensity
      : `Log-density under the prior: ${signed(logDensity, 1)} nats.`;
  }

  showCell(cell, found) {
    cell.disabled = !found;
    if (!found || cell.dataset.index === String(found.index)) return;
    cell.dataset.index = found.index;
    const title = `Start from this image: ${this.on.nameOf(found.index)}`;
    cell.title = title;
    cell.setAttribute("aria-label", title);
    this.thumbnails.draw(cell.firstChild, found.index);
  }
}

// Two lines at most, so that nothing below moves while somebody drags.
const SENTENCES = {
  typical: ({ distance, nearer, gap }) =>
    `${sigmas(distance)}; ${shareOf(nearer)} training draws are nearer. ` +
    `Images lie ${times(gap)} as far as usual`,
  near: ({ distance, nearer }) =>
    `${sigmas(distance)}, nearer than ${shareOf(1 - nearer)} training draws: training seldom came here`,
  hole: ({ distance, gap }) =>
    `In a hole: the nearest images are ${times(gap)} as far as usual (${sigmas(distance)})`,
  far: ({ distance, nearer }) =>
    `${sigmas(distance)}, farther than ${shareOf(nearer)} training draws: outside what the model ` +
    "has seen",
};

function sigmas(distance) {
  const shown = distance < 1e4 ? distance.toFixed(1) : distance.toExponential(0);
  return `${shown} σ from the mean`;
}

function shareOf(share) {
  if (share <= 0) return "no";
  if (share >= 1) return "all";
  const digits = share < 0.01 || share > 0.99 ? 1 : 0;
  return `${(100 * share).toFixed(digits)} % of`;
}

function times(factor) {
  return factor < 99.95 ? `${factor.toFixed(1)} ×` : "over 100 ×";
}
