import type { Socket } from "bun";
import { type Peer, peerOf, plainAddress, UNIX_PEER, UNKNOWN_PEER } from "./address.ts";
import { closed } from "./handlers.ts";
import { internalError, networkError } from "./network_error.ts";
import type { Connection, ConnectionHandler, NetworkError } from "./types.ts";

export type BunSocket = Socket<BunConnection>;

/** What came while the owner had paused: kept until `resume`. */
interface Held {
  readonly chunks: Uint8Array[];
  ended: boolean;
  closed: boolean;
}

/** The most common end of all, made once. */
const RESET_BY_PEER: NetworkError = { code: "reset", message: "connection reset by the peer" };

/** `reset`: ours, `close` is on its way. `gone`: `close` was delivered. */
type Writing = "open" | "ending" | "ended" | "reset" | "gone";

/**
 * A connection over a native Bun socket, plain or TLS; it is the socket's `data`. This is the hot path: one object per
 * connection, no closure, timer or promise, and a chunk goes to the kernel in the call that wrote it.
 */
export class BunConnection implements Connection {
  handler!: ConnectionHandler;
  owner: unknown;
  readonly #socket: BunSocket;
  /** A client's is asked of the kernel when somebody wants to know it. */
  #remote: Peer | undefined;
  #reading: "flowing" | "paused" | "ended" = "flowing";
  #writing: Writing = "open";
  /** What the kernel has not taken: nothing, one remainder, or (when the owner writes on after a false) several. */
  #waiting: Uint8Array | Uint8Array[] | undefined;
  #held: Held | undefined;
  /** The reason to give in `close`, where the runtime does not know it. Most connections have none, and are smaller without. */
  declare private fault?: NetworkError;

  /** `remote`: the address that was dialed. */
  constructor(socket: BunSocket, remote?: Peer) {
    this.owner = undefined;
    this.#socket = socket;
    this.#remote = remote;
    this.#waiting = undefined;
    this.#held = undefined;
  }

  get remoteAddress(): string {
    return this.#peer().remoteAddress;
  }

  get remotePort(): number {
    return this.#peer().remotePort;
  }

