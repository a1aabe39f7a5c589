// Motion without a hand.

import { button } from "../shared/elements.js";

/** A button that plays a motion, and stops it. */
export class Player {
  /** The next one that is asked for; 0 while it stands still. */
  frame = 0;

  /**
   * @param {string} label
   * @param {Record<string, any>} options of the button
   * @param {() => (seconds: number) => void} begin called when it starts: what is done each frame
   * @param {() => void} onStop
   */
  constructor(label, options, begin, onStop) {
    this.begin = begin;
    this.onStop = onStop;
    this.button = button("▶", label, () => this.toggle(), options);
  }

  toggle() {
    if (this.frame) {
      this.stop();
      return;
    }
    const action = this.begin();
    let start = 0;
    /** @param {number} now */
    const tick = (now) => {
      start ||= now;
      this.frame = requestAnimationFrame(tick);
      action((now - start) / 1000);
    };
    this.frame = requestAnimationFrame(tick);
    this.button.textContent = "■";
  }

  stop() {
    if (!this.frame) return;
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.button.textContent = "▶";
    this.onStop();
  }
}
