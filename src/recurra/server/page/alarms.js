import { chart, legend } from "./chart.js";
import { element, say, short } from "./dom.js";

const KEPT = 400; // steps that are drawn
const MOST_EVENTS = 32; // of the latest so many a person can say what they were

/** Rows with their scores: what was expected, the threshold, alarms, the events that they make and a person's verdicts on them. */
export class AlarmView {
  static shows = (result) => typeof result?.score === "number" && typeof result.alarm === "boolean";

  constructor(place, give) {
    this.give = give;
    this.rows = [];
    this.steps = 0;
    this.events = new Map(); // by their numbers
    this.drift = element("p", { class: "notice", hidden: "" });
    this.channel = element("select", { id: "channel" });
    this.channel.addEventListener("change", () => this.#draw());
    this.field = element("p", {}, element("label", { for: "channel" }, "Channel"), this.channel);
    this.values = element("div");
    this.scores = element("div");
    this.list = element("ol", { class: "events", tabindex: 0, role: "region", "aria-label": "Events" });
    place.replaceChildren(
      this.drift, this.field, this.values, element("h3", {}, "Score and threshold"), this.scores, element("h3", {}, "Events"), this.list,
    );
  }

  show(item, result) {
    this.steps += 1;
    if (result.feedback) return { sentence: this.#judged(result) };
    const channels = Object.keys(result.parts);
    if (!this.channel.options.length) {
      const most = element("option", { value: "" }, "the one that adds most");
      this.channel.append(most, ...channels.map((name) => element("option", {}, name)));
      this.field.hidden = channels.length < 2;
    }
    const values = Array.isArray(item) ? Object.fromEntries(channels.map((name, k) => [name, item[k]])) : item;
    this.rows.push({ ...result, values, step: this.steps });
    if (this.rows.length > KEPT) this.rows.shift();
    if (result.alarm) this.#alarm(result, values);
    this.#draw();
    const drift = this.#drifts(result.drift);
    const score = `score ${short(result.score)}, threshold ${short(result.threshold)}`;
    return { sentence: `${result.alarm ? `alarm: ${score}; ${told(result, values)}` : score}${drift}` };
  }

  /** The step raises an alarm, which belongs to an event. */
  #alarm(result, values) {
    let event = this.events.get(result.event);
    if (!event) {
      event = { number: result.event, begin: this.steps, score: -Infinity, text: element("span"), said: element("em"), button: element("button", { type: "button" }) };
      event.button.addEventListener("click", () => this.#judge(event));
      this.events.set(event.number, event);
      this.list.prepend(element("li", {}, event.text, event.said, event.button));
      name(event, "");
      if (this.events.size > MOST_EVENTS) this.#forgetOldest();
    }
    event.end = this.steps;
    if (result.score > event.score) Object.assign(event, { score: result.score, words: told(result, values) });
    const steps = event.begin === event.end ? `step ${event.begin}` : `steps ${event.begin} to ${event.end}`;
    event.text.replaceChildren(element("strong", {}, steps), ` score ${short(event.score)}; ${event.words}`);
  }

  #forgetOldest() {
    const [number] = this.events.keys(); // in the order in which they came
    this.events.delete(number);
    this.list.lastChild.remove();
  }

  /** Tell the model what an event was. */
  async #judge(event) {
    event.button.disabled = true;
    await this.give({ feedback: { event: event.number, verdict: event.verdict === "normal" ? "anomaly" : "normal" } });
    event.button.disabled = false;
  }

  /** A verdict was taken. */
  #judged({ feedback: { event: number, verdict }, threshold, silenced }) {
    const event = this.events.get(number);
    if (event) name(event, verdict);
    const limits = `event ${number} called ${verdict === "normal" ? "normal" : "an anomaly"}; the threshold is ${short(threshold)}`;
    return silenced.length ? `${limits}; no alarm is raised any more by event ${silenced.join(", ")}` : limits;
  }

  /** Show a drift while it lasts. Returns what is new of it. */
  #drifts(drift) {
    const since = drift && `${drift.rows} rows${drift.or_earlier ? " or more" : ""}`;
    const words = drift ? `Errors are ${short(drift.ratio)} times those of training for ${since}. If these are normal, train anew.` : "";
    const isNew = Boolean(drift) && this.drift.hidden;
    say(this.drift, words);
    return isNew ? `; drift: ${words}` : "";
  }

  #draw() {
    const rows = this.rows, latest = rows.at(-1);
    const name = this.channel.value || (rows.findLast((one) => one.alarm) ?? latest).channel;
    const x = rows.map((one) => one.step);
    const ends = [`step ${x[0]}`, `step ${latest.step}`];
    const spans = spansOf(rows);
    const alarmed = `${rows.filter((one) => one.alarm).length} of ${rows.length} steps in alarm`;
    const lines = [
      { name: `${name}, observed`, style: "", x, y: rows.map((one) => one.values[name] ?? null), dots: rows.length < 60 },
      { name: "expected", style: 1, x, y: rows.map((one) => one.expected[name]) },
    ];
    const mark = spans.length ? [{ name: "alarm", style: "alarm" }] : [];
    this.values.replaceChildren(
      chart(lines, { width: this.values.clientWidth, label: `${name}: observed and expected; ${alarmed}`, spans, ends }),
      legend([...lines, ...mark]),
    );
    const scores = [
      { name: "score", style: 0, x, y: rows.map((one) => logOf(one.score)), dots: rows.length < 60 },
      { name: "threshold", style: 1, x, y: rows.map((one) => logOf(one.threshold)) },
    ];
    const label = `Score ${short(latest.score)} and threshold ${short(latest.threshold)}; ${alarmed}`;
    const format = (y) => short(Number((10 ** y).toPrecision(2)));
    this.scores.replaceChildren(
      chart(scores, { width: this.scores.clientWidth, label, spans, ends, format, range: rangeOf(scores) }),
      legend([...scores, ...mark]),
    );
    if (!this.events.size) this.list.replaceChildren(element("li", { class: "help" }, "None yet."));
    else this.list.querySelector(".help")?.remove();
  }
}

/** Say what an event was called, and offer the other verdict. */
function name(event, verdict) {
  event.verdict = verdict;
  event.said.textContent = { "": "", normal: " called normal", anomaly: " called an anomaly" }[verdict];
  event.button.textContent = verdict === "normal" ? "It was an anomaly" : "This was normal";
  event.button.setAttribute("aria-label", `${event.button.textContent}: event ${event.number}`);
}

/** What the channel that adds most to a score was, beside what was expected. */
function told({ channel, expected }, values) {
  const was = values[channel] ?? null;
  const instead = expected[channel] === null ? "" : `, expected ${short(expected[channel])}`;
  return was === null ? `${channel} is missing${instead}` : `${channel} was ${short(was)}${instead}`;
}

/** The runs of steps in alarm, half a step wider on both sides. */
function spansOf(rows) {
  const spans = [];
  for (const { alarm, step } of rows) {
    if (!alarm) continue;
    if (spans.at(-1)?.to === step - 0.5) spans.at(-1).to = step + 0.5;
    else spans.push({ from: step - 0.5, to: step + 0.5 });
  }
  return spans;
}

const logOf = (score) => (score > 0 ? Math.log10(score) : null); // 0 before the first forecast

/** The powers of ten around all values. */
function rangeOf(lines) {
  const values = lines.flatMap((one) => one.y).filter((one) => one !== null);
  return [Math.floor(Math.min(0, ...values)), Math.ceil(Math.max(1, ...values))];
}
