// What a component has made stays in its place of the page for as long as Streamlit calls again.

const LEAVE_AFTER_MS = 300;

/** @typedef {{ remove: () => void }} Removable */

/** @type {WeakMap<object, { identity: string, made: Removable }>} */
const places = new WeakMap();

/**
 * What is in a place, made where there is nothing or where another `identity` is, and what leaves it.
 *
 * Streamlit also cleans up after a call that a later one overtakes, before or after that one runs:
 * so what leaves waits a moment, and removes only if nobody has taken over.
 *
 * @template {Removable} Made
 * @param {HTMLElement} parent
 * @param {string} identity
 * @param {() => Made} make
 */
export function placed(parent, identity, make) {
  const before = places.get(parent);
  if (before && before.identity !== identity) before.made.remove();
  const made = before?.identity === identity ? /** @type {Made} */ (before.made) : make();
  const place = { identity, made };
  places.set(parent, place);
  const leave = () =>
    setTimeout(() => {
      if (places.get(parent) !== place) return;
      places.delete(parent);
      made.remove();
    }, LEAVE_AFTER_MS);
  return { made, leave };
}
