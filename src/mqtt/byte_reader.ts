const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }); // a BOM is text: [MQTT-1.5.4-3]

/** Short texts are decoded from here: a view of a chunk would first give that chunk, small as it is, a buffer of its own. */
const copy = new Uint8Array(64);

/**
 * Reads MQTT's data types (MQTT 5 section 1.5) from one frame. It never throws: the first thing that is wrong is kept in
 * `failure`, and from then on every read answers zero or empty.
 */
export class ByteReader {
  failure: string | undefined = undefined;
  position: number;
  readonly #bytes: Uint8Array;
  #end: number;

  constructor(bytes: Uint8Array, position: number) {
    this.#bytes = bytes;
    this.position = position;
    this.#end = bytes.length;
  }

  get left(): number {
    return this.failure === undefined ? this.#end - this.position : 0;
  }

  fail(reason: string): void {
    this.failure ??= reason;
  }

  byte(what: string): number {
    if (!this.#has(1, what)) return 0;
    return this.#bytes[this.position++] as number;
  }

  uint16(what: string): number {
    return (this.byte(what) << 8) | this.byte(what);
  }

  uint32(what: string): number {
    return this.uint16(what) * 65536 + this.uint16(what);
  }

  /** A variable byte integer in its shortest form: [MQTT-1.5.5-1]. */
  variableInteger(what: string): number {
    let value = 0;
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.byte(what);
      if (byte === 0 && shift > 0) this.fail(`${what} is not in its shortest form`);
      value += (byte & 127) << shift;
      if (byte < 128) return value;
    }
    this.fail(`${what} has more than four bytes`);
    return 0;
  }

  /** Goes past binary data, and answers its length. */
  binary(what: string): number {
    const length = this.uint16(what);
    if (!this.#has(length, what)) return 0;
    this.position += length;
    return length;
  }

  /** UTF-8 without surrogates, overlong forms ([MQTT-1.5.4-1]) or U+0000 ([MQTT-1.5.4-2]). */
  text(what: string): string {
    const length = this.binary(what);
    if (length === 0) return "";
    let text = "";
    try {
      text = decoder.decode(this.#last(length));
    } catch {
      this.fail(`${what} is not valid UTF-8`);
    }
    if (text.includes("\0")) this.fail(`${what} contains U+0000`);
    return text;
  }

  /** The bytes before `position`, until the next call. */
  #last(length: number): Uint8Array {
    const from = this.position - length;
    if (length > copy.length) return this.#bytes.subarray(from, this.position);
    for (let index = 0; index < length; index++) copy[index] = this.#bytes[from + index] as number;
    return copy.subarray(0, length);
  }

  /** Runs `read` until `length` bytes are used; what it reads may not go past them. */
  within(length: number, what: string, read: () => void): void {
    if (!this.#has(length, what)) return;
    const outerEnd = this.#end;
    this.#end = this.position + length;
    while (this.left > 0) read();
    this.#end = outerEnd;
  }

  #has(count: number, what: string): boolean {
    if (this.failure === undefined && this.#end - this.position < count) this.fail(`${what} is cut short`);
    return this.failure === undefined;
  }
}
