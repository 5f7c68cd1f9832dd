import { ByteBuffer } from "../../lib/byte_buffer.ts";

/** Of a whole head, its line ends included; in bytes. */
export const HEAD_SIZE_MAX = 8_192;
/** Header lines, not counting the first. */
export const HEADER_LINES_MAX = 64;

/** The lines of a head, the first included and the empty one left out, and the bytes that came behind it in the same chunk. */
export interface HeadLines {
  readonly lines: readonly string[];
  readonly rest: Uint8Array;
}

/** Why a head is not read to its end: the status that HTTP has for it, and the reason in our own words. */
export interface HttpRefusal {
  readonly status: number;
  readonly reason: string;
}

/** The reason where a byte of the first line is none of HTTP's. */
export const NOT_HTTP = "what came is not HTTP";

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const DELETE = 0x7f;

/**
 * Gathers the lines of one HTTP/1.1 head (RFC 9112 section 2) from chunks of any size. Each byte is looked at once and judged at once, so
 * what is not HTTP at all (a TLS handshake, MQTT) is refused by its first byte. Line ends are CR LF alone: what takes others for line ends
 * sees other lines than we do. After an answer nothing more is pushed.
 */
export class HttpLinesReader {
  readonly #lines: string[] = [];
  #pending: ByteBuffer | undefined = undefined;
  readonly #judgeFirst: (line: string) => string | undefined;
  #scanned = 0;
  #lineStart = 0;

  /** `judgeFirst`: the objection to the first line, asked for as soon as that is whole: a peer that speaks something else may wait for us behind it. */
  constructor(judgeFirst: (line: string) => string | undefined = () => undefined) {
    this.#judgeFirst = judgeFirst;
  }

  /** undefined: more bytes are needed. */
  push(chunk: Uint8Array): HeadLines | HttpRefusal | undefined {
    this.#pending?.append(chunk);
    const bytes = this.#pending?.view() ?? chunk;
    const end = Math.min(bytes.length, HEAD_SIZE_MAX);
    for (let index = this.#scanned; index < end; index++) {
      const objection = this.#judge(bytes, index);
      if (objection !== undefined) return { status: 400, reason: objection };
      if (bytes[index] !== LF) continue;
      if (this.#lineStart === index - 1) return { lines: this.#lines, rest: bytes.subarray(index + 1) };
      if (this.#lines.length > HEADER_LINES_MAX) return { status: 431, reason: `more than ${HEADER_LINES_MAX} header lines` };
      const line = text(bytes, this.#lineStart, index - 1);
      const reason = this.#lines.length === 0 ? this.#judgeFirst(line) : undefined;
      if (reason !== undefined) return { status: 400, reason };
      this.#lines.push(line);
      this.#lineStart = index + 1;
    }
    if (end === HEAD_SIZE_MAX) return { status: 431, reason: `a head of more than ${HEAD_SIZE_MAX} bytes` };
    this.#scanned = end;
    if (this.#pending === undefined) (this.#pending = new ByteBuffer()).append(chunk);
    return undefined;
  }

  #judge(bytes: Uint8Array, index: number): string | undefined {
    const byte = bytes[index] as number;
    const isAfterCr = index > 0 && bytes[index - 1] === CR;
    if ((byte === LF) !== isAfterCr) return "a line that does not end with CR LF";
    const isFirstLine = this.#lines.length === 0;
    if (byte === LF) return isFirstLine && this.#lineStart === index - 1 ? "an empty first line" : undefined;
    if (byte === CR) return undefined;
    if (isFirstLine) return byte < SPACE || byte >= DELETE ? NOT_HTTP : undefined;
    return (byte < SPACE && byte !== TAB) || byte === DELETE ? "a control character in a header line" : undefined;
  }
}

/** A character for each byte: what is not ASCII stands in values that nobody here reads. */
function text(bytes: Uint8Array, from: number, to: number): string {
  return String.fromCharCode(...bytes.subarray(from, to));
}
