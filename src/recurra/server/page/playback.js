/**
 * Steps items one by one at a rate.
 *
 * States: "empty", "ready", "running", "paused", "ended".
 */
export class Playback {
  items = [];
  at = 0;
  measured = 0;
  latest = null;
  state = "empty";

  /**
   * @param step - of one item, a promise of whether to go on.
   * @param changed - called after each step and change of state.
   */
  constructor(step, changed) {
    this.step = step;
    this.changed = changed;
    this.perSecond = 5;
  }

  load(items) {
    this.items = items;
    this.state = items.length ? "ready" : "empty";
    this.at = this.measured = 0;
    this.latest = null;
    this.changed();
  }

  /** Whether the next run begins with the first item although others were stepped. */
  get repeats() {
    return this.state === "ended" || (this.state === "ready" && this.measured > 0);
  }

  /** To the first item. */
  rewind() {
    this.at = 0;
    this.latest = null;
    if (this.state !== "empty") this.#become("ready");
  }

  pause() {
    if (this.state === "running") this.#become("paused");
  }

  async run() {
    if (this.state === "ended") this.rewind();
    if (this.state !== "ready" && this.state !== "paused") return;
    this.#become("running");
    const run = (this.latest = Symbol());
    const here = () => this.state === "running" && this.latest === run;
    const began = performance.now();
    let steps = 0;
    this.measured = 0;
    while (here() && this.at < this.items.length) {
      const due = performance.now() + 1000 / this.perSecond;
      if (!(await this.step(this.items[this.at++]))) {
        if (this.latest !== run) return;
        this.at -= 1; // it was not taken
        return this.pause();
      }
      if (this.latest !== run) return;
      steps += 1;
      this.measured = (1000 * steps) / (performance.now() - began);
      this.changed();
      if (this.at < this.items.length) await this.#until(due, here);
    }
    if (here()) this.#become("ended");
  }

  /** Wait for a time, though not after the run was stopped. */
  async #until(time, here) {
    do {
      await new Promise((done) => setTimeout(done, Math.min(100, Math.max(0, time - performance.now()))));
    } while (here() && performance.now() < time);
  }

  #become(state) {
    this.state = state;
    this.changed();
  }
}
