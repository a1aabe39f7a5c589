// What Streamlit loads for a component. It calls the default export at once, and again with every
// rerun of the page; the modules, whose addresses Python writes into MODULES, come a moment later.
// Until then the newest call of each place waits for them.

/**
 * @typedef {{ parentElement: HTMLElement | ShadowRoot }} Call as Streamlit makes it
 * @typedef {(call: Call) => (() => void) | void} Component returns what cleans up after the call
 */

const FAILED =
  "This part of the page could not be loaded. Check that the app still runs, then reload the page.";

/** @type {Component | undefined} */
let component;

/** @type {WeakMap<Call["parentElement"], Call>} */
const newest = new WeakMap();

/** @param {string} path */
function load(path) {
  const how = path.endsWith(".json") ? { with: { type: "json" } } : undefined;
  return import(new URL(path, document.baseURI).href, how);
}

// All at once: by themselves they would be asked for one level of imports after another.
const loading = Promise.all(MODULES.map(load)).then(([module]) => {
  component = module.default;
});

/** @type {Component} */
export default function mount(call) {
  if (component) return component(call);
  const { parentElement } = call;
  newest.set(parentElement, call);
  /** @type {(() => void) | void} */
  let cleanUp;
  loading
    .then(() => {
      if (newest.get(parentElement) === call) cleanUp = component?.(call);
    })
    .catch((error) => {
      say(parentElement, FAILED);
      reportError(error); // to the console
    });
  return () => {
    if (newest.get(parentElement) === call) newest.delete(parentElement);
    cleanUp?.();
  };
}

/** @param {Call["parentElement"]} parent @param {string} sentence */
function say(parent, sentence) {
  const problem = parent.querySelector("[data-testid=component-problem]") ?? document.createElement("p");
  problem.setAttribute("role", "alert");
  problem.setAttribute("data-testid", "component-problem");
  problem.textContent = sentence;
  parent.append(problem);
}
