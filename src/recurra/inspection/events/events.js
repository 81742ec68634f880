// Looks through events: a list, one event at a time with its charts, and verdicts that are saved as a file.
"use strict";

const content = JSON.parse(document.getElementById("content").textContent);
const { overviews, events } = content;
const root = document.getElementById("events");
const SVG = "http://www.w3.org/2000/svg";
const LEFT = 62, RIGHT = 10, TOP = 6;
const verdicts = events.map((event) => event.verdict);
let at = -1, row = -1, charts = [];

const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const shape = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const shown = (value) => (value === null ? "missing" : String(Number(value.toPrecision(4))).replaceAll("-", "−"));
const percent = (fraction) => `${Math.round(100 * fraction)} %`;
const nameOf = (k) => (events[k].series ? `${events[k].series}, ${events[k].start}` : events[k].start);
const span = ({ start, end }) => (start === end ? start : `${start} to ${end}`);

const overviewPlace = make("section", { "aria-label": "Scores of all rows" });
const list = make("nav", { class: "list", "aria-label": "Events" });
const article = make("article", { "aria-live": "polite" });
const verdictPlace = make("section", { class: "verdicts", "aria-label": "Verdicts" });
root.replaceChildren(overviewPlace);
if (events.length) {
  root.append(make("div", { class: "split" }, list, make("div", {}, article, verdictPlace)));
  drawList();
  select(events.findIndex((_, k) => location.hash === `#event-${k + 1}`));
} else {
  root.append(make("p", {}, "There are no events: no row is above its threshold."));
  drawOverviews();
}

/** Turn to an event, by its index. */
function select(k) {
  at = Math.min(Math.max(k, 0), events.length - 1);
  row = -1;
  history.replaceState(null, "", `#event-${at + 1}`);
  for (const [index, line] of [...list.querySelectorAll("tbody tr")].entries()) {
    line.setAttribute("aria-current", String(index === at));
    if (index === at) keepInSight(line);
  }
  drawOverviews();
  drawEvent();
  drawVerdicts();
}

/** Scroll the list alone: the page stays where it is. */
function keepInSight(line) {
  const head = list.querySelector("thead").offsetHeight;
  if (line.offsetTop - head < list.scrollTop) list.scrollTop = line.offsetTop - head;
  const below = line.offsetTop + line.offsetHeight - list.clientHeight;
  if (below > list.scrollTop) list.scrollTop = below;
}

function drawList() {
  const heads = ["", "From", "Rows", "One in", "Channels"];
  const head = make("tr", {}, ...heads.map((text, k) => make("th", { scope: "col", class: k === 0 || k === 2 ? "n" : "" }, text)));
  const lines = events.map((event, k) => {
    const link = make("a", { href: `#event-${k + 1}` }, event.start);
    const series = event.series ? [make("small", {}, event.series)] : [];
    const channels = event.curves.filter((one) => one.fraction >= 0.1).slice(0, 3);
    const cells = [
      make("td", { class: "n" }, String(k + 1)),
      make("td", {}, link, ...series, make("small", { class: "verdict" })),
      make("td", { class: "n" }, String(event.rows)),
      make("td", {}, event.odds),
      make("td", {}, channels.map((one) => one.name).join(", ") || event.curves[0].name),
    ];
    const line = make("tr", {}, ...cells);
    line.addEventListener("click", (pressed) => {
      pressed.preventDefault();
      select(k);
    });
    return line;
  });
  list.replaceChildren(make("table", {}, make("thead", {}, head), make("tbody", {}, ...lines)));
}

function drawOverviews() {
  const figures = overviews.map((one) => {
    const plotted = chart([{ name: "score", kind: "score", y: one.scores }, { name: "threshold", kind: "threshold", y: one.thresholds }],
      { height: 90, logarithmic: true, ends: [one.stamps[0], one.stamps.at(-1)], stamps: one.stamps, name: one.series || "All rows" });
    for (const [event, first, last] of one.events) {
      const x = plotted.across(first - 0.5), width = Math.max(plotted.across(last + 0.5) - x, 4);
      const mark = shape("rect", { class: `mark${event === at ? " picked" : ""}`, x, y: TOP, width, height: 90 - TOP - 20 });
      mark.append(shape("title", {}, `Event ${event + 1}: ${nameOf(event)}`));
      mark.addEventListener("click", () => select(event));
      plotted.svg.append(mark);
    }
    plotted.answer((index) => plotted.point(index));
    return plotted.figure;
  });
  overviewPlace.replaceChildren(...figures);
}

