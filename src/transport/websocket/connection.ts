import { closed } from "../../runtime/handlers.ts";
import { internalError } from "../../runtime/network_error.ts";
import type { Connection, ConnectionHandler, NetworkError } from "../../runtime/types.ts";
import { Farewell } from "./farewell.ts";
import { CLOSE_CODE, closePayload, maskedFrame, OPCODE, plainFrame, plainHeader } from "./frame_format.ts";
import { type FrameFault, FrameReader } from "./frame_reader.ts";
import type { WebSocketSettings } from "./settings.ts";

/**
 * A smaller chunk is copied behind its header and leaves in one write; from here on a second write costs less than the copy (Bun, CPU of
 * one frame: 4 KiB 7 µs against 9, 16 KiB 15 against 13, 64 KiB 50 against 24).
 */
const COPIED_BELOW = 16_384;

/** `failed`: the peer broke a rule, was told, and is given a moment to go. `reset`: ours. `gone`: `close` was delivered. */
type Writing = "open" | "ended" | "failed" | "reset" | "gone";

/**
 * The bytes that are carried in binary WebSocket frames (RFC 6455) over another connection, after the upgrade. Above it nothing can be told
 * from TCP:
 *
 * - a chunk that is written becomes one frame, and a chunk that arrives is the payload of the frames in it, in one piece;
 * - a Close frame is the peer's FIN: `end` is delivered, and ours follows with `end()`, behind what is still said meanwhile. A FIN without
 *   one is no different;
 * - a peer that breaks a rule is told by a Close frame and a FIN, then reset if it stays; `close` carries "other" and what was wrong.
 */
export class WebSocketConnection implements Connection {
  handler!: ConnectionHandler;
  owner: unknown = undefined;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly #inner: Connection;
  readonly #settings: WebSocketSettings;
  readonly #maskingKey: (() => number) | undefined;
  readonly #reader: FrameReader;
  #reading: "flowing" | "paused" | "ended" = "flowing";
  #writing: Writing = "open";
  #owesDrain = false;
  /** The inner connection has answered false and not drained since. */
  #isStalled = false;
  /** The latest ping, while the peer does not read answers: never more than one waits. */
  #ping: Uint8Array | undefined = undefined;
  /** What came with the upgrade, while the owner has paused. */
  #held: Uint8Array | undefined = undefined;
  /** The peer's Close frame was read, and the owner had paused: it hears of it at `resume`. */
  #owesEnd = false;
  #farewell: Farewell | undefined = undefined;
  #fault: NetworkError | undefined = undefined;

  constructor(inner: Connection, settings: WebSocketSettings) {
    this.remoteAddress = inner.remoteAddress;
    this.remotePort = inner.remotePort;
    this.#inner = inner;
    this.#settings = settings;
    this.#maskingKey = settings.role === "client" ? settings.maskingKey : undefined;
    this.#reader = new FrameReader({ isPeerClient: settings.role === "server", payloadSizeMax: settings.frameSizeMax ?? Number.MAX_SAFE_INTEGER });
    inner.owner = this;
    inner.handler = INNER;
  }

