import { byId, say } from "./dom.js";

const SEEN = 1.8; // sides of a usual drawing across the paper
const EPSILON = 2 / 255; // of the simplification, in sides
const MOST_POINTS = 300; // that the network adds at once
const BEGINS = [0.35, 0.4]; // where a drawing of the network alone begins, of the paper's width and height

/** Paper on which a person begins a drawing with the pointer, and the network continues it. */
export class Paper {
  /**
   * @param begin - begins a new session.
   * @param take - steps an item; a promise of its result, undefined if the session has changed.
   * @param fail - shows an error.
   */
  constructor({ begin, take, fail }) {
    Object.assign(this, { begin, take, fail });
    this.canvas = byId("paper");
    this.canvas.addEventListener("pointerdown", (event) => event.isPrimary && !event.button && this.#press(event));
    this.canvas.addEventListener("pointermove", (event) => this.raw && event.isPrimary && this.#move(event));
    for (const name of ["pointerup", "pointercancel"]) this.canvas.addEventListener(name, () => this.raw && this.#lift());
    byId("continue").addEventListener("click", () => (this.running ? this.stop() : this.#run()));
    byId("temperature").addEventListener("input", () => this.#name());
    byId("drawn-label").addEventListener("change", () => this.begin());
    this.clear();
  }

  /** Turn to a model, or to none. */
  choose(drawing) {
    this.side = drawing?.side || 1;
    const labels = drawing?.labels ?? [];
    this.labelled = labels.length > 1;
    byId("drawn-label-field").hidden = !this.labelled;
    byId("drawn-label").replaceChildren(...labels.map((label) => new Option(label)));
    this.clear();
  }

  /** Empty the paper. */
  clear() {
    this.stop();
    this.lines = []; // of {points, own}, in the units of the model from the origin
    this.origin = this.density = this.raw = undefined;
    this.at = [0, 0];
    this.lifted = false;
    this.#name();
    this.#draw();
  }

  /** Let the network stop after the point that it is at. */
  stop() {
    this.running = undefined;
    this.#name();
  }

  #name() {
    byId("continue").textContent = this.running ? "Stop" : this.origin ? "Let it continue" : "Let it begin";
    byId("temperature-value").textContent = Number(byId("temperature").value).toFixed(2);
  }

  /** Where a pointer is, in the units of the model from the upper left. */
  #place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top].map((one) => (one * SEEN * this.side) / box.width);
  }

  #press(event) {
    event.preventDefault();
    this.stop();
    this.canvas.setPointerCapture(event.pointerId);
    const place = this.#place(event);
    this.origin ??= place;
    this.raw = [];
    this.#add(place);
    this.#name();
  }

  #move(event) {
    for (const one of event.getCoalescedEvents?.() ?? [event]) this.#add(this.#place(one));
  }

  #add(place) {
    this.raw.push(place.map((one, axis) => one - this.origin[axis]));
    this.#draw();
  }

  /** Give the network the line that was drawn. */
  #lift() {
    const line = simplified(this.raw, EPSILON * this.side);
    this.raw = undefined;
    // The origin is the first point of the first line; a dot there is an offset of nothing.
    const points = this.lines.length ? line : line.length > 1 ? line.slice(1) : line;
    this.lines.push({ points: line, own: true });
    this.#draw();
    this.#give(points, true).catch(this.fail);
  }

