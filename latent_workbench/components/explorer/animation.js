// Motion without a hand.

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
