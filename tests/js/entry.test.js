// What Streamlit loads for a component: calls that come before the modules wait for them.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const ENTRY = readFileSync(new URL("../../latent_workbench/components/entry.js", import.meta.url), "utf-8");

/** The entry of a component of this text, as Python writes it. @param {string} component */
function entry(component) {
  Object.assign(globalThis, { document: { baseURI: "http://127.0.0.1/explore" } });
  const modules = JSON.stringify([`data:text/javascript,${encodeURIComponent(component)}`]);
  const text = `const MODULES = ${modules};\n${ENTRY}`;
  return import(`data:text/javascript,${encodeURIComponent(text)}`);
}

/** @param {string} name */
const recording = (name) => `
  globalThis.calls ??= [];
  export default ({ parentElement, data }) => {
    calls.push([${JSON.stringify(name)}, data]);
    return () => calls.push(["clean up", data]);
  };`;

const calls = () => /** @type {any} */ (globalThis).calls.splice(0);
const loaded = () => new Promise((done) => setTimeout(done, 50));

test("the newest call of each place is made once the modules are there, later ones at once", async () => {
  const { default: mount } = await entry(recording("a"));
  const [one, other] = [{}, {}];
  const first = mount({ parentElement: one, data: 1 });
  const second = mount({ parentElement: one, data: 2 });
  mount({ parentElement: other, data: 3 });
  first(); // Streamlit cleans up after a call that a later one overtakes
  await loaded();
  assert.deepEqual(calls(), [
    ["a", 2],
    ["a", 3],
  ]);
  second();
  assert.deepEqual(calls(), [["clean up", 2]]);
  const third = mount({ parentElement: one, data: 4 });
  assert.deepEqual(calls(), [["a", 4]]);
  third();
  assert.deepEqual(calls(), [["clean up", 4]]);
});

test("what has left before the modules came is not mounted", async () => {
  const { default: mount } = await entry(recording("b"));
  mount({ parentElement: {}, data: 1 })();
  await loaded();
  assert.deepEqual(calls(), []);
});

test("modules that cannot be loaded are told of where the component would be", async () => {
  const { default: mount } = await entry("this is no module");
  /** @type {any[]} */
  const shown = [];
  const problem = { setAttribute: () => {}, textContent: "" };
  const parentElement = {
    querySelector: () => problem,
    append: (/** @type {any} */ each) => shown.push(each),
  };
  /** @type {unknown[]} */
  const errors = [];
  Object.assign(globalThis, { reportError: (/** @type {unknown} */ error) => errors.push(error) });
  mount({ parentElement });
  await loaded();
  assert.match(shown[0].textContent, /could not be loaded/);
  assert.ok(errors[0] instanceof SyntaxError); // and the console tells of it
});
