// The bars of buttons below the sliders.

const LARGEST_TEMPERATURE = 3;
const ADDRESS_MS = 400; // the page has put the last move into the address by then

// Reset, Random, Undo, Redo, Smooth, and the label that a conditional model is told; `explorer`
// does what they ask for.
function actionBar(explorer, full, conditions) {
  const temperature = element("input", {
    type: "number", min: 0, max: LARGEST_TEMPERATURE, step: 0.1, value: 1,
    "aria-label": "Temperature",
    title: "Temperature of the draw: below 1 is more typical, above 1 more daring",
  });
  const draw = () => {
    const wished = Number(temperature.value);
    const valid = temperature.value !== "" && wished >= 0 && wished <= LARGEST_TEMPERATURE;
    explorer.decoder.askVector({ type: "random", temperature: valid ? wished : 1 });
  };
  const smooth = element("input", { type: "checkbox" });
  smooth.onchange = () => explorer.root.classList.toggle("smooth", smooth.checked);
  const undo = button("↶", "Back to before the last change", () => explorer.undo());
  const redo = button("↷", "Take the undo back", () => explorer.redo());
  undo.disabled = redo.disabled = true;
  const more = button("", "Show more directions", () => explorer.showMore());
  more.classList.add("more");
  const names = conditions.map((name, label) => [label, name]);
  const label = choice(names, "The label that the model is told", (chosen) =>
    explorer.setLabel(Number(chosen)));
  label.value = explorer.label;
  label.dataset.testid = "condition";
  const showLabel = (known) => (label.value = known);
  const root = element("div", { class: "actions" }, [
    ...(names.length ? [labelled("Label", label)] : []),
    button("Reset", "Back to the mean of all encodings", () => explorer.reset()),
    button("Random", "A draw from the prior", draw),
    ...(full ? [labelled("T", temperature)] : []),
    undo,
    redo,
    labelled("Smooth", smooth),
  ]);
  return { root, undo, redo, more, showLabel, isSmooth: () => smooth.checked };
}

// Where to start from, and what to take home.
function startBar(explorer, { picker, board, saver, origins, has }) {
  const { frame } = explorer;
  const file = element("input", { type: "file", accept: "image/*", hidden: "" });
  file.dataset.testid = "image-upload";
  const take = (files) => files.length && origins.encode(files[0], false);
  file.onchange = () => {
    take(file.files);
    file.value = "";
  };
  frame.ondragover = (event) => event.preventDefault();
  frame.ondrop = (event) => {
    event.preventDefault();
    take(event.dataTransfer.files);
  };
  const images = button("Image", "Start from an image of the data", () => picker.open());
  images.disabled = !has.images;
  const upload = "Start from an image file; you can also drop one on the picture";
  const drawing = button("Draw", "Start from a drawing of yours", () => board.root.showModal());
  drawing.hidden = !has.drawing;
  const link = button("Copy link", "The address of exactly this view", () => {
    explorer.stopPlaying();
    copyLink(link);
  });
  return element("div", { class: "actions starts" }, [
    element("span", {}, ["Start from"]),
    images,
    button("Upload", upload, () => file.click()),
    file,
    drawing,
    element("span", { class: "gap" }),
    button("Save", "Save the picture, an animation or the numbers", () => saver.open()),
    link,
  ]);
}

async function copyLink(link) {
  await new Promise((done) => setTimeout(done, ADDRESS_MS));
  try {
    await navigator.clipboard.writeText(location.href);
    link.textContent = "Copied";
  } catch {
    link.textContent = "Copy the address above"; // the browser lets no page near its clipboard
  }
  setTimeout(() => (link.textContent = "Copy link"), 2000);
}
