/** Bytes in arrival order, taken from the front: appending is cheap however many chunks came before. */
export class ByteQueue {
  #store = new Uint8Array(4096);
  #from = 0;
  #to = 0;

  get length(): number {
    return this.#to - this.#from;
  }

  /** What waits, as a view that holds until the next `append`. */
  peek(): Uint8Array {
    return this.#store.subarray(this.#from, this.#to);
  }

  append(chunk: Uint8Array): void {
    if (this.#to + chunk.length > this.#store.length) {
      const waiting = this.peek();
      const needed = waiting.length + chunk.length;
      const store = needed * 2 > this.#store.length ? new Uint8Array(needed * 2) : this.#store;
      store.set(waiting);
      this.#store = store;
      this.#from = 0;
      this.#to = waiting.length;
    }
    this.#store.set(chunk, this.#to);
    this.#to += chunk.length;
  }

  take(count: number): Uint8Array {
    const out = this.#store.slice(this.#from, this.#from + count);
    this.#from += out.length;
    return out;
  }
}
