import { element, percent } from "./dom.js";

const KEPT = 100; // utterances

/** Utterances with their words, each with its time and confidence; below them what is being said. */
export class WordsView {
  static shows = (result) => Array.isArray(result?.final) && Array.isArray(result.partial?.words);

  constructor(place) {
    this.list = element("div", { class: "utterances", tabindex: 0, role: "region", "aria-label": "Utterances" });
    this.now = element("div");
    this.list.append(this.now);
    place.replaceChildren(this.list);
  }

  show(_, { partial, final }) {
    for (const one of final) this.now.before(utterance(one, `${seconds(one)} s`));
    while (this.list.children.length > KEPT + 1) this.list.firstChild.remove();
    const said = partial.words.length ? "being said" : this.list.children.length > 1 ? "" : "nothing heard yet";
    this.now.replaceChildren(...(said ? [utterance(partial, said)] : []));
    this.list.scrollTop = this.list.scrollHeight;
    const latest = final.at(-1) ?? (partial.words.length ? partial : undefined);
    if (!latest) return { sentence: "no words" };
    const text = final.length ? `“${final.map((one) => one.text).join(" ")}”, ${seconds(final[0], final.at(-1))} s` : `${partial.text} …`;
    return { sentence: text, confidence: latest.confidence };
  }
}

function utterance({ words }, title) {
  const chips = words.map((one) =>
    element("li", {}, one.word, element("small", {}, `${seconds(one)} s`), element("small", {}, percent(one.confidence))),
  );
  return element("section", {}, element("h3", {}, title), element("ol", { class: "tags" }, ...chips));
}

/** From when to when. */
function seconds(first, last = first) {
  return `${first.begin.toFixed(2)}–${last.end.toFixed(2)}`;
}
