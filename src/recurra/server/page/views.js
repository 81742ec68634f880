import { AlarmView } from "./alarms.js";
import { drawBars } from "./bars.js";
import { chart, legend } from "./chart.js";
import { element, percent, short, visible } from "./dom.js";
import { EventsView, FramesView } from "./music.js";
import { WordsView } from "./words.js";

const KEPT = 400; // steps that a view remembers
const MOST_LINES = 6, MOST_BARS = 10;

/**
 * The view that shows results of this form. A view has `show(item, result)`, which adds a step and returns
 * {sentence, confidence}; the confidence may be missing.
 *
 * @param give - steps an item that the view makes.
 */
export function viewOf(result, place, give) {
  const View = [FramesView, EventsView, TokenView, TagView, ForecastView, ClassView, AlarmView, WordsView, PenView].find((one) => one.shows(result)) ?? PlainView;
  return new View(place, give);
}

/** Show predictions for one whole input. Returns them in one sentence. */
export function showWhole(predictions, place) {
  const one = predictions.length === 1 ? predictions[0] : predictions;
  if (Array.isArray(one.words) && Array.isArray(one.tags)) {
    const view = new TagView(place);
    one.words.forEach((word, k) => view.show(word, { tag: one.tags[k], confidence: one.confidence?.[k] }));
    return one.words.map((word, k) => `${word} ${one.tags[k]}`).join(", ");
  }
  if (Array.isArray(one) && one.every((segment) => Array.isArray(segment.words))) {
    return new WordsView(place).show(null, { final: one, partial: { text: "", words: [] } }).sentence;
  }
  if (!ClassView.shows(one)) return new PlainView(place).show(null, one).sentence;
  const bars = element("ol", { class: "bars" });
  place.replaceChildren(bars);
  const ranked = Object.entries(one.probabilities).sort((a, b) => b[1] - a[1]);
  drawBars(bars, ranked.slice(0, MOST_BARS));
  return `${ranked[0][0]} ${percent(ranked[0][1])}`;
}

/** The likeliest tokens to come, below the text so far. */
class TokenView {
  static shows = (result) => Array.isArray(result?.next);

  constructor(place) {
    this.text = element("p", { class: "reading", tabindex: 0, role: "region", "aria-label": "Text so far" });
    this.bars = element("ol", { class: "bars" });
    place.replaceChildren(element("h3", {}, "Likely to come next"), this.bars, element("h3", {}, "Text so far"), this.text);
    this.latest = element("b");
    this.text.append("", this.latest);
  }

  show(item, { next, surprise }) {
    const before = this.text.firstChild;
    before.data = (before.data + this.latest.textContent).slice(-8 * KEPT);
    this.latest.textContent = item;
    this.text.scrollTop = this.text.scrollHeight;
    drawBars(this.bars, next.map(({ text, probability }) => [visible(text), probability]));
    const mean = surprise.reduce((sum, one) => sum + one, 0) / surprise.length;
    const surprised = surprise.length ? `, surprise ${short(mean)} nats a token` : "";
    return { sentence: `next ${visible(next[0].text)} ${percent(next[0].probability)}${surprised}`, confidence: next[0].probability };
  }
}

/** Words with their tags. */
class TagView {
  static shows = (result) => typeof result?.tag === "string";

  constructor(place) {
    this.words = element("ol", { class: "tags", tabindex: 0, "aria-label": "Words and their tags" });
    place.replaceChildren(this.words);
  }

  show(item, { tag, confidence }) {
    const sure = confidence === undefined ? "" : percent(confidence);
    this.words.append(element("li", {}, String(item), element("strong", {}, tag), element("small", {}, sure)));
    if (this.words.children.length > KEPT) this.words.firstChild.remove();
    this.words.scrollTop = this.words.scrollHeight;
    return { sentence: `${tag}${sure && ` ${sure}`}`, confidence };
  }
}

/** The observations, and the forecast after the latest with its interval. */
class ForecastView {
  static shows = (result) => result !== null && typeof result === "object" && "forecast" in result;

  constructor(place) {
    this.place = place;
    this.seen = [];
  }

