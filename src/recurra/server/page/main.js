import { byId, element, percent, say, short, visible } from "./dom.js";
import { Paper } from "./drawing.js";
import { hasForm } from "./forms.js";
import { Unreadable, exampleOf, fileItems, formOf, typedItems, wholeInput, written } from "./items.js";
import { Microphone } from "./microphone.js";
import { LocalSession, Module } from "./module.js";
import { Playback } from "./playback.js";
import { Refused, Server } from "./server.js";
import { Piece, decoded, piecesOf } from "./sound.js";
import { StateView } from "./state.js";
import { showWhole, viewOf } from "./views.js";

const MOST_ROWS = 100; // of the table of steps
const TRIES = 6; // of a step that the server has no time for
const LONGEST_PAUSE = 10; // seconds that it waits before it asks again
const MOST_FILE_BYTES = 32 * 1024 * 1024;
const BETWEEN_SENTENCES = 1500; // milliseconds between what a screen reader is told

const server = new Server();
const states = new StateView();
const playback = new Playback(stepOfFile, drawPlayback);
const microphone = new Microphone({ begin: beginToHear, take, predict });
const paper = new Paper({ begin: beginAnew, take, fail: (error) => say(byId("item-error"), sentenceOf(error)) });
let models = [];
let model, session, view;
let module; // of the model, if its steps are taken in this browser
let epoch = 0; // of the session: what was asked in an earlier one is dropped
let queue = Promise.resolve(); // steps are taken one after the other
let waiting = []; // items of a model that looks ahead whose results are yet to come
let fetching = false; // whether a state is on its way
let heard = 0, toHear; // when the screen reader was told last, and the timer of what it is told next

const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));
const ended = (sentence) => sentence.replace(/\.?$/u, ".");
const capital = (sentence) => sentence.replace(/^./u, (one) => one.toUpperCase());
const sentenceOf = (error) => {
  if (!(error instanceof Refused || error instanceof Unreadable)) throw error;
  return error.message;
};

async function begin() {
  say(byId("page-error"));
  try {
    models = await server.models();
  } catch (error) {
    if (error.status === 401) askForToken(server.token ? "This is not a token of the server." : "");
    else say(byId("page-error"), sentenceOf(error));
    return;
  }
  byId("token-form").hidden = true;
  byId("workplace").hidden = false;
  byId("model").replaceChildren(...models.map(({ name, task }) => new Option(`${name} (${task})`, name)));
  choose();
}

function askForToken(sentence) {
  say(byId("page-error"), sentence);
  byId("token-form").hidden = false;
  byId("reference").hidden = true; // a link cannot carry the token
  byId("token").focus();
}

