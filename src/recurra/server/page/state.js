import { byId, short } from "./dom.js";

const KEPT = 48; // steps in the picture

/** The state of a session as a strip of cells, above those of the steps before. */
export class StateView {
  #rows = [];
  #canvas = byId("state");
  #cell = byId("cell");

  constructor() {
    const redraw = () => this.#draw();
    new ResizeObserver(redraw).observe(this.#canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    this.#cell.addEventListener("input", () => this.#tell());
    this.#canvas.addEventListener("pointermove", ({ offsetX }) => {
      const size = this.#rows[0]?.length ?? 0;
      this.#cell.value = Math.floor((offsetX / this.#canvas.clientWidth) * size);
      this.#tell();
    });
  }

  clear() {
    this.#rows = [];
    byId("cell-field").hidden = byId("state-picture").hidden = true;
    byId("state-text").textContent = "The state is shown after the next step.";
    delete byId("state-text").dataset.steps;
    this.#draw();
  }

  /** Add the values after a step. */
  show(values, steps) {
    byId("state-text").dataset.steps = steps;
    const before = this.#rows[0];
    this.#rows = [values, ...this.#rows.slice(0, KEPT - 1)];
    this.#cell.max = values.length - 1;
    byId("cell-field").hidden = byId("state-picture").hidden = values.length === 0;
    const numbers = values.filter(Number.isFinite);
    let text = `${values.length} values`;
    if (numbers.length) text += ` from ${short(least(numbers))} to ${short(most(numbers))}`;
    if (numbers.length < values.length) text += `, ${values.length - numbers.length} not set`;
    if (before?.length === values.length) {
      const moved = values.map((one, k) => Math.abs(one - before[k])).filter(Number.isFinite);
      text += `; they moved by ${short(moved.reduce((sum, one) => sum + one, 0) / (moved.length || 1))} on average`;
    }
    byId("state-text").textContent = `${text}.`;
    this.#draw();
  }

  #tell() {
    const value = this.#rows[0]?.[this.#cell.value];
    byId("cell-value").textContent = value === undefined ? "" : `${this.#cell.value}: ${short(value)}`;
  }

  #draw() {
    this.#tell();
    const size = this.#rows[0]?.length ?? 0;
    const width = Math.max(1, Math.min(size, Math.floor(this.#canvas.clientWidth * devicePixelRatio)));
    const rows = this.#rows.map((row) => thinned(row, width));
    const scale = scaleOf(rows);
    const colour = colours();
    paint(this.#canvas, width, KEPT, (x, y) => colour(rows[y]?.[x] / scale));
    paint(byId("scale"), 64, 1, (x) => colour((2 * x) / 63 - 1));
    byId("scale-low").textContent = size ? `${short(-scale)} or less` : "";
    byId("scale-high").textContent = size ? `${short(scale)} or more` : "";
  }
}

/** What nearly all cells lie below: a few large ones do not make the others pale. */
function scaleOf(rows) {
  const sizes = Float32Array.from(rows.flatMap((row) => [...row]).filter(Number.isFinite), Math.abs).sort();
  return sizes[Math.floor(0.97 * sizes.length)] || sizes.at(-1) || 1;
}

/** As many values as there are pixels: of several cells the one that is farthest from 0. */
function thinned(values, width) {
  if (values.length <= width) return values;
  const found = new Float32Array(width).fill(NaN);
  values.forEach((one, k) => {
    const x = Math.floor((k * width) / values.length);
    if (!(Math.abs(found[x]) >= Math.abs(one)) && Number.isFinite(one)) found[x] = one;
  });
  return found;
}

const least = (values) => values.reduce((found, one) => Math.min(found, one), Infinity);
const most = (values) => values.reduce((found, one) => Math.max(found, one), -Infinity);

/** From -1 .. 1 to red, green and blue; blue below 0 and orange above tell apart to every kind of sight. */
function colours() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const middle = dark ? [38, 43, 51] : [246, 247, 249];
  const [low, high] = dark ? [[110, 176, 255], [255, 164, 84]] : [[18, 74, 150], [186, 74, 8]];
  return (value) => {
    if (!Number.isFinite(value)) return null;
    const end = value < 0 ? low : high;
    const share = Math.sqrt(Math.min(1, Math.abs(value)));
    return middle.map((one, k) => one + share * (end[k] - one));
  };
}

function paint(canvas, width, height, colour) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      const found = colour(x, y);
      if (found) image.data.set([...found, 255], at);
    }
  }
  context.putImageData(image, 0, 0);
}
