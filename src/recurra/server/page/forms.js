import { Unreadable } from "./items.js";

const MOST_STEPS = 4096; // of an item
const LIKELIEST = 5; // tokens that a result names

/**
 * How the items of a task are read and its results said in this browser; undefined: only the server can.
 *
 * @param facts - what the export writes beside the C.
 * @returns {read, answer}: `read` gives an item's inputs, and is missing if the server has to read items; `answer` gives
 *   the result, from the inputs of an item and the outputs after each.
 */
export const formOfTask = (task, facts) => FORMS[task]?.(facts);

/** Whether there is such a form. */
export const hasForm = (task) => task in FORMS;

/** The numbers of a result by name; of tokens of one spelling, the likeliest. */
export function numbersOf({ next, surprise, probabilities, tag, confidence, prediction }) {
  if (next) return { ...Object.fromEntries([...next].reverse().map((one) => [`next ${one.text}`, one.probability])), ...surprise };
  return probabilities ?? (tag === undefined ? { prediction } : { [tag]: confidence });
}

const FORMS = {
  classify: (facts) => ({
    read: facts.encoding && seriesReader(facts.encoding),
    answer: (_, outputs) => classes(facts, outputs.at(-1)),
  }),
  sound: (facts) => ({
    answer: (_, outputs) => classes(facts, outputs.at(-1)),
  }),
  regress: (facts) => ({
    read: seriesReader(facts.encoding),
    answer: (_, outputs) => ({ prediction: outputs.at(-1)[0] * facts.deviation + facts.mean }),
  }),
  tag: ({ tags }) => ({
    answer: (_, outputs) => {
      const confidence = Math.max(...outputs.at(-1));
      return { tag: tags[outputs.at(-1).indexOf(confidence)], confidence };
    },
  }),
  language: (facts) => ({
    read: textReader(facts),
    answer: (ids, outputs) => {
      const after = outputs.at(-1);
      const likeliest = [...after.keys()].sort((a, b) => after[b] - after[a]).slice(0, LIKELIEST);
      return {
        next: likeliest.map((id) => ({ text: spelled(facts, id, ids.at(-1)), probability: Math.exp(after[id]) })),
        surprise: ids.slice(1).map((id, k) => -outputs[k][id]),
      };
    },
  }),
};

function seriesReader({ channels, normalization, mean, deviation, missing }) {
  return (item) => {
    const named = item !== null && typeof item === "object" && !Array.isArray(item);
    const fits = named && Object.keys(item).length === channels.length && channels.every((name) => name in item);
    const row = fits ? channels.map((name) => item[name]) : item;
    const isNumber = (one) => one === null || (typeof one === "number" && Number.isFinite(one));
    if (!Array.isArray(row) || row.length !== channels.length || !row.every(isNumber)) {
      throw new Unreadable(`item: expected ${channels.length} numbers, null if missing: ${channels.join(", ")}`);
    }
    const scaled = row.map((one, k) => (one === null ? 0 : normalization === "none" ? one : (one - mean[k]) / deviation[k]));
    return [missing ? [...scaled, ...row.map((one) => Number(one === null))] : scaled];
  };
}

function classes({ labels, multi_label: multiLabel, temperature }, outputs) {
  const logits = [...outputs].map((one) => Math.fround(one / temperature));
  const largest = Math.max(...logits);
  const odds = logits.map((one) => (multiLabel ? 1 / (1 + Math.exp(-one)) : Math.exp(one - largest)));
  const sum = multiLabel ? 1 : odds.reduce((a, b) => a + b);
  const values = odds.map((one) => one / sum);
  const chosen = multiLabel ? labels.filter((_, k) => values[k] > 0.5) : [labels[logits.indexOf(largest)]];
  return { labels: chosen, probabilities: Object.fromEntries(labels.map((name, k) => [name, values[k]])) };
}

function textReader({ kind, tokens, unknown, line_end: lineEnd }) {
  if (kind === "subwords") return undefined;
  const ids = new Map(tokens.map((name, id) => [name, id]));
  const read = {
    bytes: (text) => [...new TextEncoder().encode(text)],
    words: (text) =>
      text.split("\n").flatMap((line, k) => [...(k ? [lineEnd] : []), ...(line.match(/\S+/gu) ?? []).map((word) => ids.get(word) ?? unknown)]),
    characters: (text) =>
      [...text].map((one, k) => {
        if (!ids.has(one)) throw new Unreadable(`Character ${k + 1}: the model has never seen ${JSON.stringify(one)}.`);
        return ids.get(one);
      }),
  }[kind];
  return (item) => {
    const inputs = read(item);
    if (inputs.length < 1 || inputs.length > MOST_STEPS) throw new Unreadable(`Expected 1 to ${MOST_STEPS} tokens, got ${inputs.length}.`);
    return inputs;
  };
}

/** A token as it is written after another one. */
function spelled({ kind, tokens, line_end: lineEnd }, id, before) {
  const byte = kind === "bytes" ? id : kind === "subwords" && /^<0x[\dA-F]{2}>$/u.test(tokens[id]) && Number(tokens[id].slice(1, -1));
  if (byte !== false) return new TextDecoder().decode(Uint8Array.of(byte), { stream: true });
  if (kind === "subwords") return tokens[id].replaceAll("▁", " ");
  return kind === "words" && id !== lineEnd && before !== lineEnd ? ` ${tokens[id]}` : tokens[id];
}