/** Turn to the model that is selected. */
function choose() {
  const chosen = models.find(({ name }) => name === byId("model").value);
  leave();
  model = chosen;
  playback.load([]);
  byId("file").value = "";
  nameFile();
  byId("inputs").hidden = byId("outputs").hidden = !model;
  const isSound = Boolean(model?.sound);
  for (const id of ["session-panel", "state-panel", "steps-panel", "file-run"]) byId(id).hidden = !model?.streams;
  const isDrawn = Boolean(model?.drawing && model.streams);
  byId("item").hidden = byId("step").hidden = isSound || isDrawn;
  byId("example").hidden = !model?.streams || isSound || isDrawn;
  byId("drawn").hidden = !isDrawn;
  paper.choose(model?.drawing);
  byId("spoken").hidden = !isSound;
  byId("file-panel").hidden = isDrawn || (!model?.streams && !isSound);
  byId("file").accept = isSound ? "audio/*" : "";
  byId("end").hidden = !model?.ends || isSound; // a recording ends by itself
  byId("item-title").textContent = isSound ? "Microphone" : model?.streams ? "One item" : "A whole input";
  byId("item-title").htmlFor = isSound ? "speak" : "item";
  byId("step").textContent = model?.streams ? "Step" : "Predict";
  byId("item").value = "";
  if (!model) say(byId("model-text"), "The server has no models.");
  else if (isSound) chooseSound();
  else if (isDrawn) {
    say(byId("model-text"), "It continues a drawing, a point a step.");
    byId("item-title").textContent = "A drawing";
    byId("item-title").htmlFor = "continue";
    byId("item-help").textContent = "Your lines are blue. Draw more of them at any time; the network stops then.";
  }
  else if (!model.streams) {
    say(byId("model-text"), `It reads whole inputs only. ${capital(model.reason)}`);
    byId("item-help").textContent = "A text, or JSON: a list of inputs, or an object with a list for each column. Enter predicts.";
  } else {
    const form = formOf(model);
    say(byId("model-text"), `It reads one item a step: ${model.item}. For example: ${visible(exampleOf(model))}`);
    byId("pieces-field").hidden = form !== "text";
    byId("file-title").textContent = "A file, item by item";
    const enter = "Enter steps; Shift and Enter begin a new line.";
    const accepts = { text: "", words: "Several words are several steps. ", list: "Numbers with commas, or JSON; a line a step. ",
      object: `JSON, or lines of CSV: ${Object.keys(model.example ?? {}).join(", ")}. `, json: "JSON. " };
    byId("item-help").textContent = accepts[form] + enter;
    byId("file-help").textContent = form === "text" || form === "words" ? "Text, cut into pieces." :
      form === "object" ? `CSV with the columns ${Object.keys(model.example).join(", ")}; a row an item.` : "CSV; a row an item.";
  }
  byId("place").hidden = !model?.streams;
  byId("on-server").checked = true;
  turnTo();
}

/** What stands beside a microphone and a file of sound. */
function chooseSound() {
  const { sample_rate: rate } = model.sound;
  const heard = `${rate} samples a second`;
  say(byId("model-text"), model.streams ? `It hears ${heard}, as they come.` : `It hears whole recordings only, of ${heard}. ${capital(model.reason)}`);
  byId("item-help").textContent = !model.streams ? "What you say is heard to its end." :
    `Each time you speak, a session begins.${model.ends ? " Words are final after a pause." : ""}`;
  byId("file-title").textContent = model.streams ? "A recording, piece by piece" : "A whole recording";
  const formats = "What this browser can decode, such as WAV, FLAC, Ogg and MP3.";
  byId("file-help").textContent = model.streams ? `${formats} Pieces of 0.1 s: 10 steps a second are as fast as it was spoken.` : formats;
  byId("pieces-field").hidden = true;
  byId("rate").value = "10";
  playback.perSecond = 10;
}

/** Why the steps of the model cannot be taken in this browser, in a sentence; empty: they can. */
function reasonForServer() {
  if (model.server_only) return `Only the server can run it: ${ended(model.server_only)}`;
  return hasForm(model.task) ? "" : `Only the server can run it: this page does not know the results of the task ${model.task}.`;
}

/** Take the next steps where the radio buttons say, in a new session. */
function turnTo() {
  playback.rewind();
  beginAnew();
  module = undefined;
  say(byId("place-error"));
  const own = model, now = epoch;
  byId("in-browser").disabled = !model?.streams || reasonForServer() !== "";
  if (byId("in-browser").checked) queue = queue.then(() => loadModule(own, now)); // steps wait for it
  drawPlace();
}

async function loadModule(own, now) {
  if (now !== epoch) return;
  let loaded;
  try {
    loaded = await patiently(() => Module.load(server, own));
  } catch (error) {
    if (now !== epoch) return;
    say(byId("place-error"), sentenceOf(error));
    byId("on-server").checked = true;
  }
  if (now === epoch) module = loaded;
  drawPlace();
}

function drawPlace() {
  const here = byId("in-browser").checked;
  byId("compare-field").hidden = !module;
  byId("copy").hidden = byId("close").hidden = here;
  say(byId("measured"), module && session ? measured() : "");
  if (!here) return say(byId("place-text"), model?.streams ? reasonForServer() : "");
  if (!module) return say(byId("place-text"), "The server compiles the model, which takes a while the first time.");
  const compared = byId("compare").checked ? "Items go to the server too, to compare." : "Items stay in this browser.";
  const items = module.readsHere ? compared : "The server turns items into the network's inputs; the network itself runs here.";
  say(byId("place-text"), `WebAssembly with its weights: ${size(module.bytes)}. ${items}`);
}

