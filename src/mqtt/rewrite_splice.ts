import { type Fault, fault } from "./fault.ts";
import { REMAINING_LENGTH_MAX } from "./rules.ts";

const encoder = new TextEncoder();
const FIELD_MAX = 65_535; // bytes of a text or of binary data: MQTT 5 section 1.5.4

/**
 * Puts a frame together from runs of the original bytes and what replaces others. Replacements are made in ascending order. It
 * never throws: the first thing that is wrong is kept in `failure`, and `frame` answers it.
 */
export class Splice {
  failure: Fault | undefined = undefined;
  /** Bytes so far. */
  length = 0;
  readonly #original: Uint8Array;
  readonly #parts: Uint8Array[] = [];
  #copiedTo: number;

  /** Begins at this offset of the original. */
  constructor(original: Uint8Array, from: number) {
    this.#original = original;
    this.#copiedTo = from;
  }

  fail(why: Fault): void {
    this.failure ??= why;
  }

  /** Keeps what is in front of `from`; what was from there to `to` is gone. */
  cut(from: number, to: number): void {
    if (from > this.#copiedTo) this.add(this.#original.subarray(this.#copiedTo, from));
    this.#copiedTo = to;
  }

  replace(from: number, to: number, bytes: Uint8Array): void {
    this.cut(from, to);
    this.add(bytes);
  }

  add(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.length += bytes.length;
  }

  /** Adds all that another one has put together. */
  addAll(other: Splice): void {
    for (const part of other.#parts) this.add(part);
    if (other.failure !== undefined) this.fail(other.failure);
  }

  /** Two bytes of length and the text in UTF-8: without U+0000 and halves of surrogate pairs ([MQTT-1.5.4-1], [MQTT-1.5.4-2]). */
  addText(text: string, what: string): void {
    const length = utf8Length(text);
    if (length === undefined) return this.fail(fault("internal_error", `${what} to be written is no text of MQTT`));
    if (!this.#fits(length, what)) return;
    const field = new Uint8Array(2 + length);
    writeUint16(field, 0, length);
    if (length > text.length) encoder.encodeInto(text, field.subarray(2));
    else for (let index = 0; index < length; index++) field[2 + index] = text.charCodeAt(index);
    this.add(field);
  }

  addBinary(bytes: Uint8Array, what: string): void {
    if (!this.#fits(bytes.length, what)) return;
    this.add(Uint8Array.of(bytes.length >> 8, bytes.length & 255));
    this.add(bytes);
  }

  #fits(length: number, what: string): boolean {
    if (length > FIELD_MAX) this.fail(fault("packet_too_large", `the rewritten ${what} has ${length} bytes, and MQTT's limit is ${FIELD_MAX}`));
    return length <= FIELD_MAX;
  }

  /** The whole frame: the original's first byte, the remaining length in its shortest form, and everything up to the original's end. */
  frame(sizeMax: number, what: string): Uint8Array | Fault {
    this.cut(this.#original.length, this.#original.length);
    const total = 1 + variableIntegerLength(this.length) + this.length;
    if (total > sizeMax || this.length > REMAINING_LENGTH_MAX) {
      this.fail(fault("packet_too_large", `the rewritten ${what} has ${total} bytes, the limit is ${sizeMax}`));
    }
    if (this.failure !== undefined) return this.failure;
    const frame = new Uint8Array(total);
    frame[0] = this.#original[0] as number;
    let at = writeVariableInteger(frame, 1, this.length);
    for (const part of this.#parts) {
      frame.set(part, at);
      at += part.length;
    }
    return frame;
  }
}

/** Bytes in UTF-8; undefined: half of a surrogate pair, or U+0000. */
function utf8Length(text: string): number | undefined {
  let length = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit === 0) return undefined;
    if (unit < 0x80) continue;
    length += unit < 0x800 ? 1 : 2;
    if (unit < 0xd800 || unit > 0xdfff) continue;
    const next = text.charCodeAt(++index); // a pair: two units, four bytes
    if (unit > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return undefined;
  }
  return length;
}

export function writeUint16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8;
  bytes[at + 1] = value & 255;
}

export function uint32Property(identifier: number, value: number): Uint8Array {
  return Uint8Array.of(identifier, value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

export function variableIntegerBytes(value: number): Uint8Array {
  const bytes = new Uint8Array(variableIntegerLength(value));
  writeVariableInteger(bytes, 0, value);
  return bytes;
}

export function variableIntegerLength(value: number): number {
  return value < 128 ? 1 : value < 16_384 ? 2 : value < 2_097_152 ? 3 : 4;
}

/** In its shortest form ([MQTT-1.5.5-1]); answers where it ends. */
function writeVariableInteger(bytes: Uint8Array, from: number, value: number): number {
  let at = from;
  let rest = value;
  for (; rest > 127; rest >>>= 7) bytes[at++] = (rest & 127) | 128;
  bytes[at++] = rest;
  return at;
}
