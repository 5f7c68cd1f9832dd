import type { Socket } from "node:net";
import { type Peer, peerOf, plainAddress, UNIX_PEER } from "./address.ts";
import { closed } from "./handlers.ts";
import { internalError, networkError } from "./network_error.ts";
import type { Connection, ConnectionHandler, NetworkError } from "./types.ts";

/** `reset`: ours, `close` is on its way. `gone`: `close` was delivered. */
type Writing = "open" | "ended" | "reset" | "gone";

const EVENTS = ["data", "drain", "end", "error", "close"] as const;

/** A connection over a `node:net` socket or a `node:tls` one; their streams already keep most of the contract. */
export class NetConnection implements Connection {
  handler!: ConnectionHandler;
  owner: unknown;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly #socket: Socket;
  #reading: "flowing" | "paused" | "ended" = "flowing";
  #writing: Writing = "open";
  #owesDrain = false;
  #fault: NetworkError | undefined;
  readonly #listeners = {
    data: (chunk: Uint8Array) => this.#guard(() => this.#receive(chunk)),
    drain: () => this.#guard(() => this.#drained()),
    end: () => this.#guard(() => this.#peerEnded()),
    error: (error: Error) => {
      this.#fault ??= networkError(this.#where(), error);
      // TLS that met garbage after its handshake says so, and stays open: nobody would hear of its end.
      this.#socket.destroy();
    },
    close: () => this.#closed(),
  };

  /** `remote`: where it is not for the kernel to say. */
  constructor(socket: Socket, remote?: Peer) {
    this.#socket = socket;
    this.remoteAddress = remote?.remoteAddress ?? plainAddress(socket.remoteAddress ?? "");
    this.remotePort = remote?.remotePort ?? socket.remotePort ?? 0;
  }

  /** Starts the events; called when the owner has set its handler, or given the socket away. */
  start(): void {
    if (this.#writing === "gone") return;
    const socket = this.#socket;
    for (const event of EVENTS) socket.on(event, this.#listeners[event]);
    // Listening to data makes the stream flow, also one that the owner has paused already.
    if (this.#reading === "paused") socket.pause();
  }

  get bufferedBytes(): number {
    return this.#isOver() ? 0 : this.#socket.writableLength;
  }

  write(chunk: Uint8Array): boolean {
    if (chunk.length === 0) return !this.#owesDrain; // after an empty chunk Deno's TLS sends nothing more
    if (this.#writing !== "open" || this.#socket.write(chunk)) return true;
    this.#owesDrain = true;
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
    this.#socket.resume();
  }

  end(): void {
    if (this.#writing !== "open") return;
    this.#writing = "ended";
    this.#socket.end();
  }

  reset(): void {
    if (this.#isOver()) return;
    this.#writing = "reset";
    // Under TLS there is no RST: TLS sockets refuse it, and resetting the TCP socket below one crashes Node 20. Unix sockets have none.
    if ("encrypted" in this.#socket || this.remoteAddress === UNIX_PEER.remoteAddress) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  setKeepAlive(idleMs: number): void {
    if (!this.#isOver()) this.#socket.setKeepAlive(true, idleMs);
  }

  /** Ends the connection for a reason of ours, which `close` will carry. */
  fail(fault: NetworkError): void {
    this.#fault = fault;
    this.reset();
  }

  /** Gives the socket away, paused. Nothing more is heard here. Throws when an end of it is over. */
  release(): Socket {
    const isOver = this.#writing !== "open" || this.#reading === "ended" || this.#socket.destroyed;
    this.#writing = "gone";
    if (isOver) {
      this.#socket.destroy();
      throw { code: "ECONNRESET" };
    }
    for (const event of EVENTS) this.#socket.off(event, this.#listeners[event]);
    return this.#socket.pause();
  }

  #isOver(): boolean {
    return this.#writing === "reset" || this.#writing === "gone";
  }

  #guard(deliver: () => void): void {
    if (this.#isOver()) return;
    try {
      deliver();
    } catch (thrown) {
      this.fail(internalError(thrown));
    }
  }

  #receive(chunk: Uint8Array): void {
    this.handler.data(this, chunk);
  }

  #drained(): void {
    if (!this.#owesDrain || this.#writing !== "open") return;
    this.#owesDrain = false;
    this.handler.drain(this);
  }

  #peerEnded(): void {
    this.#reading = "ended";
    this.handler.end(this);
  }

  #closed(): void {
    if (this.#writing === "gone") return;
    const reason = this.#closeReason();
    this.#writing = "gone";
    closed(this, reason);
  }

  #closeReason(): NetworkError | undefined {
    if (this.#fault !== undefined || this.#writing === "reset") return this.#fault;
    if (this.#reading === "ended" && this.#writing === "ended") return undefined;
    return { code: "reset", message: `${this.#where()}: closed by the peer before the end` };
  }

  #where(): string {
    return `connection with ${peerOf(this)}`;
  }
}
