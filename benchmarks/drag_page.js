// Runs in the page: moves a slider and times each movement up to the frame that shows its picture.

// Milliseconds from each `input` event on `slider` to the frame in which `canvas` has other pixels;
// null for a movement that changed nothing within `patience` ms.
async ({ slider, canvas, values, patience }) => {
  const frame = () => new Promise(requestAnimationFrame);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const pixels = () => context.getImageData(0, 0, canvas.width, canvas.height).data;
  const differ = (a, b) => a.length !== b.length || a.some((value, i) => value !== b[i]);
  const times = [];
  for (const value of values) {
    // A browser hands pointer moves over at the beginning of a frame, so these come there too.
    for (let pause = 0; pause < 3; pause++) await frame();
    const before = pixels();
    slider.value = value;
    const start = performance.now();
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    let took = null;
    while (took === null && performance.now() - start < patience) {
      await frame();
      if (differ(before, pixels())) took = performance.now() - start;
    }
    times.push(took);
  }
  slider.dispatchEvent(new Event("change", { bubbles: true }));
  return times;
};
