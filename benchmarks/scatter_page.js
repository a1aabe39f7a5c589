// Runs in the page of `benchmarks.scatter`: the scatter under a hand that moves it every frame.

async ({ module, moves }) => {
  const { Scatter } = await import(module);
  const data = await (await fetch("/data")).json();
  const frame = () => new Promise((tell) => requestAnimationFrame(tell));
  const scatter = new Scatter(document.getElementById("place"));
  const began = performance.now();
  await scatter.show(data, () => {});
  await frame();
  await frame();
  const opened = performance.now() - began;
  const { width, height } = scatter.viewport;
  const middle = { offsetX: width / 2, offsetY: height / 2 };

  /** Milliseconds between frames while `move` is called before each. */
  const frames = async (move) => {
    await new Promise((tell) => setTimeout(tell, 700));
    const found = [];
    let before = await frame();
    for (let k = 0; k < moves; k++) {
      move(k);
      const now = await frame();
      found.push(now - before);
      before = now;
    }
    return found;
  };
  const timed = async (work) => {
    const start = performance.now();
    await work();
    return performance.now() - start;
  };
  const result = { opened, layer: scatter.renderer.layer.constructor.name };
  scatter.hover(middle);
  result.pan = await frames((k) => {
    scatter.viewport.pan(6 * Math.cos(k / 9), 6 * Math.sin(k / 9));
    scatter.paint();
  });
  result.zoom = await frames((k) => {
    scatter.viewport.zoom(k < moves / 2 ? 1.08 : 1 / 1.08, width / 3, height / 3);
    scatter.paint();
  });
  result.hover = await frames((k) => {
    scatter.hover({
      offsetX: width * (0.5 + 0.4 * Math.sin(k)),
      offsetY: height * (0.5 + 0.4 * Math.cos(1.7 * k)),
    });
  });
  if (scatter.space) {
    result.turn = await frames(() => {
      scatter.turn(0.02, 0.01);
      scatter.paint();
    });
  }
  scatter.fit();
  const outline = Array.from({ length: 300 }, (_, k) => {
    const radius = 0.3 + 0.08 * Math.sin(k);
    return scatter.viewport.toPlane(
      width * (0.5 + radius * Math.cos((k * 2 * Math.PI) / 300)),
      height * (0.5 + radius * Math.sin((k * 2 * Math.PI) / 300)),
    );
  });
  const all = () => true;
  result.lasso = [];
  result.box = [];
  for (let k = 0; k < 5; k++) {
    result.lasso.push(await timed(() => scatter.points.inside(outline, all)));
    const corners = [0, 75, 150, 225].map((at) => outline[at]);
    result.box.push(await timed(() => scatter.points.inside(corners, all)));
  }
  result.selected = scatter.points.inside(outline, all).length;
  scatter.filters.chosen.categories.label = [1, 2];
  result.filter = [await timed(() => scatter.filters.apply()), await timed(() => frame())];
  return result;
};
