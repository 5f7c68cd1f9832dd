import { peerOf, plainAddress, UNIX_PEER } from "./address.ts";
import { closed } from "./handlers.ts";
import { internalError, networkError } from "./network_error.ts";
import type { Connection, ConnectionHandler, NetworkError } from "./types.ts";

/** The part of `Deno.TcpConn` that is used; a `Deno.UnixConn` has neither address nor options. */
export interface DenoConn {
  readonly remoteAddr: { readonly hostname?: string; readonly port?: number };
  read(into: Uint8Array): Promise<number | null>;
  write(chunk: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
  close(): void;
  setNoDelay?(on: boolean): void;
  setKeepAlive?(on: boolean): void;
}

/** A quiet connection parks this much; one that fills it gets twice as much the next time. */
const READ_MIN = 512;
const READ_MAX = 65_536;
/** `write` answers false above it. */
const WAITING_MAX = 65_536;

/** `reset`: ours, `close` is on its way. `gone`: `close` was delivered. */
type Writing = "open" | "ending" | "ended" | "reset" | "gone";

/** A connection over Deno's promises: one loop reads, and one writes while something waits. */
export class DenoConnection implements Connection {
  handler!: ConnectionHandler;
  owner: unknown;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly #conn: DenoConn;
  #reading: "flowing" | "paused" | "ended" = "flowing";
  #writing: Writing = "open";
  #readLoopRuns = false;
  #readSize = READ_MIN;
  /** What a read has brought, until it is delivered; null is the peer's FIN. */
  #held: Uint8Array | null | undefined;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #writeLoopRuns = false;
  #owesDrain = false;
  #fault: NetworkError | undefined;

  constructor(conn: DenoConn) {
    this.#conn = conn;
    this.remoteAddress = plainAddress(conn.remoteAddr.hostname ?? UNIX_PEER.remoteAddress);
    this.remotePort = conn.remoteAddr.port ?? UNIX_PEER.remotePort;
    try {
      conn.setNoDelay?.(true);
    } catch {
      // Reset before it was seen: the first read says so.
    }
  }

  /** Starts the events; called when the owner has set its handler. */
  start(): void {
    if (this.#reading === "flowing" && !this.#isOver()) void this.#readLoop();
  }

  get bufferedBytes(): number {
    return this.#waitingBytes;
  }

  write(chunk: Uint8Array): boolean {
    if (this.#writing !== "open") return true;
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.length;
    if (!this.#writeLoopRuns) void this.#writeLoop();
    if (this.#waitingBytes <= WAITING_MAX) return true;
    this.#owesDrain = true;
    return false;
  }

  pause(): void {
    if (this.#reading === "flowing") this.#reading = "paused";
  }

  resume(): void {
    if (this.#reading !== "paused" || this.#isOver()) return;
    this.#reading = "flowing";
    if (!this.#readLoopRuns) void this.#readLoop();
  }

  end(): void {
    if (this.#writing !== "open") return;
    this.#writing = "ending";
    if (!this.#writeLoopRuns) void this.#writeLoop();
  }

  reset(): void {
    if (this.#isOver()) return;
    this.#writing = "reset";
    this.#finish();
  }

  setKeepAlive(): void {
    // Deno cannot set the idle time: the system's holds.
    if (this.#isOver()) return;
    try {
      this.#conn.setKeepAlive?.(true);
    } catch {
      // The peer has reset it: the next read says so.
    }
  }

  /** Ends the connection for a reason of ours, which `close` will carry. */
  fail(fault: NetworkError): void {
    if (this.#isOver()) return;
    this.#fault = fault;
    this.reset();
  }

  #isOver(): boolean {
    return this.#writing === "reset" || this.#writing === "gone";
  }

  async #readLoop(): Promise<void> {
    this.#readLoopRuns = true;
    // Nothing is delivered inside `resume` and `accept`.
    if (this.#held !== undefined) await undefined;
    let buffer: Uint8Array | undefined;
    try {
      while (this.#reading === "flowing" && !this.#isOver()) {
        if (this.#held !== undefined) {
          this.#deliver();
          continue;
        }
        if (buffer?.length !== this.#readSize) buffer = new Uint8Array(this.#readSize);
        const length = await this.#conn.read(buffer);
        const chunk = length === null ? null : this.#take(buffer, length);
        if (chunk?.buffer === buffer.buffer) buffer = undefined;
        // What came while the owner paused is held until the loop goes round again.
        this.#held = chunk;
      }
    } catch (thrown) {
      this.#lost(thrown);
    }
    this.#readLoopRuns = false;
    // Resumed in the very event in which it had paused.
    if (this.#reading === "flowing" && this.#held !== undefined && !this.#isOver()) void this.#readLoop();
  }

  /** The bytes as the receiver's own: the buffer itself when it is well filled, or else a copy, and the buffer serves again. */
  #take(buffer: Uint8Array, length: number): Uint8Array {
    if (length === buffer.length) this.#readSize = Math.min(this.#readSize * 2, READ_MAX);
    else if (length < buffer.length / 4) this.#readSize = Math.max(this.#readSize / 2, READ_MIN);
    return length > buffer.length / 2 ? buffer.subarray(0, length) : buffer.slice(0, length);
  }

  #deliver(): void {
    const chunk = this.#held!;
    this.#held = undefined;
    try {
      if (chunk !== null) {
        this.handler.data(this, chunk);
        return;
      }
      this.#reading = "ended";
      this.handler.end(this);
    } catch (thrown) {
      this.fail(internalError(thrown));
    }
    this.#closeIfDone();
  }

  async #writeLoop(): Promise<void> {
    this.#writeLoopRuns = true;
    try {
      while (this.#waiting.length > 0) {
        // Small chunks that came together leave together.
        let chunk = this.#waiting.length === 1 ? this.#waiting[0]! : Buffer.concat(this.#waiting);
        this.#waiting = [];
        while (chunk.length > 0) {
          const taken = await this.#conn.write(chunk);
          if (this.#isOver()) return;
          this.#waitingBytes -= taken;
          chunk = chunk.subarray(taken);
        }
        if (this.#waiting.length === 0 && this.#owesDrain) this.#drained();
      }
      if (this.#writing === "ending") await this.#shutdown();
    } catch (thrown) {
      this.#lost(thrown);
    } finally {
      this.#writeLoopRuns = false;
    }
  }

  #drained(): void {
    this.#owesDrain = false;
    if (this.#writing !== "open") return;
    try {
      this.handler.drain(this);
    } catch (thrown) {
      this.fail(internalError(thrown));
    }
  }

  async #shutdown(): Promise<void> {
    await this.#conn.closeWrite();
    if (this.#isOver()) return;
    this.#writing = "ended";
    this.#closeIfDone();
  }

  #closeIfDone(): void {
    if (this.#reading === "ended" && this.#writing === "ended") this.#finish();
  }

  /** A read or a write failed, which ends both directions. */
  #lost(thrown: unknown): void {
    if (this.#isOver()) return;
    this.fail(networkError(`connection with ${peerOf(this)}`, thrown));
  }

  #finish(): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#held = undefined;
    try {
      this.#conn.close();
    } catch {
      // Closed already.
    }
    queueMicrotask(() => this.#closed());
  }

  #closed(): void {
    if (this.#writing === "gone") return;
    this.#writing = "gone";
    closed(this, this.#fault);
  }
}