function drawEvent() {
  const event = events[at];
  const step = (by, text, key) => {
    const button = make("button", { type: "button", title: `Key: ${key}` }, text);
    button.disabled = !events[at + by];
    button.addEventListener("click", () => select(at + by));
    return button;
  };
  const series = event.series ? `${event.series}: ` : "";
  const head = make("div", { class: "head" }, make("h2", {}, `${series}${span(event)}`),
    make("span", {}, `${at + 1} of ${events.length}`), step(-1, "Previous", "left arrow"), step(1, "Next", "right arrow"));
  const said = make("p", { class: "said" }, `${event.rows} ${event.rows === 1 ? "row" : "rows"}. The score is ${shown(event.score)} at its peak, ${event.peak}: `,
    make("strong", {}, event.rarity), ".");
  const similar = make("p", { class: "said" }, `${event.similar.text} `);
  if (event.similar.event !== null) {
    const turn = make("button", { type: "button" }, "Show it");
    turn.addEventListener("click", () => select(event.similar.event));
    similar.append(turn);
  }
  const bars = make("div", { class: "bars", role: "group", "aria-label": "Channels that contribute" });
  for (const { name, fraction } of event.curves) {
    bars.append(make("span", {}, name), make("i", { style: `width: ${Math.max(100 * fraction, 1)}%` }), make("span", {}, percent(fraction)));
  }
  const legend = make("ul", { class: "legend" }, ...[["observed", "observed"], ["expected", "expected, with 2 deviations"],
    ["threshold", "threshold"]].map(([kind, text]) => make("li", {}, sample(kind), text)));
  article.replaceChildren(head, said, similar, make("div", { class: "two" }, bars, atPeak(event)), legend);
  const ends = [event.stamps[0], event.stamps.at(-1)];
  const options = { inside: event.inside, top: event.top, ends, stamps: event.stamps };
  const all = event.curves.map((one) => chart([{ name: "expected", kind: "expected", y: one.expected, band: one.band },
    { name: "observed", kind: "observed", y: one.observed }], { ...options, name: one.name, height: 130 }));
  charts = [...all, chart([{ name: "score", kind: "score", y: event.scores }, { name: "threshold", kind: "threshold", y: event.thresholds }],
    { ...options, name: "score", height: 130, logarithmic: true })];
  for (const one of charts) {
    article.append(one.figure);
    one.answer(point);
  }
  article.append(make("p", { class: "keys" }, make("kbd", {}, "←"), " ", make("kbd", {}, "→"), " previous and next event; with ", make("kbd", {}, "Shift"),
    " the row to read; ", make("kbd", {}, "n"), " normal, ", make("kbd", {}, "a"), " anomaly."));
}

/** What came beside what was expected, at the peak. */
function atPeak(event) {
  const head = make("tr", {}, ...["at the peak", "came", "expected", "deviations"].map((text) => make("th", { scope: "col" }, text)));
  const lines = event.curves.map(({ name, observed, expected, band }) => {
    const [came, wanted] = [observed[event.top], expected[event.top]];
    const off = came === null || wanted === null || !band ? null : (2 * (came - wanted)) / band;
    const signed = off === null ? "" : `${off > 0 ? "+" : ""}${shown(Number(off.toPrecision(2)))}`;
    return make("tr", {}, ...[name, shown(came), wanted === null ? "" : shown(wanted), signed].map((text, k) => make("td", { class: k ? "" : "text" }, text)));
  });
  return make("table", {}, head, ...lines);
}

function sample(kind) {
  const svg = shape("svg", { viewBox: "0 0 26 10", "aria-hidden": "true" });
  if (kind === "expected") svg.append(shape("rect", { class: "band", width: 26, height: 10 }));
  svg.append(shape("line", { class: `curve ${kind}`, x1: 0, x2: 26, y1: 5, y2: 5 }));
  return svg;
}

