import { element, shape, short } from "./dom.js";

const HEIGHT = 240, LEFT = 52, RIGHT = 12, TOP = 10, BOTTOM = 26;

/**
 * A chart of lines and bands over one axis.
 *
 * @param lines - of {name, x, y, style, dots}; a y that is null makes a gap.
 * @param options - {width: in pixels, label: what a screen reader says, bands: of {x, low, high}, spans: of {from, to} of x, range:
 *   [least, most] of y, format: of the numbers beside the axis, ends: the texts below the first and the last x}
 */
export function chart(lines, { width, label, bands = [], spans = [], range, format = short, ends }) {
  const xs = [...lines, ...bands].flatMap((one) => one.x);
  const [left, right] = extent(xs);
  const [low, high] = range ?? padded(extent([...lines.flatMap((one) => one.y), ...bands.flatMap((one) => [...one.low, ...one.high])]));
  const across = (x) => LEFT + ((x - left) / (right - left || 1)) * (width - LEFT - RIGHT);
  const up = (y) => HEIGHT - BOTTOM - ((y - low) / (high - low || 1)) * (HEIGHT - TOP - BOTTOM);
  const point = (x, y) => `${across(x).toFixed(1)},${up(y).toFixed(1)}`;
  const svg = shape("svg", { class: "chart", viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": label });
  for (const { from, to } of spans) {
    const [begin, end] = [Math.max(from, left), Math.min(to, right)].map(across);
    // A single step is still seen.
    svg.append(shape("rect", { class: "alarm", x: begin, y: TOP, width: Math.max(2, end - begin), height: HEIGHT - TOP - BOTTOM }));
  }
  for (const y of ticks(low, high)) {
    svg.append(shape("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: up(y), y2: up(y) }));
    svg.append(shape("text", { x: LEFT - 6, y: up(y) + 4, "text-anchor": "end" }, format(y)));
  }
  svg.append(shape("text", { x: LEFT, y: HEIGHT - 8 }, ends[0]));
  svg.append(shape("text", { x: width - RIGHT, y: HEIGHT - 8, "text-anchor": "end" }, ends[1]));
  for (const { x, low: below, high: above } of bands) {
    const edge = [...x.map((one, k) => point(one, above[k])), ...x.map((one, k) => point(one, below[k])).reverse()];
    svg.append(shape("polygon", { class: "band", points: edge.join(" ") }));
  }
  for (const { x, y, style, dots } of lines) {
    for (const run of unbroken(y)) {
      svg.append(shape("polyline", { class: `line s${style}`, points: run.map((k) => point(x[k], y[k])).join(" ") }));
      if (dots || run.length === 1) {
        for (const k of run) svg.append(shape("circle", { class: `dot s${style}`, cx: across(x[k]), cy: up(y[k]), r: 3 }));
      }
    }
  }
  return svg;
}

/** What each line of a chart is, as a list with a sample of it. */
export function legend(entries) {
  const list = element("ul", { class: "legend" });
  for (const { name, style } of entries) {
    const sample =
      style === "band" || style === "alarm"
        ? shape("rect", { class: style, width: 32, height: 12 })
        : shape("line", { class: `line s${style}`, x1: 0, x2: 32, y1: 6, y2: 6 });
    list.append(element("li", {}, shape("svg", { class: "chart", viewBox: "0 0 32 12", "aria-hidden": "true" }, sample), name));
  }
  return list;
}

function extent(values) {
  let low = Infinity, high = -Infinity;
  for (const one of values) {
    if (one !== null && one < low) low = one;
    if (one !== null && one > high) high = one;
  }
  return low <= high ? [low, high] : [0, 1];
}

function padded([low, high]) {
  const margin = 0.06 * (high - low) || Math.abs(high) * 0.1 || 1;
  return [low - margin, high + margin];
}

/** Round numbers from low to high, three to six of them. */
function ticks(low, high) {
  const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((one) => one * power >= rough);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, k) => (first + k) * step);
}

/** The runs of indices without a gap. */
function unbroken(values) {
  const runs = [[]];
  values.forEach((one, k) => (one === null ? runs.push([]) : runs.at(-1).push(k)));
  return runs.filter((run) => run.length);
}
