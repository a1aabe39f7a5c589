// Where the point lies: inside the region that the model knows, or beyond it; and what lies near.

const NEAREST = 5;
const OUTSIDE = 0.005; // beyond all but this share of the encodings, pictures are guesses

class Whereabouts {
  // on: {onPick(index), nameOf(index)}
  constructor(thumbnails, on) {
    Object.assign(this, { thumbnails, on });
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

  show({ distance, farther, logDensity, nearest }) {
    const beyond = farther < OUTSIDE;
    const share = farther < 0.01 ? "under 1" : Math.round(100 * farther);
    this.sentence.textContent = beyond
      ? `${distance.toFixed(1)} σ from the mean: outside what the model has seen`
      : `${distance.toFixed(1)} σ from the mean; in training ${share} % were farther out`;
    this.sentence.title =
      "Mahalanobis distance under the aggregated posterior, from which training draws. " +
      `Log-density under the prior: ${signed(logDensity, 1)} nats.`;
    this.root.classList.toggle("beyond", beyond);
    this.gauge.firstChild.style.width = `${100 * (1 - farther)}%`;
    this.cells.forEach((cell, i) => this.showCell(cell, nearest[i]));
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