  /** Step points, the last of which is followed by a lifted pen or not. */
  async #give(points, lifts) {
    const offsets = points.map((point, k) => {
      const offset = point.map((one, axis) => Number((one - this.at[axis]).toPrecision(6)));
      this.at = this.at.map((one, axis) => one + offset[axis]);
      return [...offset, Number(lifts && k === points.length - 1)];
    });
    this.lifted = lifts;
    const item = { points: offsets };
    if (this.labelled) item.label = byId("drawn-label").value;
    const origin = this.origin;
    const density = await this.take(item);
    if (origin === this.origin) this.density = density || undefined;
  }

  /** Sample points until the network ends the drawing, the paper is cleared or it is stopped. */
  async #run() {
    const mine = (this.running = {});
    try {
      if (!this.origin) {
        const { width, height } = this.canvas;
        this.origin = [SEEN * this.side * BEGINS[0], (SEEN * this.side * BEGINS[1] * height) / width];
        await this.#give([], false);
        this.lines.push({ points: [[0, 0]], own: false });
      }
      this.#name();
      for (let k = 0; k < MOST_POINTS && this.running === mine && this.density; k++) {
        const { offset, pen } = sampled(this.density, Number(byId("temperature").value));
        if (pen === "ended") break;
        const point = this.at.map((one, axis) => one + offset[axis]);
        const latest = this.lines.at(-1);
        if (this.lifted) this.lines.push({ points: [point], own: false });
        else if (latest.own) this.lines.push({ points: [latest.points.at(-1), point], own: false });
        else latest.points.push(point);
        this.#draw();
        await this.#give([point], pen === "lifted");
      }
    } catch (error) {
      this.fail(error);
    }
    if (this.running === mine) this.stop();
  }

  #draw() {
    const { canvas } = this;
    const context = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    const scale = canvas.width / (SEEN * (this.side ?? 1));
    context.clearRect(0, 0, canvas.width, canvas.height);
    Object.assign(context, { lineWidth: canvas.width / 150, lineCap: "round", lineJoin: "round" });
    const unfinished = this.raw ? [{ points: this.raw, own: true }] : [];
    for (const { points, own } of [...this.lines, ...unfinished]) {
      context.strokeStyle = own ? style.caretColor : style.color; // as computed: a canvas knows no light-dark()
      context.beginPath();
      points.forEach((point, k) => {
        const [x, y] = point.map((one, axis) => scale * (one + this.origin[axis]));
        if (!k) context.moveTo(x, y);
        context.lineTo(x, y);
      });
      context.stroke();
    }
    const own = this.lines.filter((line) => line.own).length;
    const others = this.lines.length - own;
    canvas.setAttribute("aria-label", `The drawing: ${own} lines of yours, ${others} of the network`);
    say(byId("paper-text"), this.lines.length ? "" : "Begin a drawing here with the pointer.");
  }
}

/** An offset and a state of the pen, sampled from a density at a temperature, as the command line does. */
export function sampled({ weights, means, deviations, correlations, pen }, temperature, random = Math.random) {
  const k = chosen(weights.map((one) => one ** (1 / temperature)), random());
  const radius = Math.sqrt(-2 * Math.log(1 - random())), angle = 2 * Math.PI * random();
  const x = radius * Math.cos(angle), z = radius * Math.sin(angle);
  const y = correlations[k] * x + Math.sqrt(1 - correlations[k] ** 2) * z;
  const offset = [x, y].map((one, axis) => means[k][axis] + Math.sqrt(temperature) * deviations[k][axis] * one);
  const states = Object.keys(pen);
  return { offset, pen: states[chosen(states.map((one) => pen[one] ** (1 / temperature)), random())] };
}

function chosen(weights, uniform) {
  const total = weights.reduce((sum, one) => sum + one, 0);
  let left = uniform * total;
  const index = weights.findIndex((one) => (left -= one) < 0);
  return index < 0 ? weights.indexOf(Math.max(...weights)) : index;
}

/** A line without the points that are nearly on the segments that remain (Ramer 1972, Douglas and Peucker 1973). */
export function simplified(line, epsilon) {
  if (line.length < 3) return line.length === 2 && distance(line[0], line[1], line[1]) <= epsilon ? [line[0]] : line;
  const last = line.length - 1;
  let farthest = 0, largest = -1;
  for (let k = 1; k < last; k++) {
    const away = distance(line[k], line[0], line[last]);
    if (away > largest) [farthest, largest] = [k, away];
  }
  if (largest <= epsilon) return distance(line[0], line[last], line[last]) <= epsilon ? [line[0]] : [line[0], line[last]];
  const before = simplified(line.slice(0, farthest + 1), epsilon), after = simplified(line.slice(farthest), epsilon);
  return [...before, ...after.slice(after.length > 1 ? 1 : 0)];
}

/** How far a point is from the segment between two. */
function distance([x, y], [left, top], [right, bottom]) {
  const [dx, dy] = [right - left, bottom - top];
  const squared = dx * dx + dy * dy;
  const part = squared ? Math.min(1, Math.max(0, ((x - left) * dx + (y - top) * dy) / squared)) : 0;
  return Math.hypot(x - left - part * dx, y - top - part * dy);
}
