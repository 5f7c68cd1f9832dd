/*
 * Measured beside the node:net adapter on Deno 2.9 (a bare relay, 200 connections, 64-byte messages; two runs each, busy
 * machine): 23-26 us of CPU per round trip against 24-26, and 16-21 KB per idle relayed connection against 6-12. It does
 * not pay yet; it is kept for what node:net cannot do there: see the RST of a paused connection.
 */
import process from "node:process";
import { placeOf } from "./address.ts";
import { DenoConnection, type DenoConn } from "./deno_connection.ts";
import { listenOnDeno } from "./deno_listener.ts";
import { failed, opened } from "./handlers.ts";
import { runtime as net } from "./net.ts";
import { networkError } from "./network_error.ts";
import { system } from "./system_node.ts";
import type { Dial, DialHandler, DialOptions, Runtime } from "./types.ts";

/** What is used of the `Deno` namespace. */
const { Deno } = globalThis as unknown as {
  Deno: {
    connect(options: object): Promise<DenoConn>;
  };
};

/** Plain TCP, or a unix socket. */
class DenoDial implements Dial {
  readonly #options: DialOptions;
  readonly #handler: DialHandler;
  readonly #abort = new AbortController();

  constructor(options: DialOptions, handler: DialHandler) {
    this.#options = options;
    this.#handler = handler;
  }

  start(): this {
    const { host, port, path } = this.#options;
    const place = path === undefined ? { hostname: host, port } : { transport: "unix", path };
    Deno.connect({ ...place, signal: this.#abort.signal }).then(
      (conn) => this.#opened(conn),
      (thrown: unknown) => this.#failed(thrown),
    );
    return this;
  }

  cancel(): void {
    this.#abort.abort();
  }

  #opened(conn: DenoConn): void {
    if (this.#abort.signal.aborted) {
      conn.close();
      return;
    }
    const connection = new DenoConnection(conn);
    opened(this.#handler, connection);
    connection.start();
  }

  #failed(thrown: unknown): void {
    if (this.#abort.signal.aborted) return;
    failed(this.#handler, networkError(`connect to ${placeOf(this.#options)}`, thrown));
  }
}

/**
 * Deno's own sockets where TLS is not begun: its own cannot be, as a server, and has no client certificates; towards a broker it cannot
 * be told to accept any certificate, and trusts the public authorities beside those that it is given.
 */
export const runtime: Runtime = {
  name: "deno",
  version: process.versions["deno"] ?? "",
  capabilities: net.capabilities,
  system,
  listen: (options, handler) => (options.startsTls || options.descriptor !== undefined ? net.listen(options, handler) : listenOnDeno(options, handler)),
  connect: (options, handler) => (options.startsTls ? net.connect(options, handler) : new DenoDial(options, handler).start()),
  createTlsContext: net.createTlsContext,
  secureServer: net.secureServer,
  secureClient: net.secureClient,
  descriptorsDangling: 0,
};
