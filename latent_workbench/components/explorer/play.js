// Motion without a hand.

// Call `action(seconds)` once a frame; returns what stops it.
function play(action) {
  let frame = 0;
  let start = null;
  const tick = (now) => {
    start ??= now;
    action((now - start) / 1000);
    frame = requestAnimationFrame(tick);
  };
  frame = requestAnimationFrame(tick);
  return () => cancelAnimationFrame(frame);
}
