import { type PeerClose, readClose } from "./close_frame.ts";
import { type CloseCode, CLOSE_CODE, CONTROL_SIZE_MAX, FINAL, LENGTH_16, LENGTH_64, MASKED, OPCODE } from "./frame_format.ts";
import { mask, rotateKey } from "./mask.ts";

/** Why a peer is sent away: the code for our Close frame, and what was seen, in words. */
export interface FrameFault {
  readonly code: CloseCode;
  readonly detail: string;
}

/** What `#readHeader` answers besides the length of a whole header. */
const CUT = 0;
const REFUSED = -1;

const HEADER_SIZE_MAX = 14;
const WHOLE_BINARY = FINAL | OPCODE.binary;
const EMPTY = new Uint8Array(0);

/**
 * Follows the frames of one direction (RFC 6455 section 5), in chunks of any size, and turns each chunk into the payload that is in it.
 * MQTT is a stream, so messages mean nothing and fragments are free: payload is passed on as it comes, never put together.
 *
 * Invariant: between two calls it holds the header bytes of at most one frame (13) and the payload of at most one control frame (125).
 */
export class FrameReader {
  /** Where in the last chunk the payload begins that `read` has found. */
  start = 0;
  /** Something was heard besides payload: `ping`, `closed` or `fault` is set. */
  hasNews = false;
  /** The payload of the latest ping; whoever answers it clears it. */
  ping: Uint8Array | undefined = undefined;
  /** The peer's Close frame; nothing after it is read. */
  closed: PeerClose | undefined = undefined;
  /** Set once and for good, at the header that is wrong; nothing after it is read. */
  fault: FrameFault | undefined = undefined;
  /** What the second byte of each frame has: clients mask, servers do not (section 5.1). */
  readonly #masked: number;
  readonly #payloadSizeMax: number;
  /** A message has begun whose last frame has not. */
  #isFragmented = false;
  #opcode = 0;
  /** Bytes of the current frame that are still to come; 0 at a boundary. */
  #left = 0;
  /** The masking key, rotated to the next byte. */
  #key = 0;
  /** The beginning of a header that was cut by the end of a chunk. */
  #cut: Uint8Array | undefined = undefined;
  #cutLength = 0;
  /** The payload of the current control frame. */
  #control: Uint8Array = EMPTY;

  /** `payloadSizeMax`: of one frame, in bytes; a whole number up to 2^53 - 1. */
  constructor(options: { readonly isPeerClient: boolean; readonly payloadSizeMax: number }) {
    this.#masked = options.isPeerClient ? MASKED : 0;
    this.#payloadSizeMax = options.payloadSizeMax;
  }