/** The time of a step in this browser, and how its results compare with the server's. */
function measured() {
  const { steps, microseconds, isCompared, largest, others } = session;
  if (!steps) return "";
  const sentences = [`A step takes ${short(Number(microseconds.toPrecision(2)))} µs.`];
  if (isCompared) {
    const difference = largest ? largest.toPrecision(2).replace("-", "−") : "0";
    const say = others ? `; ${others} of them say something else` : "";
    sentences.push(`Largest difference from the server's results in ${steps} ${steps === 1 ? "step" : "steps"}: ${difference}${say}.`);
    if (module.servedWeights !== "float32") sentences.push(`The server's weights are ${module.servedWeights}, those here float32.`);
  }
  return sentences.join(" ");
}

const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

/** A new session where steps are taken. */
async function open() {
  if (!module) return server.open(model.name);
  return new LocalSession(module, byId("compare").checked ? await server.open(model.name) : undefined);
}

/** Forget what is shown. */
function clear() {
  view = undefined;
  waiting = [];
  byId("view").replaceChildren(element("p", { class: "help" }, model?.streams ? "Nothing yet: step an item, or start a file." : "Nothing yet."));
  byId("confidence").hidden = true;
  byId("steps").replaceChildren();
  for (const id of ["item-error", "file-error", "session-error"]) say(byId(id));
  byId("copied").hidden = byId("copied-label").hidden = true;
  clearTimeout(toHear);
  byId("live").textContent = "";
  states.clear();
  paper.clear();
  drawSession();
}

/** Take a step. Throws Refused. */
function take(item) {
  const now = epoch;
  const taken = queue.then(() => now === epoch && stepNow(item));
  queue = taken.catch(() => {});
  return taken;
}

/** Take a step that a view asks for. */
async function give(item) {
  say(byId("item-error"));
  try {
    await take(item);
  } catch (error) {
    say(byId("item-error"), sentenceOf(error));
  }
}

async function stepNow(item) {
  const now = epoch;
  const mine = session ?? (await patiently(open));
  if (now !== epoch) return mine.leave();
  if (mine !== session) waiting = [];
  session = mine;
  drawSession();
  let result;
  try {
    result = await patiently(() => mine.step(item));
  } catch (error) {
    if (error.code === "unknown_session" && session === mine) {
      session = undefined;
      drawSession();
      error.message = `${ended(error.message)} The next step begins a new session.`;
    }
    throw error;
  }
  if (session !== mine) return;
  if (Array.isArray(result)) showDecided(item, result, mine);
  else show(item, result, mine.steps);
  drawSession();
  showState(mine);
  return result;
}

/** Ask again while the server has no time, as long as it says. */
async function patiently(ask) {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      if (error.status === 401) askForToken("The server wants another token.");
      if (!(error.retryAfter <= LONGEST_PAUSE) || tries === TRIES) throw error;
      byId("session-text").textContent = `${ended(error.message)} Trying again.`;
      await pause(error.retryAfter);
    }
  }
}

/** The results of earlier items that can be decided now, of a model that looks ahead. */
function showDecided(item, results, from) {
  if (item !== null) waiting.push({ item, step: from.steps });
  for (const result of results) {
    const decided = waiting.shift();
    show(decided.item, result, decided.step);
  }
  if (!results.length && !byId("steps").children.length) byId("view").replaceChildren(element("p", { class: "help" }, "The first result waits for more items."));
}

function show(item, result, step) {
  view ??= viewOf(result, byId("view"), give);
  const { sentence, confidence } = view.show(item, result);
  byId("confidence").hidden = confidence === undefined;
  if (confidence !== undefined) {
    byId("confidence-meter").value = confidence;
    byId("confidence-text").textContent = percent(confidence);
  }
  const text = item === null ? "end" : visible(written(item));
  const cells = [element("td", {}, String(step)), element("td", {}, element("code", {}, text)), element("td", {}, sentence)];
  byId("steps").prepend(element("tr", {}, ...cells));
  if (byId("steps").children.length > MOST_ROWS) byId("steps").lastChild.remove();
  tell(`Step ${step}, ${text}: ${sentence}`);
}

