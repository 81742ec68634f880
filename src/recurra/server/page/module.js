import { formOfTask, numbersOf } from "./forms.js";
import { Unreadable } from "./items.js";
import { Refused } from "./server.js";

const SPELL = 4; // milliseconds for which steps are timed: the browser's clock is coarse
const BETWEEN_SPELLS = 1000;
const PAGE = 65536; // bytes of WebAssembly's memory

/** The steps of a model as WebAssembly in this browser, and the memory that they need. */
export class Module {
  /** Throws Refused. */
  static async load(server, { name, task }) {
    const path = `v1/models/${encodeURIComponent(name)}`;
    const facts = await server.ask("GET", `${path}/module`);
    const code = await server.bytes(`${path}/module.wasm`);
    const weights = facts.weight_bytes ? await server.bytes(`${path}/module.bin`) : new ArrayBuffer(0);
    try {
      const { instance } = await WebAssembly.instantiate(code);
      return new Module(server, path, facts, formOfTask(task, facts.facts), instance.exports, code.byteLength, weights);
    } catch (error) {
      throw new Refused({ status: 0, code: "no_module", message: `This browser cannot run the model: ${error.message}.` });
    }
  }

  #functions; #form; #server; #path; #facts; #weights; #at; #initial;

  constructor(server, path, facts, form, functions, codeBytes, weights) {
    this.#server = server;
    this.#path = path;
    this.#facts = facts;
    this.#form = form;
    this.#functions = functions;
    this.bytes = codeBytes + weights.byteLength;
    this.servedWeights = facts.served_weights;
    this.#initial = new Float32Array(Uint8Array.from(atob(facts.state), (one) => one.charCodeAt(0)).buffer);
    const stateBytes = 4 * this.#initial.length;
    const sizes = { weights: weights.byteLength, state: stateBytes, scratch: stateBytes, input: 4 * facts.inputs, output: 4 * facts.outputs };
    let end = functions.__heap_base.value;
    this.#at = {};
    for (const [part, size] of Object.entries(sizes)) {
      end = (end + 15) & ~15;
      this.#at[part] = end;
      end += size;
    }
    functions.memory.grow(Math.max(0, Math.ceil((end - functions.memory.buffer.byteLength) / PAGE)));
    new Uint8Array(functions.memory.buffer).set(new Uint8Array(weights), this.#at.weights);
    this.#weights = [];
    if (weights.byteLength) {
      const found = functions[`${facts.prefix}_weights_of`](this.#at.weights, weights.byteLength);
      if (!found) throw new Error("the weights are of another model");
      this.#weights = [found];
    }
    this.begin();
  }

  /** Whether items are read here, and not by the server. */
  get readsHere() {
    return Boolean(this.#form.read);
  }

  /** The state as a view of the memory. */
  get #state() {
    return this.#floats(this.#at.state, this.#initial.length);
  }

  #floats(at, count) {
    return new Float32Array(this.#functions.memory.buffer, at, count);
  }

  /** Return to the state before the first step. */
  begin() {
    this.#state.set(this.#initial);
  }

  values() {
    return this.#state.slice();
  }

  /** The inputs of an item's steps. Throws Unreadable, Refused. */
  async read(item) {
    if (this.#form.read) return this.#form.read(item);
    return (await this.#server.ask("POST", `${this.#path}/inputs`, { item })).inputs;
  }

  /** The result after the steps of an item. Throws Unreadable: then the state is as before. */
  step(inputs) {
    const before = this.values();
    const outputs = inputs.map((one) => {
      this.#call(one, this.#at.state);
      return this.#floats(this.#at.output, this.#facts.outputs).slice();
    });
    if (!this.#state.every(Number.isFinite) || outputs.at(-1).some(Number.isNaN)) {
      this.#state.set(before);
      throw new Unreadable("The item drives the model to numbers that are not finite; the state is as before.");
    }
    return this.#form.answer(inputs, outputs);
  }

  /** Microseconds of a step, which changes no state. */
  time(input) {
    this.#floats(this.#at.scratch, this.#initial.length).set(this.#state);
    const began = performance.now();
    let steps = 0, passed = 0;
    for (let many = 1; passed < SPELL; many *= 2) {
      for (let k = 0; k < many; k++) this.#call(input, this.#at.scratch);
      steps += many;
      passed = performance.now() - began;
    }
    return (1000 * passed) / steps;
  }

  #call(input, state) {
    const { inputs, prefix } = this.#facts;
    if (inputs) this.#floats(this.#at.input, inputs).set(input);
    this.#functions[`${prefix}_step`](...this.#weights, state, inputs ? this.#at.input : input, this.#at.output);
  }
}

/** A session whose steps are taken in this browser, and beside it one of the server if they are compared. */
export class LocalSession {
  steps = 0;
  microseconds = 0;
  largest = 0; // difference from the server's results, relative to the larger of 1 and the number
  others = 0; // results that say something else than the server's
  #module; #beside; #timed = -Infinity;

  constructor(module, beside) {
    this.#module = module;
    this.#beside = beside;
    module.begin();
  }

  get isCompared() {
    return Boolean(this.#beside);
  }

  async step(item) {
    const inputs = await this.#module.read(item);
    // The server's first: a step that it refuses is taken at neither place.
    const expected = await this.#beside?.step(item);
    const result = this.#module.step(inputs);
    this.steps += 1;
    if (expected) this.#compare(numbersOf(result), numbersOf(expected));
    if (performance.now() - this.#timed > BETWEEN_SPELLS) {
      this.microseconds = this.#module.time(inputs.at(-1));
      this.#timed = performance.now();
    }
    return result;
  }

  #compare(numbers, expected) {
    const shared = Object.keys(numbers).filter((name) => name in expected);
    if (!shared.length) this.others += 1;
    for (const name of shared) {
      const error = Math.abs(numbers[name] - expected[name]) / Math.max(1, Math.abs(expected[name]));
      if (!(error <= this.largest)) this.largest = error;
    }
  }

  async values() {
    return this.#module.values();
  }

  leave() {
    this.#beside?.leave();
  }
}
