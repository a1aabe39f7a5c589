// What Explore has beyond the two sliders of the first page: map, whereabouts, path, and the windows
// to start from and to save.

function furnish(explorer) {
  const { data, thumbnails, point } = explorer;
  const origins = new Origins(explorer);
  const on = {
    onPick: (index) => origins.pick(index),
    nameOf: (index) => origins.nameOf(index),
    onRelease: () => explorer.release(),
    onPause: () => explorer.releaseSoon(),
    onHoldOut: (blob) => origins.encode(blob, false),
    onDrawing: (blob) => origins.encode(blob, true),
  };
  const path = new PathPanel({
    ...on,
    onMove: (z) => explorer.carry(path, z),
    here: () => point.vector(),
    onEnds: () => explorer.tellPython(),
    ask: (ends) => explorer.decoder.ask("ends", ends),
  });
  const right = element("div", { class: "right" }, [path.root]);
  const made = { origins, path };
  if (data.plane) {
    made.map = new LatentMap(data.plane, origins.labels, data.colors, thumbnails, {
      ...on,
      onMove: (x, y) => explorer.carry(made.map, made.map.moved(point.vector(), x, y)),
    });
    made.whereabouts = new Whereabouts(thumbnails, on, data.no_density);
    explorer.left.append(made.whereabouts.root);
    right.prepend(made.map.root);
  }
  made.board = new DrawingBoard(on);
  const windows = {
    picker: new ImagePicker(data, origins.labels, thumbnails, on),
    saver: saverOf(explorer, path),
    board: made.board,
  };
  const has = { images: data.count > 0, drawing: data.shape[0] === 1 };
  explorer.panes.append(right, startBar(explorer, { ...windows, origins, has }));
  explorer.root.append(...Object.values(windows).map((each) => each.root));
  return made;
}

function saverOf(explorer, path) {
  const { point } = explorer;
  return new SaveDialog(explorer.data.run, {
    canvas: explorer.canvas,
    smooth: explorer.bar.isSmooth,
    label: () => explorer.label,
    here: () => point.vector(),
    directions: () => explorer.data.directions.names,
    swing: (k) => Array.from({ length: SWING_FRAMES }, (_, i) =>
      point.vector(k, REACH * Math.sin((2 * Math.PI * i) / SWING_FRAMES))),
    path: () => (path.ready ? path.frames() : null),
    report: () => {
      const { run, step, conditions, directions } = explorer.data;
      const told = explorer.label === null ? {} : { label: conditions[explorer.label] };
      const { values } = point;
      return { run, step, ...told, directions: directions.names, values, z: Array.from(point.vector()) };
    },
  });
}