/** Tell a screen reader the latest sentence, and not more of them than it can say. */
function tell(sentence) {
  clearTimeout(toHear);
  toHear = setTimeout(() => {
    heard = performance.now();
    byId("live").textContent = sentence;
  }, Math.max(0, heard + BETWEEN_SENTENCES - performance.now()));
}

/** Show the state, unless an earlier one is still on its way. */
async function showState(from) {
  if (fetching || !byId("state-shown").checked) return;
  fetching = true;
  let shown;
  try {
    do {
      shown = from.steps;
      const values = await from.values();
      if (session === from && byId("state-shown").checked) states.show(values.slice(0, model.network_size || undefined), shown);
    } while (session === from && from.steps !== shown && playback.state !== "running");
  } catch (error) {
    if (session === from) byId("state-text").textContent = sentenceOf(error);
  } finally {
    fetching = false;
  }
}

function drawSession() {
  const steps = session?.steps ?? 0;
  const where = module ? "In this browser" : "Open";
  const late = session ? waiting.length : 0;
  const waits = late ? ` ${late} ${late === 1 ? "result waits" : "results wait"} for more items.` : "";
  byId("session-text").textContent = session ? `${where}, ${steps} ${steps === 1 ? "step" : "steps"} taken.${waits}` : "The first step opens one.";
  byId("end").disabled = !late;
  byId("copy").disabled = byId("close").disabled = !session;
  drawPlace();
}

/** Close the session, if there is one, and wait for no answer. */
function leave() {
  microphone.stop();
  session?.leave();
  session = undefined;
  epoch += 1;
}

function beginAnew() {
  leave();
  clear();
}

async function stepOfFile(item) {
  try {
    await take(item);
    return true;
  } catch (error) {
    say(byId("file-error"), `Item ${playback.at}, ${visible(written(item))}: ${sentenceOf(error)}`);
    return false;
  }
}

function drawPlayback() {
  const { state, items, at, measured } = playback;
  const running = state === "running";
  byId("start").disabled = running || state === "empty";
  byId("start").textContent = { paused: "Go on", ended: "Start again" }[state] ?? "Start";
  byId("pause").disabled = !running;
  byId("stop").disabled = !running && state !== "paused";
  Object.assign(byId("progress"), { max: items.length || 1, value: at });
  const rate = at && measured ? `, ${measured.toFixed(1)} steps a second` : "";
  const word = { ready: "", running: "", paused: ", paused", ended: ", all stepped" }[state];
  byId("progress-text").textContent = state === "empty" ? "No file yet." : `${at} of ${items.length} items${rate}${word}`;
}

function nameFile(file) {
  byId("drop").textContent = file ? `${file.name} (choose or drop another)` : "Choose a file or drop it here";
}

async function readFile() {
  const [file] = byId("file").files;
  say(byId("file-error"));
  if (!file) return;
  nameFile(file);
  playback.load([]);
  try {
    if (file.size > MOST_FILE_BYTES) throw new Unreadable("The file has more than 32 MiB.");
    if (model.sound) return await readSound(file, model);
    const text = await file.text();
    if (text.includes("\0") || text.includes("\uFFFD")) throw new Unreadable("This is not a text file in UTF-8.");
    playback.load(fileItems(text, model, byId("pieces").value));
  } catch (error) {
    say(byId("file-error"), sentenceOf(error));
  }
}

/** Take a recording's pieces as items, or predict from the whole of it. */
async function readSound(file, own) {
  const samples = await decoded(file, own.sound.sample_rate);
  if (own !== model) return;
  if (own.streams) playback.load(piecesOf(samples, own));
  else await predict([new Piece(samples, 0, own.sound.sample_rate)]);
}

