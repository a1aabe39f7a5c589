// Draws what is due, one chart a task, and then leaves the page alone for four times as long as that
// took: whatever the machine and the length of the run, charts take a fifth of the browser's time.
// What nobody sees waits until somebody does.

const REST = 4;
const NEAR = "200px"; // so far outside what scrolls a chart counts as in sight

export class DrawScheduler {
  /** What draws each plot that is due. @type {Map<Element, () => void>} */
  due = new Map();
  /** @type {Set<Element>} */
  seen = new Set();
  restsUntil = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  timer;

  constructor() {
    const near = /** @type {IntersectionObserverInit} */ ({ scrollMargin: NEAR });
    this.watching = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) this.seen.add(target);
        else this.seen.delete(target);
      }
      this.schedule();
    }, near);
    this.onVisible = () => this.schedule();
    document.addEventListener("visibilitychange", this.onVisible);
  }

  /**
   * Have `plot` drawn when its turn comes; asked twice before that, it is drawn once.
   * @param {Element} plot @param {() => void} draw
   */
  request(plot, draw) {
    if (!this.due.has(plot)) this.watching.observe(plot);
    this.due.set(plot, draw);
    this.schedule();
  }

  /** A hand did something: the next chart does not wait. */
  hurry() {
    this.restsUntil = 0;
    clearTimeout(this.timer);
    this.timer = undefined;
    this.schedule();
  }

  schedule() {
    if (this.timer || document.hidden || !this.next()) return;
    const rest = Math.max(0, this.restsUntil - performance.now());
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.draw();
      this.schedule();
    }, rest);
  }

  next() {
    return [...this.due.keys()].find((plot) => this.seen.has(plot));
  }

  draw() {
    const plot = this.next();
    if (!plot) return;
    const draw = this.due.get(plot);
    this.due.delete(plot); // asked again, it comes last
    const began = performance.now();
    draw?.();
    const ended = performance.now();
    this.restsUntil = ended + REST * (ended - began);
  }

  remove() {
    clearTimeout(this.timer);
    this.due.clear();
    this.watching.disconnect();
    document.removeEventListener("visibilitychange", this.onVisible);
  }
}
