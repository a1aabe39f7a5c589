// Motion without a hand.

import { button } from "../shared/elements.js";

/** A button that plays a motion, and stops it. */
export class Player {
  /** @type {(() => void) | null} */
  cancel = null;

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
    if (this.cancel) {
      this.stop();
      return;
    }
    this.cancel = animate(this.begin());
    this.button.textContent = "■";
  }

  stop() {
    if (!this.cancel) return;
    this.cancel();
    this.cancel = null;
    this.button.textContent = "▶";
    this.onStop();
  }
}

/**
 * Calls `action(seconds)` once a frame; returns what stops it.
 *
 * @param {(seconds: number) => void} action
 */
export function animate(action) {
  let frame = 0;
  /** @type {number | undefined} */
  let start;
  /** @param {number} now */
  const tick = (now) => {
    start ??= now;
    action((now - start) / 1000);
    frame = requestAnimationFrame(tick);
  };
  frame = requestAnimationFrame(tick);
  return () => cancelAnimationFrame(frame);
}
