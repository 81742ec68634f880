import { byId } from "./dom.js";
import { Cutter, Recorder } from "./sound.js";

const BETWEEN_LOOKS = 20; // milliseconds between looks at what has been heard

const pause = () => new Promise((done) => setTimeout(done, BETWEEN_LOOKS));

/** The button and the level of the microphone. */
export class Microphone {
  #recorder = new Recorder();

  /**
   * @param page - {begin: a session, and return whether it is still the present one, to be asked later; take: a step; predict: from whole
   *   inputs}
   */
  constructor(page) {
    this.page = page;
  }

  get isOn() {
    return this.#recorder.isOn;
  }

  stop() {
    this.#recorder.stop();
  }

  /** Hear until it is pressed again, and step what is said; or predict from the whole of it. Throws Unreadable, Refused. */
  async press(model) {
    if (this.isOn) return this.stop();
    const cutter = new Cutter(model.sound);
    const hear = (samples) => {
      cutter.accept(samples);
      byId("level").value = Math.sqrt(Math.max(...samples.map(Math.abs)));
    };
    const isPresent = this.page.begin();
    byId("speak").textContent = "Stop";
    try {
      await this.#recorder.start(model.sound.sample_rate, hear);
      if (model.streams) await this.#step(cutter, model, isPresent);
      else await this.#whole(cutter, isPresent);
    } finally {
      if (isPresent()) this.stop();
      byId("speak").textContent = this.isOn ? "Stop" : "Speak";
      byId("level").value = 0;
    }
  }

  async #step(cutter, model, isPresent) {
    while (isPresent()) {
      const isOver = !this.isOn;
      const piece = cutter.live(isOver);
      if (piece) await this.page.take(piece);
      else if (isOver) break;
      else await pause();
    }
    if (isPresent() && model.ends) await this.page.take(null);
  }

  async #whole(cutter, isPresent) {
    while (this.isOn) await pause();
    const piece = isPresent() && cutter.take(0, Infinity);
    if (piece) await this.page.predict([piece]);
  }
}
