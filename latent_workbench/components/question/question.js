// A picture to find others like it: a file that is chosen or dropped, or a drawing.

import { DrawingBoard } from "../explorer/drawing_board.js";
import { liveAddress } from "../shared/address.js";
import { button, element } from "../shared/elements.js";

/** @import { Encoded } from "../explorer/starting_points.js" */

/**
 * @typedef {object} QuestionData as Python sends it
 * @property {string} run
 *
 * @typedef {{ name: string, vector: number[], picture: string }} Asked
 */

/** @type {WeakMap<object, Question>} */
const questions = new WeakMap();

/** @param {ComponentCall<QuestionData>} call */
export default function ({ parentElement, data: [data], setTriggerValue }) {
  const question = questions.get(parentElement) ?? new Question(parentElement);
  questions.set(parentElement, question);
  question.run = data.run;
  question.tell = (asked) => setTriggerValue("asked", asked);
}

class Question {
  run = "";
  /** @type {(asked: Asked) => void} */
  tell = () => {};

  /** @param {HTMLElement} parent */
  constructor(parent) {
    this.input = element("input", {
      type: "file",
      accept: "image/*",
      hidden: "",
      "aria-label": "Picture to search by",
      "data-testid": "question-file",
    });
    this.input.onchange = () => this.take(this.input.files?.[0]);
    this.board = new DrawingBoard(this);
    this.board.root.addEventListener("close", () => this.drawn && this.tell(this.drawn));
    this.problem = element("p", { class: "problem", role: "alert" });
    const choose = button("Choose a picture", "Choose a picture to search by", () => this.input.click());
    const draw = button("Draw one", "Draw what to search by", () => {
      this.drawn = undefined;
      this.board.root.showModal();
    });
    const words = element("span", {}, ["Drop any picture here, or"]);
    this.root = element("div", { class: "question", "data-testid": "question" }, [words, choose, draw]);
    parent.append(this.root, this.input, this.problem, this.board.root);
    this.root.ondragover = (event) => event.preventDefault();
    this.root.ondrop = (event) => {
      event.preventDefault();
      this.take(event.dataTransfer?.files[0]);
    };
  }

  /** @param {File | undefined} file */
  async take(file) {
    if (!file) return;
    this.input.value = "";
    const { vector, picture, message } = await this.encode(file, false);
    this.problem.textContent = message ?? "";
    if (vector && picture) this.tell({ name: file.name, vector, picture });
  }

  /**
   * What the model makes of a file or a drawing.
   * @param {Blob} blob @param {boolean} drawn
   */
  async encode(blob, drawn) {
    /** @type {Encoded} */
    let reply;
    try {
      const address = liveAddress(["encode", this.run], { drawn: drawn ? 1 : null });
      reply = await (await fetch(address, { method: "POST", body: blob })).json();
    } catch {
      reply = { message: "The picture could not be sent. Check that the app still runs, then try again." };
    }
    const { vector, picture } = reply;
    if (drawn && vector && picture) this.drawn = { name: "your drawing", vector, picture };
    return reply;
  }

  /** What was drawn last, told once the board is closed. @type {Asked | undefined} */
  drawn;
}
