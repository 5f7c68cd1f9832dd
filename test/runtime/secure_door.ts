import { strict as assert } from "node:assert";
import type {
  AcceptHandler, Connection, ConnectionHandler, Handshake, NetworkError, Runtime, SecureHandler, TlsContext, TlsFacts,
} from "../../src/runtime/types.ts";

/** Whoever wants to know of handshakes that failed. */
export interface SecureAcceptHandler extends AcceptHandler {
  abandoned?(remoteAddress: string, error: NetworkError): void;
}

/** The layer above, as far as TLS needs one: reads the first bytes of each client itself, begins TLS with them, and keeps the deadline. */
export class SecureDoor implements AcceptHandler {
  readonly facts: TlsFacts[] = [];
  readonly #runtime: Runtime;
  readonly #context: TlsContext;
  readonly #inner: SecureAcceptHandler;
  readonly #timeoutMs: number;

  constructor(runtime: Runtime, context: TlsContext, inner: SecureAcceptHandler, timeoutMs: number) {
    this.#runtime = runtime;
    this.#context = context;
    this.#inner = inner;
    this.#timeoutMs = timeoutMs;
  }

  admit(): boolean {
    return this.#inner.admit();
  }

  accept(connection: Connection): void {
    new Greeting(this.#runtime, connection, this.#context, this.#timeoutMs, {
      secured: (secure, facts) => {
        this.facts.push(facts);
        this.#inner.accept(secure);
      },
      failed: (error) => this.#inner.abandoned?.(connection.remoteAddress, error),
    });
  }
}

class Greeting implements ConnectionHandler, SecureHandler {
  readonly #runtime: Runtime;
  readonly #context: TlsContext;
  readonly #handler: SecureHandler;
  readonly #timer: ReturnType<typeof setTimeout>;
  #handshake: Handshake | undefined;
  #isBeginning = false;
  #settled = false;

  constructor(runtime: Runtime, connection: Connection, context: TlsContext, timeoutMs: number, handler: SecureHandler) {
    this.#runtime = runtime;
    this.#context = context;
    this.#handler = handler;
    connection.handler = this;
    this.#timer = setTimeout(() => {
      if (this.#handshake === undefined) connection.reset();
      else this.#handshake.cancel();
      this.failed({ code: "timeout", message: "too long" });
    }, timeoutMs);
  }

  data(connection: Connection, chunk: Uint8Array): void {
    if (this.#settled) return;
    assert.equal(this.#handshake, undefined, "data of a connection that is TLS's");
    this.#isBeginning = true;
    this.#handshake = this.#runtime.secureServer(connection, chunk, this.#context, this);
    this.#isBeginning = false;
  }

  drain(): void {}

  end(connection: Connection): void {
    assert.equal(this.#handshake, undefined, "end of a connection that is TLS's");
    connection.reset();
  }

  close(_connection: Connection, error: NetworkError | undefined): void {
    assert.equal(this.#handshake, undefined, "close of a connection that is TLS's");
    this.failed(error ?? { code: "reset", message: "closed before a ClientHello" });
  }

  secured(connection: Connection, facts: TlsFacts): void {
    this.#settle(() => this.#handler.secured(connection, facts));
  }

  failed(error: NetworkError): void {
    this.#settle(() => this.#handler.failed(error));
  }

  #settle(tell: () => void): void {
    assert.equal(this.#isBeginning, false, "settled inside secureServer");
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#timer);
    tell();
  }
}