/** A new session for what the microphone hears. Returns whether it is still the present one, to be asked later. */
function beginToHear() {
  playback.rewind();
  beginAnew();
  const now = epoch;
  return () => now === epoch;
}

/** Step what was typed, or predict from it. */
async function submit() {
  const text = byId("item").value;
  say(byId("item-error"));
  try {
    if (!model.streams) await predict(wholeInput(text));
    else {
      const now = epoch;
      for (const item of typedItems(text, model)) if (now === epoch) await take(item);
    }
  } catch (error) {
    byId("item").setAttribute("aria-invalid", "true");
    say(byId("item-error"), sentenceOf(error));
    return;
  }
  byId("item").removeAttribute("aria-invalid");
  if (typeof model.example === "string") byId("item").value = "";
  else byId("item").select();
}

async function predict(data) {
  const own = model;
  const { predictions } = await server.ask("POST", `v1/models/${encodeURIComponent(own.name)}/predict`, { data });
  if (own === model) tell(showWhole(predictions, byId("view")));
}

async function copyState() {
  say(byId("session-error"));
  try {
    const content = await session.state();
    const kept = await navigator.clipboard?.writeText(content).then(() => true, () => false);
    byId("copied").value = content;
    byId("copied").hidden = byId("copied-label").hidden = false;
    tell(kept ? "The state is copied." : "The state is shown, to be copied.");
    byId("copied-label").textContent = kept ? "State in base64, copied" : "State in base64, to be copied";
    if (!kept) byId("copied").select();
  } catch (error) {
    say(byId("session-error"), sentenceOf(error));
  }
}

async function closeSession() {
  const closing = session;
  playback.rewind();
  session = undefined;
  epoch += 1;
  drawSession();
  try {
    await closing.close();
    byId("session-text").textContent = "Closed. The next step opens another.";
  } catch (error) {
    say(byId("session-error"), sentenceOf(error));
  }
  view = undefined;
  states.clear();
}

const on = (id, kind, act) => byId(id).addEventListener(kind, act);

on("token-form", "submit", (event) => {
  event.preventDefault();
  server.token = byId("token").value.trim();
  byId("token").value = "";
  if (models.length) byId("token-form").hidden = true;
  else begin();
});
on("model", "change", choose);
for (const id of ["on-server", "in-browser"]) on(id, "change", turnTo);
on("compare", "change", () => {
  playback.rewind();
  beginAnew();
});
on("item-form", "submit", (event) => {
  event.preventDefault();
  submit();
});
on("item", "input", () => say(byId("item-error")));
on("item", "keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  byId("item-form").requestSubmit();
});
on("speak", "click", async () => {
  const own = model;
  try {
    await microphone.press(own);
  } catch (error) {
    if (own === model) say(byId("item-error"), sentenceOf(error));
  }
});
on("example", "click", () => {
  byId("item").value = exampleOf(model);
  byId("item").focus();
});
on("end", "click", () => give(null));
on("file", "change", readFile);
on("pieces", "change", readFile);
on("rate", "change", () => (playback.perSecond = Number(byId("rate").value)));
on("start", "click", () => {
  if (playback.repeats || microphone.isOn) beginAnew();
  say(byId("file-error"));
  playback.run();
});
on("pause", "click", () => playback.pause());
on("stop", "click", () => playback.rewind());
on("anew", "click", () => {
  playback.rewind();
  beginAnew();
  tell("A new session begins with the next step.");
});
on("copy", "click", copyState);
on("close", "click", closeSession);
on("state-shown", "change", () => {
  byId("state-view").hidden = !byId("state-shown").checked;
  if (session) showState(session);
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  // Anywhere: beside its field, a browser would leave the page for the file.
  addEventListener(kind, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    byId("drop").classList.toggle("over", kind === "dragover");
    if (kind !== "drop" || byId("file-panel").hidden) return;
    byId("file").files = event.dataTransfer.files;
    readFile();
  });
}
addEventListener("pagehide", leave);
addEventListener("pageshow", ({ persisted }) => persisted && choose());
begin();
