/** What cannot be read as an item, in one sentence. */
export class Unreadable extends Error {}

/** How an item is written: "sound", "text", "words", "list" of numbers, "object", or other JSON. */
export function formOf(model) {
  if (model.sound) return "sound";
  if (typeof model.example === "string") return model.task === "language" ? "text" : "words";
  if (Array.isArray(model.example)) return "list";
  return model.example !== null && typeof model.example === "object" ? "object" : "json";
}

/** An item as a person would type it. */
export const written = (item) => (typeof item === "string" || item?.toJSON ? String(item) : JSON.stringify(item));

/** The example of an item, its numbers in a few digits. */
export const exampleOf = ({ example }) =>
  written(JSON.parse(JSON.stringify(example), (_, value) => (typeof value === "number" ? Number(value.toPrecision(6)) : value)));

/** The items in what was typed or pasted: several words, lines of CSV, or JSON a line. */
export function typedItems(text, model) {
  const form = formOf(model);
  if (form === "text") {
    if (!text) throw new Unreadable("Type a text first.");
    return [text];
  }
  if (!text.trim()) throw new Unreadable("Type an item first.");
  if (form === "words") return text.trim().split(/\s+/u);
  const whole = json(text);
  if (whole !== undefined) return [whole];
  const lines = text.split(/\r?\n/u).filter((line) => line.trim());
  const items = lines.map(json);
  if (items.every((item) => item !== undefined)) return items;
  if (form === "json" || /^\s*[[{]/u.test(text)) throw new Unreadable("This is not JSON.");
  return rowItems(rows(text), model.example);
}

/** A whole input, as a model that does not stream takes it: JSON, or a text. */
export function wholeInput(text) {
  if (!text.trim()) throw new Unreadable("Type an input first.");
  const whole = json(text);
  return whole !== null && typeof whole === "object" ? whole : [text];
}

/** The items of a file: text is cut into pieces, rows of a table are items. */
export function fileItems(text, model, pieces) {
  const form = formOf(model);
  const items = form === "text" || form === "words" ? cut(text, pieces, form) : typedItems(text, model);
  if (!items.length) throw new Unreadable("The file has no items.");
  return items;
}

function cut(text, pieces, form) {
  const normal = text.replaceAll("\r\n", "\n");
  if (form === "words") return normal.split(/\s+/u).filter(Boolean);
  const pattern = { words: /\S+\s*|^\s+/gu, characters: /./gsu, lines: /[^\n]*\n|[^\n]+$/gu }[pieces];
  return normal.match(pattern) ?? [];
}

function json(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The cells of CSV (RFC 4180), or of a table separated by tabs or semicolons. */
export function rows(text) {
  const first = text.slice(0, text.search(/\r?\n|$/u));
  const separator = ["\t", ";", ","].find((one) => first.includes(one)) ?? ",";
  const table = [];
  let row = [], cell = "", quoted = false;
  const endRow = () => {
    row.push(cell);
    if (row.length > 1 || cell.trim()) table.push(row);
    row = [];
    cell = "";
  };
  for (let k = 0; k < text.length; k++) {
    const character = text[k];
    if (quoted) {
      if (character !== '"') cell += character;
      else if (text[k + 1] === '"') cell += text[++k];
      else quoted = false;
    } else if (character === '"' && !cell) quoted = true;
    else if (character === separator) row.push(cell), (cell = "");
    else if (character === "\n") endRow();
    else if (character !== "\r" && character !== "\uFEFF") cell += character;
  }
  endRow();
  return table;
}

function rowItems(table, example) {
  if (Array.isArray(example)) {
    const head = table.length > 1 && table[0].some((cell) => number(cell) === undefined);
    return table.slice(head ? 1 : 0).map((row, k) => row.map((cell) => value(cell, 0, k + (head ? 2 : 1))));
  }
  const names = Object.keys(example);
  const head = table[0].map((name) => name.trim());
  const missing = names.filter((name) => !head.includes(name));
  const areNumbers = head.every((cell) => number(cell) !== undefined); // of channels "1" and "2" they may be names too
  const isRow = missing.length === names.length || (areNumbers && (missing.length || table.length === 1));
  if (isRow && table.every((row) => row.length === names.length)) return table.map((row, k) => joined(names, row, k + 1));
  if (missing.length) throw new Unreadable(`The table has no column ${missing.join(", ")}; its columns are ${head.join(", ")}.`);
  return table.slice(1).map((row, k) => joined(names, names.map((name) => row[head.indexOf(name)] ?? ""), k + 2));

  function joined(keys, row, line) {
    return Object.fromEntries(keys.map((name, k) => [name, value(row[k], example[name], line)]));
  }
}

function number(cell) {
  const text = cell.trim();
  if (!text || /^(nan|na|null|\?)$/iu.test(text)) return null;
  const found = Number(text);
  return Number.isFinite(found) ? found : undefined;
}

function value(cell, example, line) {
  if (typeof example === "string") return cell.trim();
  const found = number(cell);
  if (found === undefined) throw new Unreadable(`Row ${line}: "${cell.trim()}" is not a number.`);
  return found;
}