  /**
   * Answers how many bytes of payload are in the chunk. They are moved together and unmasked in place, so one chunk of many small
   * frames is one piece of `chunk` from `start` on.
   */
  read(chunk: Uint8Array): number {
    const length = chunk.length;
    let position = 0;
    let count = 0;
    if (this.closed !== undefined || this.fault !== undefined) return 0;
    while (position < length) {
      if (this.#left === 0) {
        position = this.#beginFrame(chunk, position);
        if (position < 0) return count;
        continue;
      }
      const end = Math.min(length, position + this.#left);
      if (this.#key !== 0) mask(chunk, position, end, this.#key);
      if (this.#opcode >= OPCODE.close) {
        this.#keepControl(chunk, position, end);
      } else if (count === 0) {
        this.start = position;
        count = end - position;
      } else {
        chunk.copyWithin(this.start + count, position, end);
        count += end - position;
      }
      this.#key = rotateKey(this.#key, end - position);
      this.#left -= end - position;
      position = end;
      if (this.#left === 0 && this.#opcode >= OPCODE.close && !this.#finishControl()) return count;
    }
    return count;
  }

  /** Answers the place behind the header, or behind the chunk when the header is cut; negative when nothing more is to be read. */
  #beginFrame(chunk: Uint8Array, position: number): number {
    const size = this.#cutLength > 0 ? this.#completeHeader(chunk, position) : this.#readHeader(chunk, position, chunk.length);
    if (size === REFUSED) return -1;
    if (size === CUT) {
      if (this.#cutLength === 0) this.#keepHeader(chunk, position);
      return chunk.length;
    }
    if (this.#opcode >= OPCODE.close) {
      this.#control = this.#left === 0 ? EMPTY : new Uint8Array(this.#left);
      if (this.#left === 0 && !this.#finishControl()) return -1;
    }
    return position + size;
  }

  /** The header at `position`: its size when it is whole and legal, CUT, or REFUSED as soon as it cannot become legal. */
  #readHeader(bytes: Uint8Array, position: number, end: number): number {
    const available = end - position;
    if (available < 2) return CUT;
    const first = bytes[position] as number;
    const second = bytes[position + 1] as number;
    if (first !== WHOLE_BINARY || this.#isFragmented || (second & MASKED) !== this.#masked) {
      if (!this.#isLegal(first, second)) return REFUSED;
    }
    let size = 2;
    let length = second & 127;
    // A longer form than needed is let pass: section 5.2 forbids it to the sender, and the header goes no further than here.
    if (length === LENGTH_16) {
      size = 4;
      if (available < size) return CUT;
      length = ((bytes[position + 2] as number) << 8) | (bytes[position + 3] as number);
    } else if (length === LENGTH_64) {
      size = 10;
      if (available > 2 && (bytes[position + 2] as number) > 127) return this.#refuse(CLOSE_CODE.protocolError, "a length of 2^63 or more");
      if (available < size) return CUT;
      length = readUint32(bytes, position + 2) * 4_294_967_296 + readUint32(bytes, position + 6);
    }
    if (length > this.#payloadSizeMax && (first & 15) < OPCODE.close) {
      return this.#refuse(CLOSE_CODE.tooBig, `a frame of ${length} bytes, the limit is ${this.#payloadSizeMax}`);
    }
    if (this.#masked !== 0) {
      size += 4;
      if (available < size) return CUT;
      this.#key = readKey(bytes, position + size - 4);
    }
    this.#opcode = first & 15;
    if (this.#opcode < OPCODE.close) this.#isFragmented = first < FINAL;
    this.#left = length;
    return size;
  }

  /** Everything that the first two bytes can be wrong in. */
  #isLegal(first: number, second: number): boolean {
    const opcode = first & 15;
    const wrong = (detail: string): boolean => this.#refuse(CLOSE_CODE.protocolError, detail) !== REFUSED;
    if ((first & 0x70) !== 0) return wrong("reserved bits in a frame header"); // 5.2: no extension was agreed on
    if (opcode === OPCODE.text) {
      this.#refuse(CLOSE_CODE.unsupportedData, "a text frame: MQTT is carried in binary ones"); // [MQTT-6.0.0-1]
      return false;
    }
    if ((opcode > OPCODE.binary && opcode < OPCODE.close) || opcode > OPCODE.pong) return wrong(`the reserved opcode ${opcode}`); // 5.2
    if ((second & MASKED) !== this.#masked) return wrong(this.#masked === 0 ? "a masked frame from a server" : "an unmasked frame from a client"); // 5.1
    if (opcode >= OPCODE.close) {
      if (first < FINAL) return wrong("a fragmented control frame"); // 5.5
      return (second & 127) <= CONTROL_SIZE_MAX || wrong(`a control frame of more than ${CONTROL_SIZE_MAX} bytes`); // 5.5
    }
    if (opcode === OPCODE.continuation) return this.#isFragmented || wrong("a continuation of nothing"); // 5.4
    return !this.#isFragmented || wrong("a new message inside a fragmented one"); // 5.4
  }

  #refuse(code: CloseCode, detail: string): typeof REFUSED {
    this.fault = { code, detail };
    this.hasNews = true;
    return REFUSED;
  }

  #keepHeader(chunk: Uint8Array, position: number): void {
    this.#cut ??= new Uint8Array(HEADER_SIZE_MAX);
    this.#cut.set(chunk.subarray(position));
    this.#cutLength = chunk.length - position;
  }

  /** Adds to the cut header until it is whole or wrong; answers how many bytes of this chunk it took, CUT or REFUSED. */
  #completeHeader(chunk: Uint8Array, position: number): number {
    const cut = this.#cut as Uint8Array;
    for (let index = position; index < chunk.length; index++) {
      cut[this.#cutLength++] = chunk[index] as number;
      const size = this.#readHeader(cut, 0, this.#cutLength);
      if (size === CUT) continue;
      this.#cutLength = 0;
      return size === REFUSED ? REFUSED : index + 1 - position;
    }
    return CUT;
  }

  #keepControl(chunk: Uint8Array, from: number, to: number): void {
    this.#control.set(chunk.subarray(from, to), this.#control.length - this.#left);
  }

  /** False: it was the last frame that is read. */
  #finishControl(): boolean {
    const payload = this.#control;
    this.#control = EMPTY;
    if (this.#opcode === OPCODE.pong) return true; // 5.5.3: unasked for, or the answer to nothing of ours
    this.hasNews = true;
    if (this.#opcode === OPCODE.ping) {
      this.ping = payload;
      return true;
    }
    const close = readClose(payload);
    if ("detail" in close) this.#refuse(close.code, close.detail);
    else this.closed = close;
    return false;
  }
}

function readUint32(bytes: Uint8Array, position: number): number {
  const [first, second, third, fourth] = [bytes[position], bytes[position + 1], bytes[position + 2], bytes[position + 3]] as [number, number, number, number];
  return (first * 256 + second) * 65_536 + third * 256 + fourth;
}

/** Lowest byte first: see `mask`. */
function readKey(bytes: Uint8Array, position: number): number {
  return (
    (bytes[position] as number) |
    ((bytes[position + 1] as number) << 8) |
    ((bytes[position + 2] as number) << 16) |
    ((bytes[position + 3] as number) << 24)
  );
}