/** Say the values of a row, in all charts of the event. */
function point(index) {
  row = index;
  for (const one of charts) one.point(index);
}

/** A chart: {figure, svg, across, point, answer}. */
function chart(curves, { name, height, stamps, ends, inside, top, logarithmic = false }) {
  const width = Math.max(280, Math.round((curves[0].kind === "score" && !inside ? overviewPlace : article).clientWidth || 700));
  const bottom = 20, count = stamps.length;
  const of = (value) => (logarithmic ? Math.log10(Math.max(value, floor)) : value);
  const positive = curves.flatMap(({ y }) => y).filter((one) => one > 0).sort((a, b) => a - b);
  // Rows that nothing was forecast of would take most of a logarithmic axis.
  const floor = logarithmic ? Math.max((positive[Math.floor(positive.length / 20)] ?? 1) / 2, 1e-3) : 0;
  const values = curves.flatMap(({ y, band = 0 }) => y.flatMap((one) => (one === null ? [] : [of(one - band), of(one + band)])));
  let [low, high] = values.length ? values.reduce(([a, b], one) => [Math.min(a, one), Math.max(b, one)], [Infinity, -Infinity]) : [0, 1];
  const margin = 0.05 * (high - low) || Math.abs(high) * 0.05 || 1;
  [low, high] = [low - margin, high + margin];
  const across = (x) => LEFT + ((x + 0.5) / count) * (width - LEFT - RIGHT);
  const up = (y) => height - bottom - ((of(y) - low) / (high - low)) * (height - TOP - bottom);
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": `${name}, ${ends[0]} to ${ends[1]}` });
  if (inside) {
    const x = across(inside[0] - 0.5);
    svg.append(shape("rect", { class: "inside", x, y: TOP, width: Math.max(across(inside[1] + 0.5) - x, 2), height: height - TOP - bottom }));
  }
  for (const tick of logarithmic ? powers(low, high) : ticks(low, high)) {
    const y = height - bottom - (((logarithmic ? Math.log10(tick) : tick) - low) / (high - low)) * (height - TOP - bottom);
    svg.append(shape("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: y, y2: y }));
    svg.append(shape("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, shown(tick)));
  }
  svg.append(shape("text", { x: LEFT, y: height - 5 }, ends[0]));
  if (count > 1) svg.append(shape("text", { x: width - RIGHT, y: height - 5, "text-anchor": "end" }, ends[1]));
  for (const { kind, y, band } of curves) {
    for (const run of unbroken(y)) {
      const line = run.map((k) => `${across(k).toFixed(1)},${up(y[k]).toFixed(1)}`);
      if (band) {
        const edge = (sign) => run.map((k) => `${across(k).toFixed(1)},${up(y[k] + sign * band).toFixed(1)}`);
        svg.append(shape("polygon", { class: "band", points: [...edge(1), ...edge(-1).reverse()].join(" ") }));
      }
      svg.append(shape("polyline", { class: `curve ${kind}`, points: line.join(" ") }));
      if (run.length === 1) svg.append(shape("circle", { class: "spot", cx: across(run[0]), cy: up(y[run[0]]), r: 2 }));
    }
  }
  const main = curves.find(({ kind }) => kind !== "threshold" && kind !== "expected");
  if (top !== undefined && main.y[top] !== null) svg.append(shape("circle", { class: "peak", cx: across(top), cy: up(main.y[top]), r: 3.5 }));
  const cross = shape("line", { class: "cross", y1: TOP, y2: height - bottom, visibility: "hidden" });
  svg.append(cross);
  const readout = make("span");
  const figure = make("figure", { class: "chart" }, make("figcaption", {}, make("b", {}, name), readout), svg);

  function show(index) {
    cross.setAttribute("visibility", index < 0 ? "hidden" : "visible");
    if (index < 0) return (readout.textContent = "");
    for (const side of ["x1", "x2"]) cross.setAttribute(side, across(index));
    const said = [main, ...curves.filter((one) => one !== main)].map(({ name: one, y }) => `${one} ${shown(y[index])}`);
    readout.textContent = `${stamps[index]}: ${said.join(", ")}`;
  }

  function answer(act) {
    const read = (event) => {
      const frame = svg.getBoundingClientRect();
      const x = ((event.clientX - frame.left) / frame.width) * width;
      act(Math.min(Math.max(Math.round(((x - LEFT) / (width - LEFT - RIGHT)) * count - 0.5), 0), count - 1));
    };
    svg.addEventListener("pointermove", read);
    svg.addEventListener("pointerdown", read);
    svg.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && act(-1));
  }
  return { figure, svg, across, point: show, answer };
}

/** Round numbers from low to high, two to five of them. */
function ticks(low, high) {
  const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((one) => one * power >= rough);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.max(0, Math.floor(high / step + 1e-9) - first + 1) }, (_, k) => (first + k) * step);
}

/** Powers of ten between logarithms, with 2 and 5 times them if these are few. */
function powers(low, high) {
  const found = [];
  for (let k = Math.floor(low); k <= high; k++) for (const one of [1, 2, 5]) found.push(one * 10 ** k);
  const within = found.filter((one) => Math.log10(one) >= low && Math.log10(one) <= high);
  if (within.length < 2) return ticks(10 ** low, 10 ** high).filter((one) => one > 0);
  const tens = within.filter((one) => Math.abs(Math.log10(one) % 1) < 1e-9);
  const chosen = within.length > 5 && tens.length > 1 ? tens : within;
  return chosen.filter((_, k) => k % Math.ceil(chosen.length / 5) === 0);
}

/** The runs of indices without a gap. */
function unbroken(values) {
  const runs = [[]];
  values.forEach((one, k) => (one === null ? runs.push([]) : runs.at(-1).push(k)));
  return runs.filter((run) => run.length);
}

function judge(verdict) {
  verdicts[at] = verdicts[at] === verdict ? "" : verdict;
  drawVerdicts();
}

function drawVerdicts() {
  if (!content.feedback) return;
  const button = (verdict, text) => {
    const made = make("button", { type: "button", class: verdict, "aria-pressed": String(verdicts[at] === verdict), title: `Key: ${verdict[0]}` }, text);
    made.addEventListener("click", () => judge(verdict));
    return made;
  };
  const count = verdicts.filter(Boolean).length;
  const save = make("button", { type: "button", id: "save" }, `Save ${count} ${count === 1 ? "verdict" : "verdicts"}`);
  save.disabled = !count;
  save.addEventListener("click", saveVerdicts);
  verdictPlace.replaceChildren(
    make("div", { class: "head" }, make("span", {}, "This event was"), button("normal", "normal"), button("anomaly", "an anomaly"), save),
    make("p", {}, `Saved as ${content.verdicts}, verdicts teach the detector: `, make("code", {}, content.feedback)),
  );
  list.querySelectorAll(".verdict").forEach((place, k) => (place.textContent = verdicts[k] && `said: ${verdicts[k]}`));
}

/** The verdicts as CSV. */
function verdictTable() {
  const quoted = (cell) => (/[",\n]/u.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
  const lines = events.flatMap(({ series, start, end }, k) => (verdicts[k] ? [[series, start, end, verdicts[k]].map(quoted).join(",")] : []));
  return ["series,start,end,verdict", ...lines, ""].join("\n");
}

function saveVerdicts() {
  const url = URL.createObjectURL(new Blob([verdictTable()], { type: "text/csv" }));
  make("a", { href: url, download: content.verdicts }).click();
  URL.revokeObjectURL(url);
}

document.addEventListener("keydown", (event) => {
  if (!events.length || event.ctrlKey || event.metaKey || event.altKey) return;
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (by && event.shiftKey) {
    const count = events[at].stamps.length;
    point(row < 0 ? events[at].top : Math.min(Math.max(row + by, 0), count - 1));
  } else if (by) select(at + by);
  else if (event.key === "Home") select(0);
  else if (event.key === "End") select(events.length - 1);
  else if (event.key === "Escape") point(-1);
  else if (content.feedback && (event.key === "n" || event.key === "a")) judge({ n: "normal", a: "anomaly" }[event.key]);
  else return;
  event.preventDefault();
});
let waiting;
addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => (events.length ? select(at) : drawOverviews()), 100);
});
