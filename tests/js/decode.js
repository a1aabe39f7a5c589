// Carries out the programs on its standard input, for tests/test_html.py: a list of `{ program, mu, …,
// asked }` as the page's worker is told them. Prints what it answers, a list for each.

import { text } from "node:stream/consumers";
import { answering } from "../../latent_workbench/components/page/worker.js";

const models = JSON.parse(await text(process.stdin));
const answers = models.map((/** @type {any} */ { asked, ...model }) => {
  const answer = answering(model);
  return asked.map((/** @type {any} */ one) => {
    const { pixels, location } = answer({ ...one, z: Float32Array.from(one.z) });
    return { pixels: [...(pixels ?? [])], location };
  });
});
process.stdout.write(JSON.stringify(answers));
