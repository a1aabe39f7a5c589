// Small pieces of page: elements, buttons, dialogs, downloads.

function element(tag, attributes = {}, children = []) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function button(content, title, action) {
  const made = element("button", { type: "button", title, "aria-label": title }, [content]);
  made.onclick = action;
  return made;
}

// options: [[value, label], …]
function choice(options, title, action) {
  const made = element("select", { title, "aria-label": title }, options.map(([value, label]) =>
    element("option", { value }, [label])));
  made.onchange = () => action(made.value);
  return made;
}

function labelled(text, control) {
  return element("label", { class: "labelled" }, [text, control]);
}

// A window over the page; Escape and a click beside it close it too.
function dialog(title, name, children) {
  const close = button("Close", `Close “${title}”`, () => made.close());
  const head = element("header", {}, [element("h3", {}, [title]), close]);
  const made = element("dialog", { class: name, "aria-label": title }, [head, ...children]);
  made.onclick = (event) => event.target === made && made.close();
  return made;
}

function download(name, blob) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function signed(value, digits = 2) {
  const sign = value > 0 ? "+" : value < 0 ? "−" : "";
  return `${sign}${Math.abs(value).toFixed(digits)}`;
}
