const EMPTY = new Uint8Array(0);

/**
 * Reads big-endian numbers and bytes with a length in front, as TLS (RFC 8446 section 3) and the PROXY protocol write them. It never
 * throws: the first thing that is wrong is kept in `failure`, and from then on every read answers zero or empty.
 */
export class VectorReader {
  failure: string | undefined = undefined;
  position = 0;
  readonly #bytes: Uint8Array;
  #end: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#end = bytes.length;
  }

  get left(): number {
    return this.failure === undefined ? this.#end - this.position : 0;
  }

  fail(reason: string): void {
    this.failure ??= reason;
  }

  uint8(what: string): number {
    return this.#number(1, what);
  }

  uint16(what: string): number {
    return this.#number(2, what);
  }

  uint24(what: string): number {
    return this.#number(3, what);
  }

  uint32(what: string): number {
    return this.#number(4, what);
  }

  skip(count: number, what: string): void {
    if (this.left < count) this.fail(`${what} is cut short`);
    if (this.failure === undefined) this.position += count;
  }

  /** A view, not a copy. */
  bytes(count: number, what: string): Uint8Array {
    this.skip(count, what);
    return this.failure === undefined ? this.#bytes.subarray(this.position - count, this.position) : EMPTY;
  }

  /** Bytes behind a length of one byte. */
  vector8(what: string): Uint8Array {
    return this.bytes(this.uint8(what), what);
  }

  /** Bytes behind a length of two bytes. */
  vector16(what: string): Uint8Array {
    return this.bytes(this.uint16(what), what);
  }

  /** Skips bytes behind a length of one or two bytes; answers the length, also where they are cut short. */
  skipVector(lengthBytes: 1 | 2, what: string): number {
    const length = this.#number(lengthBytes, what);
    this.skip(length, what);
    return length;
  }

  /** What is behind a length of one or two bytes is all that is left until `leave`, which takes the answer. */
  enter(lengthBytes: 1 | 2, what: string): number {
    const outerEnd = this.#end;
    const length = this.#number(lengthBytes, what);
    if (this.left < length) this.fail(`${what} is cut short`);
    else this.#end = this.position + length;
    return outerEnd;
  }

  leave(outerEnd: number): void {
    this.#end = outerEnd;
  }

  #number(count: number, what: string): number {
    if (this.left < count) this.fail(`${what} is cut short`);
    if (this.failure !== undefined) return 0;
    let value = 0;
    for (const end = this.position + count; this.position < end; this.position++) value = value * 256 + (this.#bytes[this.position] as number);
    return value;
  }
}
