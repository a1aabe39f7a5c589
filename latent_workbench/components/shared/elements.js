// Small pieces of page: elements, buttons, dialogs, downloads.

/** @typedef {Record<string, string | number>} Attributes */

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes]
 * @param {(Node | string)[]} [children]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, children = []) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/**
 * @param {Node | string} content
 * @param {string} title
 * @param {() => void} action
 * @param {Attributes} [attributes]
 */
export function button(content, title, action, attributes = {}) {
  const made = element("button", { type: "button", title, "aria-label": title, ...attributes }, [content]);
  made.onclick = action;
  return made;
}

/**
 * A button that shows a picture, which its canvas is there for.
 * @param {string} title @param {(cell: PictureButton) => void} action
 */
export function pictureButton(title, action) {
  const picture = element("canvas");
  const made = Object.assign(
    button(picture, title, () => action(made)),
    { picture },
  );
  return made;
}
/** @typedef {HTMLButtonElement & { picture: HTMLCanvasElement }} PictureButton */

/**
 * @param {[string | number, string][]} options value and label of each
 * @param {string} title
 * @param {(value: string) => void} action
 */
export function choice(options, title, action) {
  const made = element(
    "select",
    { title, "aria-label": title },
    options.map(([value, label]) => element("option", { value }, [label])),
  );
  made.onchange = () => action(made.value);
  return made;
}

/** @param {string} text @param {HTMLElement} control */
export function labelled(text, control) {
  return element("label", { class: "labelled" }, [text, control]);
}

/**
 * A window over the page; Escape and a click beside it close it too.
 * @param {string} title @param {string} name @param {HTMLElement[]} children
 */
export function dialog(title, name, children) {
  const close = button("Close", `Close “${title}”`, () => made.close());
  const head = element("header", {}, [element("h3", {}, [title]), close]);
  const made = element("dialog", { class: name, "aria-label": title }, [head, ...children]);
  made.onclick = (event) => {
    if (event.target === made) made.close();
  };
  return made;
}

/** What has to be there. @param {ParentNode} root @param {string} selector */
export function find(root, selector) {
  const found = root.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`There is no ${selector}.`);
  return found;
}

/** @param {string} name @param {Blob} blob */
export function download(name, blob) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/**
 * Text that has not changed is left alone, so that a selection in it survives.
 * @param {Element} target @param {string} text
 */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}
