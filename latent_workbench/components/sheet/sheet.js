// A sheet of pictures: one image, names at its sides, and a frame around the picture pointed at.

const sheets = new WeakMap();

export default function ({ parentElement, data: [data], setTriggerValue }) {
  let sheet = sheets.get(parentElement);
  if (!sheet) {
    sheet = build(parentElement);
    sheets.set(parentElement, sheet);
  }
  sheet.show(data, (cell) => setTriggerValue("cell", cell));
}

function build(parent) {
  const frame = part(parent, "sheet-frame");
  const root = part(frame, "sheet");
  const side = part(root, "sheet-side");
  const upwards = part(side, "sheet-upwards");
  const rows = part(side, "sheet-rows");
  const picture = part(root, "sheet-picture");
  part(root, "sheet-rest");
  part(root, "sheet-corner");
  const columns = part(root, "sheet-columns");
  const across = part(root, "sheet-across");
  const image = picture.appendChild(document.createElement("img"));
  const mark = part(picture, "sheet-mark");
  let shown = { rows: [], columns: [] };
  let tell = () => {};

  const cellAt = (event) => {
    const box = picture.getBoundingClientRect();
    const place = (at, start, length, count) =>
      Math.min(count - 1, Math.max(0, Math.floor(((at - start) / length) * count)));
    return [
      place(event.clientY, box.top, box.height, shown.rows.length),
      place(event.clientX, box.left, box.width, shown.columns.length),
    ];
  };
  picture.addEventListener("mousemove", (event) => {
    const [row, column] = cellAt(event);
    const [height, width] = [100 / shown.rows.length, 100 / shown.columns.length];
    Object.assign(mark.style, {
      visibility: "visible",
      left: `${column * width}%`,
      top: `${row * height}%`,
      width: `${width}%`,
      height: `${height}%`,
    });
    const names = [shown.columns[column], shown.rows[row]].filter(Boolean).join(" · ");
    picture.title = [names, shown.hint].filter(Boolean).join("\n");
  });
  picture.addEventListener("mouseleave", () => (mark.style.visibility = "hidden"));
  picture.addEventListener("click", (event) => shown.hint && tell(cellAt(event)));

  return {
    show(data, told) {
      [shown, tell] = [data, told];
      root.style.setProperty("--ratio", data.ratio);
      root.style.setProperty("--columns", data.columns.length);
      root.style.setProperty("--beside", data.rows.some(Boolean) ? "8rem" : "1rem");
      if (image.src !== data.source) image.src = data.source;
      image.alt = `${data.rows.length} × ${data.columns.length} pictures`;
      picture.classList.toggle("sheet-live", Boolean(data.hint));
      upwards.textContent = data.upwards;
      across.textContent = data.across;
      write(rows, data.rows, MOST_ROWS);
      write(columns, data.columns, MOST_COLUMNS);
    },
  };
}

// Names that would not fit beside each other are thinned out evenly, the ends kept.
const MOST_COLUMNS = 12;
const MOST_ROWS = 24;

function write(element, names, most) {
  const last = names.length - 1;
  const every = Math.max(1, Math.ceil(last / (most - 1)));
  element.replaceChildren(
    ...names.map((name, i) => {
      const cell = document.createElement("span");
      cell.textContent = i % every === 0 || i === last ? name : "";
      return cell;
    }),
  );
}

function part(parent, name) {
  const element = document.createElement("div");
  element.className = name;
  return parent.appendChild(element);
}
