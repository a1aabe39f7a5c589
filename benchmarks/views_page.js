// Run in the page of Encodings, on the canvas of the points and the choice of their colours.

async ({ canvas, choice, moves }) => {
  const frame = () => new Promise(requestAnimationFrame);
  // After the frame in which everything asked for until now has been painted.
  const painted = () => frame().then(() => new Promise((next) => setTimeout(next)));
  const send = (type, clientX, clientY) =>
    canvas.dispatchEvent(
      new PointerEvent(type, { clientX, clientY, pointerId: 1, bubbles: true, button: 0 }),
    );
  const colouring = [];
  for (const { value } of [...choice.options, ...choice.options]) {
    await painted();
    const start = performance.now();
    choice.value = value;
    choice.dispatchEvent(new Event("change", { bubbles: true }));
    await painted();
    colouring.push(performance.now() - start);
  }
  const tasks = [];
  const observer = new PerformanceObserver((list) => tasks.push(...list.getEntries()));
  observer.observe({ type: "longtask" });
  const frames = [];
  const box = canvas.getBoundingClientRect();
  const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
  canvas.setPointerCapture = () => {}; // no finger is really down
  send("pointerdown", x, y);
  for (let i = 1; i <= moves; i++) {
    const start = performance.now();
    send("pointermove", x + 120 * Math.sin(i / 9), y + 80 * Math.sin(i / 7));
    await frame();
    frames.push(performance.now() - start);
  }
  send("pointerup", x, y);
  await new Promise((next) => setTimeout(next, 300));
  tasks.push(...observer.takeRecords());
  observer.disconnect();
  return { colouring, frames, tasks: tasks.map(({ duration }) => duration) };
};
