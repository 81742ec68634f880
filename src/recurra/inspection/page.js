// Says the values of a picture where a reader points: with a mouse, a finger, or the keys of a slider.
"use strict";

for (const picture of document.querySelectorAll(".picture")) {
  const panels = JSON.parse(picture.querySelector("script").textContent);
  if (panels.some((panel) => panel.points.length)) answer(picture, panels);
}
for (const help of document.querySelectorAll(".help")) help.hidden = false;

function answer(picture, panels) {
  const points = panels.flatMap((panel) => panel.points.map((_, index) => ({ panel, index })));
  const slider = element(picture, "slider");
  slider.tabIndex = 0;
  const state = {
    role: "slider", "aria-label": picture.dataset.label, "aria-valuemin": 1, "aria-valuemax": points.length,
  };
  for (const [name, value] of Object.entries(state)) slider.setAttribute(name, value);
  let at = 0;
  describe();

  function describe() {
    const { panel, index } = points[at];
    const said = panel.curves.map((curve) => `${curve.name} ${shown(curve.values[index])}`);
    slider.setAttribute("aria-valuenow", at + 1);
    slider.setAttribute("aria-valuetext", `${name()}: ${said.join(", ")}`);
  }

  function name() {
    const { panel, index } = points[at];
    return panel.heading + panel.points[index];
  }

  function hide() {
    slider.replaceChildren();
  }

  function show(place) {
    at = place;
    describe();
    hide();
    const { panel, index } = points[at];
    const [left, top, right, bottom] = panel.box;
    const x = panel.x[index];
    if (panel.y) {
      dot(x, panel.y[index], "currentColor");
    } else {
      put(element(slider, "line"), { left: x, top, height: bottom - top });
      for (const { heights, colour } of panel.curves) if (heights && heights[index] !== null) dot(x, heights[index], colour);
    }
    const box = element(slider, x > 0.5 ? "values left" : "values");
    // Beside what it is of, and in the upper half of the panel where the reader looks in the lower.
    put(box, { left: x, top: panel.y && panel.y[index] < (top + bottom) / 2 ? (top + bottom) / 2 : top });
    element(box, "place").textContent = name();
    for (const curve of panel.curves) {
      const line = element(box, "value");
      if (curve.colour) element(line, "swatch").style.background = curve.colour;
      element(line, "name").textContent = curve.name;
      element(line, "number").textContent = shown(curve.values[index]);
    }
  }

  function dot(x, y, colour) {
    const mark = element(slider, "dot");
    put(mark, { left: x, top: y });
    mark.style.background = colour;
  }

  picture.addEventListener("pointermove", point);
  picture.addEventListener("pointerdown", point);
  // A finger leaves when it is lifted: what it pointed at stays, until another place is touched.
  picture.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hide(); });
  document.addEventListener("pointerdown", (event) => { if (!picture.contains(event.target)) hide(); });

  function point(event) {
    const frame = picture.getBoundingClientRect();
    const x = (event.clientX - frame.left) / frame.width;
    const y = (event.clientY - frame.top) / frame.height;
    let [nearest, least] = [-1, Infinity];
    points.forEach(({ panel, index }, place) => {
      const [left, top, right, bottom] = panel.box;
      if (x < left - 0.01 || x > right + 0.01 || y < top || y > bottom) return;
      const across = (panel.x[index] - x) * frame.width;
      const distance = Math.hypot(across, panel.y ? (panel.y[index] - y) * frame.height : 0);
      if (distance < least) [nearest, least] = [place, distance];
    });
    if (nearest < 0) hide();
    else show(nearest);
  }

  slider.addEventListener("focus", () => { if (slider.matches(":focus-visible")) show(at); });
  slider.addEventListener("blur", hide);
  slider.addEventListener("keydown", (event) => {
    const panel = panels.indexOf(points[at].panel);
    const begin = (number) => points.findIndex((place) => place.panel === panels[number]);
    const moves = {
      ArrowRight: at + 1, ArrowUp: at + 1, ArrowLeft: at - 1, ArrowDown: at - 1, Home: 0, End: points.length - 1,
      PageDown: begin(Math.min(panel + 1, panels.length - 1)), PageUp: begin(Math.max(panel - 1, 0)),
    };
    if (event.key === "Escape") hide();
    if (!(event.key in moves)) return;
    event.preventDefault();
    show(Math.min(Math.max(moves[event.key], 0), points.length - 1));
  });
}

function element(parent, name) {
  const child = document.createElement("div");
  child.className = name;
  parent.append(child);
  return child;
}

function put(child, fractions) {
  for (const [side, fraction] of Object.entries(fractions)) child.style[side] = `${100 * fraction}%`;
}

function shown(value) {
  if (value === null) return "–";
  const small = typeof value === "number" && value !== 0 && Math.abs(value) < 1e-4;
  return (small ? value.toExponential() : String(value)).replaceAll("-", "−");
}
