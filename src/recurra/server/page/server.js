const HEADER = 92; // bytes of a state before its values; the size of a row stands at byte 20, as 64 bits

/** Why the server did not do what it was asked: its own sentence. */
export class Refused extends Error {
  constructor(fault) {
    super(fault.message);
    Object.assign(this, { status: fault.status, code: fault.code, retryAfter: fault.retry_after });
    this.expectedStep = fault.expected_step;
  }
}

/** The server's routes. The token is kept in memory alone. */
export class Server {
  token = "";

  async models() {
    return (await this.ask("GET", "v1/models")).models;
  }

  /** A new session of a model. */
  async open(model) {
    const path = `v1/models/${encodeURIComponent(model)}/sessions`;
    return new Session(this, `${path}/${(await this.ask("POST", path, {})).session}`);
  }

  /** Close a session although the page goes away. */
  leave(path) {
    fetch(path, { method: "DELETE", headers: this.#headers(), keepalive: true }).catch(() => {});
  }

  /** The JSON of an answer. Throws Refused. */
  async ask(method, path, body) {
    const answer = await this.#answer(method, path, body);
    if (answer.status === 204) return null;
    const values = await answer.json().catch(() => null);
    if (values !== null) return values;
    throw new Refused({ status: answer.status, message: "The server's answer was cut short.", retry_after: 1 });
  }

  /** The bytes of a file. Throws Refused. */
  async bytes(path) {
    return (await this.#answer("GET", path)).arrayBuffer();
  }

  async #answer(method, path, body) {
    const headers = this.#headers();
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let answer;
    try {
      answer = await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: "no-store" });
    } catch {
      throw new Refused({ status: 0, code: "unreachable", message: "The server does not answer.", retry_after: 1 });
    }
    if (answer.ok) return answer;
    const values = await answer.json().catch(() => null);
    throw new Refused(values?.error ?? { status: answer.status, message: `The server answered ${answer.status}.` });
  }

  #headers() {
    return this.token ? { Authorization: `Bearer ${this.token}` } : {};
  }
}

/** A session: what was stepped, and what comes next. */
export class Session {
  constructor(server, path) {
    this.server = server;
    this.path = path;
    this.steps = 0;
  }

  /** Read an item. A step whose answer was lost may be sent again with the same item: it is not taken twice. */
  async step(item) {
    try {
      const { result } = await this.server.ask("POST", `${this.path}/step`, { step: this.steps + 1, item });
      this.steps += 1;
      return result;
    } catch (error) {
      if (error.code === "wrong_step" || error.code === "another_item") this.steps = error.expectedStep - 1;
      throw error;
    }
  }

  async state() {
    return (await this.server.ask("GET", `${this.path}/state`)).state;
  }

  /** The values of the state: one Float32Array. */
  async values() {
    const bytes = Uint8Array.from(atob(await this.state()), (one) => one.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    const size = Number(view.getBigUint64(20, true));
    return Float32Array.from({ length: size }, (_, k) => view.getFloat32(HEADER + 4 * k, true));
  }

  /** Close it although the page goes away, and wait for no answer. */
  leave() {
    this.server.leave(this.path);
  }

  async close() {
    await this.server.ask("DELETE", this.path);
  }
}