  show(item, { forecast }) {
    const names = Object.keys(item);
    const time = forecast?.length ? Object.keys(forecast[0])[0] : names[0];
    const target = names.find((name) => name !== time);
    this.seen.push({ stamp: String(item[time]), y: item[target] });
    if (this.seen.length > KEPT) this.seen.shift();
    if (!forecast?.length) {
      this.place.replaceChildren(element("p", {}, "Too few observations for a forecast: step more."));
      return { sentence: "too few observations for a forecast" };
    }
    const levels = Object.keys(forecast[0]).filter((name) => /^q[\d.]+$/u.test(name)).sort((a, b) => a.slice(1) - b.slice(1));
    const stamps = [...this.seen.map((one) => one.stamp), ...forecast.map((one) => String(one[time]))];
    const dates = stamps.map(Date.parse);
    const x = dates.every((one, k) => Number.isFinite(one) && (!k || one > dates[k - 1])) ? dates : stamps.map((_, k) => k);
    const ahead = x.slice(this.seen.length);
    const [lowest, highest] = [levels[0], levels.at(-1)];
    const interval = levels.length > 1;
    const between = interval ? `${short(100 * lowest.slice(1))} to ${short(100 * highest.slice(1))} % quantiles` : "";
    const last = forecast.at(-1);
    const spread = interval ? `, between ${short(last[lowest])} and ${short(last[highest])}` : "";
    const sentence = `next ${short(forecast[0].forecast)}; ${last[time]}: ${short(last.forecast)}${spread}`;
    const column = (name) => forecast.map((one) => one[name]);
    this.place.replaceChildren(
      chart(
        [
          { x: x.slice(0, this.seen.length), y: this.seen.map((one) => one.y), style: "", dots: this.seen.length < 60 },
          { x: ahead, y: column("forecast"), style: 0, dots: forecast.length < 8 },
        ],
        {
          width: this.place.clientWidth,
          label: `${target}: ${this.seen.length} observations; the forecast is ${sentence}`,
          bands: interval ? [{ x: ahead, low: column(lowest), high: column(highest) }] : [],
          ends: [stamps[0], stamps.at(-1)],
        },
      ),
      legend([
        { name: `${target}, observed`, style: "" },
        { name: "forecast", style: 0 },
        ...(interval ? [{ name: between, style: "band" }] : []),
      ]),
    );
    return { sentence };
  }
}

/** The probability of each class now, and as evidence grew. */
class ClassView {
  static shows = (result) => result?.probabilities !== null && typeof result?.probabilities === "object";

  constructor(place) {
    this.bars = element("ol", { class: "bars" });
    this.course = element("div");
    place.replaceChildren(this.bars, element("h3", {}, "As evidence grew"), this.course);
    this.past = [];
    this.steps = 0;
  }

  show(_, { probabilities, labels, label }) {
    const ranked = Object.entries(probabilities).sort((a, b) => b[1] - a[1]);
    drawBars(this.bars, ranked.slice(0, MOST_BARS));
    this.steps += 1;
    this.past.push(probabilities);
    if (this.past.length > KEPT) this.past.shift();
    // A class keeps its line while others overtake it.
    this.names ??= ranked.length > MOST_LINES ? ranked.slice(0, MOST_LINES).map(([name]) => name) : Object.keys(probabilities);
    const first = this.steps - this.past.length + 1;
    const x = this.past.map((_, k) => first + k);
    const lines = this.names.map((name, k) => ({ name, style: k, x, y: this.past.map((one) => one[name] ?? null) }));
    const best = label ?? labels?.join(", ") ?? ranked[0][0];
    const sentence = `${best} ${percent(ranked[0][1])}`;
    this.course.replaceChildren(
      chart(lines, { width: this.course.clientWidth, label: `Probabilities over ${x.length} steps, now ${sentence}`, range: [0, 1], ends: [`step ${first}`, `step ${this.steps}`] }),
      legend(lines),
    );
    return { sentence, confidence: ranked[0][1] };
  }
}

/** What the pen does after the next point of a drawing. */
class PenView {
  static shows = (result) => Array.isArray(result?.means) && typeof result.pen?.ended === "number";

  constructor(place) {
    this.bars = element("ol", { class: "bars" });
    this.text = element("p", { class: "help" });
    place.replaceChildren(element("h3", {}, "What the pen does next"), this.bars, this.text);
  }

  show(_, { weights, means, pen: { down, lifted, ended } }) {
    drawBars(this.bars, [["stays down", down], ["is lifted", lifted], ["ends", ended]]);
    const mean = [0, 1].map((axis) => short(weights.reduce((sum, one, k) => sum + one * means[k][axis], 0)));
    this.text.textContent = `The mean of the next offset is ${mean.join(", ")}.`;
    return { sentence: `ends ${percent(ended)}, offset ${mean.join(", ")} on average` };
  }
}

/** Any other result, as JSON. */
class PlainView {
  constructor(place) {
    this.text = element("pre", { tabindex: 0, role: "region", "aria-label": "Result" });
    place.replaceChildren(this.text);
  }

  show(_, result) {
    const rounded = JSON.parse(JSON.stringify(result), (_, value) => (typeof value === "number" ? Number(value.toPrecision(6)) : value));
    this.text.textContent = JSON.stringify(rounded, null, 1);
    return { sentence: JSON.stringify(rounded).slice(0, 200), confidence: result?.confidence };
  }
}
