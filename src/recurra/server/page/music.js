import { drawBars } from "./bars.js";
import { element, percent, shape, short } from "./dom.js";

const KEPT = 64, MOST_EVENTS = 400; // frames and events that a view remembers
const WIDE = 10, HIGH = 5; // of a note, in the units of the picture
const LOWEST = 21, KEYS = 88;
const NAMES = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];

const pitchName = (pitch) => `${NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;
const named = (pitches) => pitches.map(pitchName).join(" ") || "silence";

/** A button that steps what the model sampled. It is there once an item had a seed. */
class Sampled {
  constructor(give) {
    this.button = element("button", { type: "button", hidden: "" });
    this.button.addEventListener("click", async () => {
      this.button.disabled = true;
      await give({ ...this.item, seed: Math.floor(Math.random() * 2 ** 31) });
      this.button.disabled = false;
    });
  }

  /** Offer an item. */
  offer(item, words) {
    this.button.hidden = !item;
    this.item = item;
    this.button.textContent = `Step what is sampled: ${words}`;
  }
}

/** The frames so far as a piano roll, and how probable each note is in the next. */
export class FramesView {
  static shows = (result) => Array.isArray(result?.expected) && result.probabilities?.length === KEYS;

  constructor(place, give) {
    this.frames = [];
    this.sampled = new Sampled(give);
    this.picture = shape("svg", { class: "roll", viewBox: `0 0 ${(KEPT + 2) * WIDE} ${KEYS * HIGH}`, role: "img" });
    this.text = element("p", { class: "help" });
    place.replaceChildren(element("h3", {}, "Notes so far, and those to come"), this.picture, this.text, this.sampled.button);
  }

  show({ frames }, { surprise, expected, probabilities, sampled }) {
    this.frames = [...this.frames, ...frames].slice(-KEPT);
    const notes = this.frames.flatMap((frame, k) => frame.map((pitch) => note(k, pitch, 1)));
    const coming = probabilities.map((probability, k) => note(this.frames.length + 1, LOWEST + k, probability));
    this.picture.replaceChildren(...octaves(), ...notes, ...coming);
    const sentence = `expected ${named(expected)}`;
    this.picture.setAttribute("aria-label", `${this.frames.length} frames, the last ${named(this.frames.at(-1) ?? [])}; ${sentence}`);
    const likeliest = probabilities.map((one, k) => [one, k]).sort((a, b) => b[0] - a[0]).slice(0, 5);
    this.text.textContent = `Likeliest next: ${likeliest.map(([one, k]) => `${pitchName(LOWEST + k)} ${percent(one)}`).join(", ")}.`;
    this.sampled.offer(sampled && { frames: [sampled] }, named(sampled ?? []));
    return { sentence: sentence + surprised(surprise, "frame") };
  }
}

/** The likeliest events to come, and the events so far. */
export class EventsView {
  static shows = (result) => typeof result?.next?.[0]?.event === "string";

  constructor(place, give) {
    this.sampled = new Sampled(give);
    this.bars = element("ol", { class: "bars" });
    this.events = element("ol", { class: "tags", tabindex: 0, "aria-label": "Events so far" });
    place.replaceChildren(element("h3", {}, "Likely to come next"), this.bars, this.sampled.button, element("h3", {}, "Events so far"), this.events);
  }

  show({ events }, { surprise, next, sampled }) {
    drawBars(this.bars, next.map(({ event, probability }) => [event, probability]));
    events.forEach((event, k) => this.events.append(element("li", {}, event, element("small", {}, ` ${short(surprise[k])} nats`))));
    while (this.events.children.length > MOST_EVENTS) this.events.firstChild.remove();
    this.events.scrollTop = this.events.scrollHeight;
    this.sampled.offer(sampled && { events: [sampled] }, sampled);
    const [{ event, probability }] = next;
    return { sentence: `next ${event} ${percent(probability)}${surprised(surprise, "event")}`, confidence: probability };
  }
}

function surprised(surprise, unit) {
  const mean = surprise.reduce((sum, one) => sum + one, 0) / surprise.length;
  return surprise.length ? `, surprise ${short(mean)} nats a${unit === "event" ? "n" : ""} ${unit}` : "";
}

function note(column, pitch, opacity) {
  const y = (LOWEST + KEYS - 1 - pitch) * HIGH;
  return shape("rect", { class: "note", x: column * WIDE, y, width: WIDE - 1, height: HIGH - 1, "fill-opacity": opacity.toFixed(3) });
}

/** A line below each C, with its name. */
function octaves() {
  const lines = [];
  for (let pitch = 24; pitch < LOWEST + KEYS; pitch += 12) {
    const y = (LOWEST + KEYS - pitch) * HIGH;
    lines.push(shape("line", { x1: 0, x2: (KEPT + 2) * WIDE, y1: y, y2: y }));
    lines.push(shape("text", { x: (KEPT + 2) * WIDE - 4, y: y - 2, "text-anchor": "end" }, pitchName(pitch)));
  }
  return lines;
}
