// The bars of buttons below the sliders.

import { button, choice, element, labelled } from "../shared/elements.js";

const HIGHEST_TEMPERATURE = 3;
const ADDRESS_MS = 400; // the page has put the last move into the address by then

/** @typedef {import("./explorer.js").Explorer} Explorer */

/**
 * Reset, Random, Undo, Redo, Smooth, and the label that a conditional model is told.
 *
 * @param {Explorer} explorer does what they ask for
 * @param {boolean} full
 * @param {string[]} conditions
 */
export function actionBar(explorer, full, conditions) {
  const temperature = element("input", {
    type: "number",
    min: 0,
    max: HIGHEST_TEMPERATURE,
    step: 0.1,
    value: 1,
    "aria-label": "Temperature",
    title: "Temperature of the draw: below 1 is more typical, above 1 more daring",
  });
  const draw = () => {
    const entered = Number(temperature.value);
    const valid = temperature.value !== "" && entered >= 0 && entered <= HIGHEST_TEMPERATURE;
    explorer.decoder?.askVector({ type: "random", temperature: valid ? entered : 1 });
  };
  const smooth = element("input", { type: "checkbox" });
  smooth.onchange = () => explorer.root.classList.toggle("smooth", smooth.checked);
  const undo = button("↶", "Back to before the last change", () => explorer.travel("undo"));
  const redo = button("↷", "Take the undo back", () => explorer.travel("redo"));
  undo.disabled = redo.disabled = true;
  const more = button("", "Show more directions", () => explorer.showMore(), { class: "more" });
  const label = choice(
    conditions.map((name, k) => [k, name]),
    "The label that the model is told",
    (chosen) => explorer.change(() => explorer.condition(Number(chosen))),
  );
  label.dataset.testid = "condition";
  label.value = String(explorer.label);
  const root = element("div", { class: "actions" }, [
    ...(conditions.length ? [labelled("Label", label)] : []),
    button("Reset", "Back to the mean of all encodings", () =>
      explorer.change(() => explorer.point.toCenter()),
    ),
    button("Random", "A draw from the prior", draw),
    ...(full && !explorer.data.drawn ? [labelled("T", temperature)] : []),
    undo,
    redo,
    labelled("Smooth", smooth),
  ]);
  return { root, undo, redo, more, label };
}

/**
 * Where to start from, and what to take home.
 *
 * @param {Explorer} explorer
 * @param {import("./starting_points.js").StartingPoints} starts
 * @param {Record<"picker" | "saver", { open: () => void }> & { board: { root: HTMLDialogElement } }} windows
 */
export function startBar(explorer, starts, { picker, board, saver }) {
  const { engine, frame, data } = explorer;
  const file = element("input", {
    type: "file",
    accept: "image/*",
    hidden: "",
    "data-testid": "image-upload",
  });
  /** @param {FileList | null | undefined} files */
  const take = (files) => files?.length && starts.encode(files[0], false);
  file.onchange = () => {
    take(file.files);
    file.value = "";
  };
  if (engine.server) {
    frame.ondragover = (event) => event.preventDefault();
    frame.ondrop = (event) => {
      event.preventDefault();
      take(event.dataTransfer?.files);
    };
  }
  const images = button("Image", "Start from an image of the data", () => picker.open());
  images.disabled = !data.count;
  const upload = "Start from an image file; you can also drop one on the picture";
  const drawing = button("Draw", "Start from a drawing of yours", () => board.root.showModal());
  drawing.hidden = data.shape[0] !== 1;
  const encoded = engine.server ? [button("Upload", upload, () => file.click()), file, drawing] : [];
  const link = button("Copy link", "The address of exactly this view", () => {
    explorer.stopPlaying();
    copyLink(link);
  });
  return element("div", { class: "actions starts" }, [
    element("span", {}, ["Start from"]),
    images,
    ...encoded,
    element("span", { class: "gap" }),
    button("Save", "Save the picture, an animation or the numbers", () => saver.open()),
    ...(engine.server ? [link] : []),
  ]);
}

/** @param {HTMLButtonElement} link */
async function copyLink(link) {
  await new Promise((done) => setTimeout(done, ADDRESS_MS));
  try {
    await navigator.clipboard.writeText(location.href);
    link.textContent = "Copied";
  } catch {
    link.textContent = "Copy the address above"; // the browser lets no page near its clipboard
  }
  setTimeout(() => {
    link.textContent = "Copy link";
  }, 2000);
}
