// Runs in the page: a hand that moves a slider in every frame.

// For so many seconds; how many movements it made and how many pictures `canvas` showed meanwhile.
async ({ slider, canvas, seconds }) => {
  const put = CanvasRenderingContext2D.prototype.putImageData;
  let movements = 0;
  let pictures = 0;
  CanvasRenderingContext2D.prototype.putImageData = function (...image) {
    pictures += this.canvas === canvas;
    return put.apply(this, image);
  };
  const start = performance.now();
  for (let now = start; now < start + 1000 * seconds; movements++) {
    slider.value = 2.5 * Math.sin((now - start) / 400);
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    now = await new Promise(requestAnimationFrame);
  }
  CanvasRenderingContext2D.prototype.putImageData = put;
  slider.dispatchEvent(new Event("change", { bubbles: true }));
  return { movements, pictures };
};
