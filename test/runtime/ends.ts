import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import { connect, type Socket } from "node:net";
import type { Connection, ConnectionHandler, NetworkError } from "../../src/runtime/types.ts";
import { Watch } from "../support/watch.ts";
import type { SecureAcceptHandler } from "./secure_door.ts";

/** No case takes a second on an idle machine; this is for busy ones. */
export const DEADLINE_MS = 10_000;

/** One end of a connection: the handler that notes what happens to it, in order. */
export class End implements ConnectionHandler {
  connection!: Connection;
  /** The first byte that came: `introduced` tells connections apart by it. */
  firstByte: number | undefined;
  readonly events: string[] = [];
  received = 0;
  drains = 0;
  ended = false;
  closed = false;
  error: NetworkError | undefined;
  /** Run inside the event, after it was noted. */
  onFirstByte: () => void = () => {};
  onData: (chunk: Uint8Array) => void = () => {};
  onDrain: () => void = () => {};
  onEnd: () => void = () => {};
  readonly #hash = createHash("sha256");
  readonly #watch = new Watch();

  attach(connection: Connection): this {
    this.connection = connection;
    connection.handler = this;
    connection.owner = this;
    return this;
  }

  data(connection: Connection, chunk: Uint8Array): void {
    this.#note("data", connection);
    if (this.firstByte === undefined) {
      this.firstByte = chunk[0];
      this.onFirstByte();
    }
    this.received += chunk.length;
    this.#hash.update(chunk);
    this.onData(chunk);
    this.#watch.tell();
  }

  drain(connection: Connection): void {
    this.#note("drain", connection);
    this.drains += 1;
    this.onDrain();
    this.#watch.tell();
  }

  end(connection: Connection): void {
    this.#note("end", connection);
    this.ended = true;
    this.onEnd();
    this.#watch.tell();
  }

  close(connection: Connection, error: NetworkError | undefined): void {
    this.#note("close", connection);
    this.closed = true;
    this.error = error;
    this.#watch.tell();
  }

  until(what: string, condition: (end: End) => boolean): Promise<void> {
    return this.#watch.until(() => condition(this), DEADLINE_MS, what).catch(withSummary(() => this.#summary()));
  }

  untilClosed(): Promise<void> {
    return this.until("close", (end) => end.closed);
  }

  digest(): string {
    return this.#hash.copy().digest("hex");
  }

  /** Writes until the answer is false, so that the kernel's buffers are known to be full. */
  fill(chunk = pattern(65_536)): number {
    let written = 0;
    do {
      written += chunk.length;
      assert.ok(written < 64 << 20, "write never answered false");
    } while (this.connection.write(chunk));
    return written;
  }

  #note(event: string, connection: Connection): void {
    assert.equal(connection.owner, this, "an event of another connection");
    assert.equal(this.closed, false, `${event} after close`);
    if (event !== "data" || this.events.at(-1) !== "data") this.events.push(event);
  }

  #summary(): string {
    return `${this.events.join(", ") || "nothing"}; ${this.received} bytes${this.error ? `; ${this.error.message}` : ""}`;
  }
}

/** What a listener did, and the ends it accepted. */
export class Door implements SecureAcceptHandler {
  readonly ends: End[] = [];
  readonly abandonments: { readonly address: string; readonly error: NetworkError }[] = [];
  admissions = 0;
  admits = true;
  onAccept: (end: End) => void = () => {};
  readonly #watch = new Watch();

  admit(): boolean {
    this.admissions += 1;
    this.#watch.tell();
    return this.admits;
  }

  accept(connection: Connection): void {
    const end = new End().attach(connection);
    this.ends.push(end);
    end.onFirstByte = () => this.#watch.tell();
    this.onAccept(end);
    this.#watch.tell();
  }

  abandoned(address: string, error: NetworkError): void {
    this.abandonments.push({ address, error });
    this.#watch.tell();
  }

  async accepted(index: number): Promise<End> {
    await this.until(`${index + 1} accepted`, () => this.ends.length > index);
    return this.ends[index]!;
  }

  until(what: string, condition: (door: Door) => boolean): Promise<void> {
    const summary = () => `admitted ${this.admissions}, accepted ${this.ends.length}, abandoned ${this.abandonments.length}`;
    return this.#watch.until(() => condition(this), DEADLINE_MS, what).catch(withSummary(summary));
  }
}

/** A peer without any adapter, for bytes and endings that no adapter would send. */
export class RawPeer {
  readonly socket: Socket;
  closed = false;
  error: string | undefined;
  received = "";
  readonly #watch = new Watch();

  constructor(port: number, host = "127.0.0.1") {
    this.socket = connect({ port, host, allowHalfOpen: true });
    this.socket.on("data", (chunk) => {
      this.received += chunk.toString("latin1");
      this.#watch.tell();
    });
    this.socket.on("error", (error: NodeJS.ErrnoException) => {
      this.error = error.code;
    });
    this.socket.on("end", () => this.socket.end());
    this.socket.on("close", () => {
      this.closed = true;
      this.#watch.tell();
    });
  }

  untilClosed(): Promise<void> {
    return this.#watch.until(() => this.closed, DEADLINE_MS, "the raw peer to be closed");
  }
}

/** Bytes that tell where they come from. */
export function pattern(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i += 1) bytes[i] = (i * 31 + (i >>> 8) * 7) & 0xff;
  return bytes;
}

export function digestOf(...chunks: Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest("hex");
}

function withSummary(summary: () => string): (error: Error) => never {
  return (error) => {
    error.message += ` (seen: ${summary()})`;
    throw error;
  };
}
