import { Unreadable } from "./items.js";

const FULL_SCALE = 32768;
const PIECE_SECONDS = 0.1, LONGEST_SECONDS = 1;

/** Samples as an item: in JSON their 16 bits in base64, and for people the time that they cover. */
export class Piece {
  constructor(samples, begin, rate) {
    Object.assign(this, { samples, begin, rate });
  }

  toJSON() {
    const bytes = new DataView(new ArrayBuffer(2 * this.samples.length));
    this.samples.forEach((one, k) => bytes.setInt16(2 * k, Math.max(-FULL_SCALE, Math.min(FULL_SCALE - 1, Math.round(FULL_SCALE * one))), true));
    let text = "";
    for (let k = 0; k < bytes.byteLength; k++) text += String.fromCharCode(bytes.getUint8(k));
    return btoa(text);
  }

  toString() {
    const [begin, end] = [this.begin, this.begin + this.samples.length].map((one) => (one / this.rate).toFixed(2));
    return `${begin}–${end}\u00a0s`;
  }
}

/** Cuts samples that come into items: a window, and a multiple of the shift more. */
export class Cutter {
  #form; #parts = []; #length = 0; #at = 0;

  constructor(form) {
    this.#form = form;
  }

  accept(samples) {
    this.#parts.push(samples);
    this.#length += samples.length;
  }

  /** The next item, of about this many seconds at least and at most; undefined: there are not enough samples yet. */
  take(least, most) {
    const { window, shift, sample_rate: rate } = this.#form;
    const ready = Math.floor((this.#length - window) / shift) + 1;
    const [fewest, limit] = [least, most].map((one) => Math.max(1, Math.round((one * rate) / shift)));
    if (ready < fewest) return undefined;
    const taken = Math.min(ready, limit) * shift;
    const waiting = joined(this.#parts, this.#length);
    const piece = new Piece(waiting.slice(0, taken + window - shift), this.#at, rate);
    this.#parts = [waiting.subarray(taken)];
    this.#length -= taken;
    this.#at += taken;
    return piece;
  }

  /** What a microphone has given since the last item. */
  live(isOver) {
    return this.take(isOver ? 0 : PIECE_SECONDS, LONGEST_SECONDS);
  }
}

/** The samples of all parts; those of a single one are not copied, as long recordings are cut into many pieces. */
function joined(parts, length) {
  if (parts.length === 1) return parts[0];
  const samples = new Float32Array(length);
  let at = 0;
  for (const part of parts) {
    samples.set(part, at);
    at += part.length;
  }
  return samples;
}

/** The items of a recording. Throws Unreadable. */
export function piecesOf(samples, model) {
  const cutter = new Cutter(model.sound);
  cutter.accept(samples);
  const pieces = [];
  for (let piece; (piece = cutter.take(0, PIECE_SECONDS)); ) pieces.push(piece);
  if (!pieces.length) throw new Unreadable("The recording is shorter than a window of the model.");
  return model.ends ? [...pieces, null] : pieces;
}

/** The samples of a file of sound as one channel, at a rate. Throws Unreadable. */
export async function decoded(file, rate) {
  let sound;
  try {
    sound = await new OfflineAudioContext(1, 1, rate).decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Unreadable("This browser cannot read the file as sound. Nearly all read WAV, FLAC, Ogg and MP3.");
  }
  const channels = Array.from({ length: sound.numberOfChannels }, (_, k) => sound.getChannelData(k));
  return channels[0].map((_, k) => channels.reduce((sum, one) => sum + one[k], 0) / channels.length);
}

/** The microphone. */
export class Recorder {
  #recording;

  get isOn() {
    return this.#recording !== undefined;
  }

  /** Call `hear` with the samples that come, at a rate, until `stop`. Throws Unreadable. */
  async start(rate, hear) {
    const own = (this.#recording = {});
    try {
      // As the room sounds: what browsers do to voices is not in the recordings that networks are trained on.
      const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
      own.stream = await navigator.mediaDevices.getUserMedia({ audio });
      own.context = new AudioContext({ sampleRate: rate });
      await own.context.audioWorklet.addModule("page/recorder.js");
      const node = new AudioWorkletNode(own.context, "recorder", { channelCount: 1, channelCountMode: "explicit" });
      node.port.onmessage = ({ data }) => own === this.#recording && hear(data);
      own.context.createMediaStreamSource(own.stream).connect(node).connect(own.context.destination); // which hears silence
    } catch (error) {
      end(own);
      if (own !== this.#recording) return;
      this.#recording = undefined;
      throw new Unreadable(reasonOf(error, rate));
    }
    if (own !== this.#recording) end(own); // it was stopped while the browser asked
  }

  stop() {
    if (this.#recording) end(this.#recording);
    this.#recording = undefined;
  }
}

function end({ stream, context }) {
  for (const track of stream?.getTracks() ?? []) track.stop();
  if (context && context.state !== "closed") context.close();
}

function reasonOf(error, rate) {
  if (!navigator.mediaDevices) return "Browsers give the microphone to this machine's own pages and to https alone.";
  if (error.name === "NotAllowedError") return "The browser does not let this page hear the microphone.";
  if (error.name === "NotFoundError") return "There is no microphone.";
  return `This browser cannot record at ${rate} samples a second: ${error.message}`;
}