  /** Starts the events, with the bytes that came behind the upgrade; called when the owner has set its handler. */
  start(rest: Uint8Array): void {
    if (rest.length === 0 || this.#isOver) return;
    if (this.#isPaused) this.#held = rest;
    else this.#receive(rest);
  }

  get bufferedBytes(): number {
    return this.#isOver ? 0 : this.#inner.bufferedBytes;
  }

  write(chunk: Uint8Array): boolean {
    if (this.#writing !== "open") return true;
    // An empty frame would say nothing; an empty write asks the kernel again.
    const goesOn = chunk.length === 0 ? this.#inner.write(chunk) : this.#send(chunk);
    if (!goesOn) {
      this.#owesDrain = true;
      this.#isStalled = true;
    }
    return goesOn;
  }

  #send(chunk: Uint8Array): boolean {
    if (this.#maskingKey !== undefined) return this.#inner.write(maskedFrame(OPCODE.binary, chunk, this.#maskingKey()));
    if (chunk.length < COPIED_BELOW) return this.#inner.write(plainFrame(OPCODE.binary, chunk));
    this.#inner.write(plainHeader(OPCODE.binary, chunk.length));
    return this.#inner.write(chunk);
  }

  pause(): void {
    if (this.#reading !== "flowing" || this.#isOver) return;
    this.#reading = "paused";
    this.#inner.pause();
  }

  resume(): void {
    if (this.#reading !== "paused" || this.#isOver) return;
    this.#reading = "flowing";
    if (this.#held !== undefined || this.#owesEnd) queueMicrotask(() => this.#replay());
    else this.#inner.resume();
  }

  end(): void {
    if (this.#writing !== "open") return;
    this.#writing = "ended";
    this.#sendClose(this.#closeCode);
    this.#inner.end();
  }

  /** A Close frame is answered with its own code (RFC 6455 section 5.5.1). */
  get #closeCode(): number | undefined {
    if (this.#reader.closed !== undefined) return this.#reader.closed.code;
    return this.#settings.isStopping === true ? CLOSE_CODE.goingAway : CLOSE_CODE.normal;
  }

  reset(): void {
    if (this.#isOver) return;
    this.#writing = "reset";
    this.#inner.reset();
  }

  setKeepAlive(idleMs: number): void {
    this.#inner.setKeepAlive(idleMs);
  }

  /** The rest of the methods is for the inner connection's handler. */
  onData(chunk: Uint8Array): void {
    if (this.#reading !== "ended") this.#receive(chunk);
  }

  onDrain(): void {
    this.#isStalled = false;
    if (this.#ping !== undefined) this.#answerPing(this.#ping);
    if (!this.#owesDrain || this.#writing !== "open") return;
    this.#owesDrain = false;
    this.handler.drain(this);
  }

  onEnd(): void {
    if (this.#reading !== "ended") this.#deliverEnd();
  }

  onClose(error: NetworkError | undefined): void {
    if (this.#writing === "gone") return;
    this.#writing = "gone";
    this.#farewell?.over();
    this.#held = undefined;
    this.#ping = undefined;
    closed(this, this.#fault ?? error);
  }

  get #isOver(): boolean {
    return this.#writing === "reset" || this.#writing === "gone";
  }

  get #isPaused(): boolean {
    return this.#reading === "paused";
  }

  #receive(chunk: Uint8Array): void {
    const reader = this.#reader;
    const count = reader.read(chunk);
    if (count > 0) this.handler.data(this, chunk.subarray(reader.start, reader.start + count));
    if (reader.hasNews && !this.#isOver) this.#hear();
  }

  /** Of all that came with a chunk besides payload. */
  #hear(): void {
    const reader = this.#reader;
    reader.hasNews = false;
    if (reader.ping !== undefined) {
      const ping = reader.ping;
      reader.ping = undefined;
      this.#answerPing(ping);
    }
    if (reader.fault !== undefined) this.#fail(reader.fault);
    else if (reader.closed === undefined) return;
    else if (this.#isPaused) this.#owesEnd = true;
    else if (this.#reading === "flowing") this.#deliverEnd();
  }

  /** Answered is the latest ping alone, as RFC 6455 section 5.5.3 allows, and not before the peer has taken what was written so far. */
  #answerPing(payload: Uint8Array): void {
    this.#ping = this.#isStalled ? payload : undefined;
    if (this.#isStalled || this.#writing !== "open") return;
    this.#isStalled = !this.#inner.write(this.#controlFrame(OPCODE.pong, payload));
  }

  #sendClose(code: number | undefined): void {
    this.#ping = undefined;
    this.#inner.write(this.#controlFrame(OPCODE.close, closePayload(code)));
  }

  #controlFrame(opcode: typeof OPCODE.pong | typeof OPCODE.close, payload: Uint8Array): Uint8Array {
    return this.#maskingKey === undefined ? plainFrame(opcode, payload) : maskedFrame(opcode, payload, this.#maskingKey());
  }

  #deliverEnd(): void {
    this.#reading = "ended";
    this.handler.end(this);
  }

  /** RFC 6455 section 7.1.7. What the peer still sends is read, so that its FIN is seen, and dropped. */
  #fail({ code, detail }: FrameFault): void {
    this.#fault = { code: "other", message: `WebSocket: ${detail}` };
    this.#owesDrain = false;
    if (this.#writing === "open") {
      this.#sendClose(code);
      this.#inner.end();
    }
    this.#writing = "failed";
    if (this.#isPaused) this.#inner.resume();
    this.#reading = "ended";
    this.#farewell = new Farewell(this.#settings.wheel, this.#inner);
  }

  /** What waited for `resume`, in a turn of its own: nothing is delivered inside that call. */
  #replay(): void {
    if (this.#reading !== "flowing" || this.#isOver) return;
    const held = this.#held;
    this.#held = undefined;
    try {
      if (held !== undefined) this.#receive(held);
      else this.#releaseEnd();
    } catch (thrown) {
      this.#fault = internalError(thrown);
      this.reset();
    }
    if (!this.#isPaused && !this.#isOver) this.#inner.resume();
  }

  #releaseEnd(): void {
    if (!this.#owesEnd) return;
    this.#owesEnd = false;
    this.#deliverEnd();
  }
}

const connectionOf = (inner: Connection) => inner.owner as WebSocketConnection;

const INNER: ConnectionHandler = {
  data: (inner, chunk) => connectionOf(inner).onData(chunk),
  drain: (inner) => connectionOf(inner).onDrain(),
  end: (inner) => connectionOf(inner).onEnd(),
  close: (inner, error) => connectionOf(inner).onClose(error),
};