  /** Each question is a system call, so none is asked twice. */
  #peer(): Peer {
    if (this.#remote !== undefined) return this.#remote;
    if (this.#writing === "gone") return UNKNOWN_PEER;
    const { remoteAddress: address, remotePort } = this.#socket;
    const isUnix = address === undefined && this.#socket.localPort === undefined;
    return (this.#remote = isUnix ? UNIX_PEER : address === undefined ? UNKNOWN_PEER : { remoteAddress: plainAddress(address), remotePort });
  }

  get bufferedBytes(): number {
    const waiting = this.#waiting;
    if (waiting === undefined) return 0;
    if (!Array.isArray(waiting)) return waiting.length;
    return waiting.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  write(chunk: Uint8Array): boolean {
    if (this.#writing !== "open") return true;
    if (this.#waiting !== undefined) {
      if (chunk.length > 0) this.#queue(chunk);
      else if (this.#flush()) this.#drainSoon();
      return false;
    }
    const taken = this.#socket.write(chunk);
    if (taken === chunk.length) return true;
    if (taken < 0) {
      this.#lost();
      return true;
    }
    this.#waiting = chunk.subarray(taken);
    return false;
  }

  pause(): void {
    if (this.#reading !== "flowing" || this.#isOver()) return;
    this.#reading = "paused";
    this.#socket.pause();
  }

  resume(): void {
    if (this.#reading !== "paused" || this.#isOver()) return;
    this.#reading = "flowing";
    if (this.#held === undefined) this.#socket.resume();
    else this.#replaySoon();
  }

  end(): void {
    if (this.#writing !== "open") return;
    this.#writing = "ending";
    if (this.#waiting === undefined) this.#shutdown();
  }

  reset(): void {
    if (!this.#isOver()) this.#terminateSoon();
  }

  setKeepAlive(idleMs: number): void {
    if (!this.#isOver()) this.#socket.setKeepAlive(true, idleMs);
  }

  /** The rest of the methods is for the socket's handlers, which see this class; the layers above see `Connection`. */
  onData(chunk: Uint8Array): void {
    // TLS hands out what it had decrypted before `pause`, and plain sockets what precedes an RST.
    if (this.#reading !== "flowing" || this.#held !== undefined) {
      this.#hold().chunks.push(chunk);
      return;
    }
    if (this.#isOver()) return;
    try {
      this.handler.data(this, chunk);
    } catch (thrown) {
      this.fail(internalError(thrown));
    }
  }

  /** Bun reports drain more often than there is something to drain. */
  onDrain(): void {
    if (this.#waiting !== undefined && !this.#isOver() && this.#flush()) this.#drained();
  }

  /** In a method of its own, as each closure on this path: one that holds `this` costs every call of its method, whether it is made or not. */
  #drainSoon(): void {
    queueMicrotask(() => this.#drained());
  }

  #drained(): void {
    if (this.#waiting !== undefined || this.#isOver()) return;
    if (this.#writing === "ending") {
      this.#shutdown();
      return;
    }
    try {
      this.handler.drain(this);
    } catch (thrown) {
      this.fail(internalError(thrown));
    }
  }

  onEnd(): void {
    if (this.#reading === "paused" || this.#held !== undefined) {
      this.#hold().ended = true;
      return;
    }
    if (this.#reading === "ended" || this.#isOver()) return;
    this.#reading = "ended";
    try {
      this.handler.end(this);
    } catch (thrown) {
      this.fail(internalError(thrown));
    }
  }

  onClose(error: Error | undefined): void {
    if (this.#writing === "gone") return;
    if (error === undefined && this.#writing === "ended" && this.fault === undefined) {
      if (this.#reading === "paused" || this.#held !== undefined) {
        // Closed in order by both sides, and the owner has not seen all of it yet.
        this.#hold().closed = true;
        return;
      }
      // After our own shutdown Bun reports the peer's FIN as a close alone.
      this.onEnd();
    }
    const reason = this.#isExpected(error) ? undefined : this.closeReason(error);
    this.#writing = "gone";
    this.#waiting = undefined;
    this.#held = undefined;
    closed(this, reason);
  }

  /** Ends the connection for a reason of ours, which `close` will carry. */
  fail(fault: NetworkError): void {
    this.fault ??= fault;
    this.reset();
  }

  /** The runtime is about to close the socket and says here why. */
  onError(error: Error): void {
    this.fault ??= networkError(this.#where(), error);
  }

  /** Closed at once, and nobody hears of it. */
  discard(): void {
    this.#writing = "gone";
    this.#socket.terminate();
  }

  /** Gives the socket away, flowing, with what came while the owner had paused. Nothing more is heard here. Throws when an end of it is over. */
  release(): { readonly socket: BunSocket; readonly peer: Peer; readonly unread: readonly Uint8Array[] } {
    if (this.#writing !== "open" || this.#reading === "ended" || this.#held?.ended === true) {
      this.discard();
      throw { code: "ECONNRESET" };
    }
    const peer = this.#peer();
    const unread = this.#held?.chunks ?? [];
    this.#writing = "gone";
    this.#held = undefined;
    if (this.#reading === "paused") this.#socket.resume();
    return { socket: this.#socket, peer, unread };
  }

  #isExpected(error: Error | undefined): boolean {
    if (this.fault !== undefined) return false;
    return this.#writing === "reset" || (error === undefined && this.#reading === "ended" && this.#writing === "ended");
  }

  #isOver(): boolean {
    return this.#writing === "reset" || this.#writing === "gone";
  }

  #queue(chunk: Uint8Array): void {
    if (Array.isArray(this.#waiting)) this.#waiting.push(chunk);
    else this.#waiting = [this.#waiting!, chunk];
  }

  /** Answers whether everything is with the kernel now. */
  #flush(): boolean {
    const waiting = this.#waiting!;
    const chunk = Array.isArray(waiting) ? Buffer.concat(waiting) : waiting;
    const taken = this.#socket.write(chunk);
    if (taken < 0) {
      this.#lost();
      return false;
    }
    this.#waiting = taken === chunk.length ? undefined : chunk.subarray(taken);
    return this.#waiting === undefined;
  }

  /** `shutdown`, never `end` or `close`: those lose what we wrote when the peer's bytes are unread. Bun closes after both FINs. */
  #shutdown(): void {
    this.#writing = "ended";
    this.#socket.shutdown();
  }

  /** A write that met the peer's RST on a paused socket uses the error up: no close event would ever follow. */
  #lost(): void {
    this.fail({ code: "reset", message: `${this.#where()}: connection reset by the peer` });
  }

  #terminateSoon(): void {
    this.#writing = "reset";
    this.#waiting = undefined;
    this.#held = undefined;
    // `terminate` calls `close` before it returns, and our callers are promised that it does not.
    if (resetting.push(this) === 1) queueMicrotask(terminateAll);
  }

  terminate(): void {
    this.#socket.terminate();
    // A socket that was closed already says nothing.
    this.onClose(undefined);
  }

  #hold(): Held {
    return (this.#held ??= { chunks: [], ended: false, closed: false });
  }

  #replaySoon(): void {
    queueMicrotask(() => this.#replay());
  }

  #replay(): void {
    const held = this.#held;
    while (held !== undefined && this.#reading === "flowing" && !this.#isOver()) {
      const chunk = held.chunks.shift();
      if (chunk === undefined) break;
      try {
        this.handler.data(this, chunk);
      } catch (thrown) {
        this.fail(internalError(thrown));
      }
    }
    if (this.#reading !== "flowing" || this.#isOver()) return;
    this.#held = undefined;
    this.#socket.resume();
    if (held?.ended) this.onEnd();
    if (held?.closed) this.onClose(undefined);
  }

  /** Why it was closed, when not in order. */
  closeReason(error: Error | undefined): NetworkError {
    if (this.fault !== undefined) return this.fault;
    if ((error as { code?: string } | undefined)?.code === "ECONNRESET") return RESET_BY_PEER;
    if (error !== undefined) return networkError(this.#where(), error);
    return { code: "reset", message: `${this.#where()}: closed by the peer before the end` };
  }

  #where(): string {
    return `connection with ${peerOf(this)}`;
  }
}

/** Connections that were reset in this turn. */
let resetting: BunConnection[] = [];

function terminateAll(): void {
  const connections = resetting;
  resetting = [];
  for (const connection of connections) connection.terminate();
}
