import type { Connection, ConnectionHandler, NetworkError } from "../../../src/runtime/types.ts";
import { join, readFrames, type SeenFrame } from "./frames.ts";

/** An inner connection that does only what the test tells it to, and notes what is asked of it. */
export class ManualConnection implements Connection {
  handler!: ConnectionHandler;
  owner: unknown;
  readonly remoteAddress = "192.0.2.1";
  readonly remotePort = 4711;
  bufferedBytes = 0;
  /** What `write` answers. */
  takes = true;
  isPaused = false;
  isEnded = false;
  isReset = false;
  keepAliveMs = 0;
  readonly written: Uint8Array[] = [];
  emptyWrites = 0;
  readonly #arriving: (() => void)[] = [];

  write(chunk: Uint8Array): boolean {
    if (this.isEnded || this.isReset) return true;
    if (chunk.length === 0) this.emptyWrites++;
    else this.written.push(chunk);
    return this.takes;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    this.#deliver();
  }

  end(): void {
    this.isEnded = true;
  }

  reset(): void {
    this.isReset = true;
  }

  setKeepAlive(idleMs: number): void {
    this.keepAliveMs = idleMs;
  }

  /** The frames that were written so far. */
  get frames(): SeenFrame[] {
    return readFrames(join(...this.written));
  }

  /** From here on: what the peer and the kernel do. Nothing is delivered while paused. */
  send(bytes: Uint8Array): void {
    const copy = bytes.slice(); // unmasked in place
    this.#arriving.push(() => this.handler.data(this, copy));
    this.#deliver();
  }

  fin(): void {
    this.#arriving.push(() => this.handler.end(this));
    this.#deliver();
  }

  drain(): void {
    this.takes = true;
    this.handler.drain(this);
  }

  close(error?: NetworkError): void {
    this.handler.close(this, error);
  }

  #deliver(): void {
    while (!this.isPaused && !this.isReset) {
      const next = this.#arriving.shift();
      if (next === undefined) return;
      next();
    }
  }
}
