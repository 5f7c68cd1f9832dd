/** Bytes that arrive in pieces, in one piece: memory grows with what has arrived, and is copied once however small the pieces are. */
export class ByteBuffer {
  #bytes: Uint8Array = EMPTY;
  #used = 0;

  get length(): number {
    return this.#used;
  }

  append(chunk: Uint8Array): void {
    const needed = this.#used + chunk.length;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#used * 2, 64));
      grown.set(this.view());
      this.#bytes = grown;
    }
    this.#bytes.set(chunk, this.#used);
    this.#used = needed;
  }

  /** What is in it, not copied: it must not be appended to any more if the view is kept. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#used);
  }
}

const EMPTY = new Uint8Array(0);
