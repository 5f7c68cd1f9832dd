import { connect, type Socket } from "node:net";
import process from "node:process";
import { connect as connectTls } from "node:tls";
import { isAddress, placeOf, UNIX_PEER } from "./address.ts";
import { failed, opened } from "./handlers.ts";
import { NetConnection } from "./net_connection.ts";
import { listenOnNet } from "./net_listener.ts";
import { onDeno } from "./net_tls.ts";
import { secureClientOnNet } from "./net_tls_client.ts";
import { createTlsContextOnNet, secureServerOnNet } from "./net_tls_server.ts";
import { clientContext } from "./net_trust.ts";
import { networkError } from "./network_error.ts";
import { system } from "./system_node.ts";
import type { Dial, DialHandler, DialOptions, Runtime } from "./types.ts";

/**
 * The reference adapter: `node:net` and `node:tls` on whichever of the three runtimes runs it. The native ones fall back
 * on it for what they cannot do.
 */
class NetDial implements Dial {
  readonly #options: DialOptions;
  readonly #handler: DialHandler;
  #socket: Socket | undefined;
  #state: "dialing" | "cancelled" | "settled" = "dialing";
  readonly #onError = (error: Error) => this.#failed(error);
  readonly #onClose = () => this.#failed({ code: "ECONNRESET" });

  constructor(options: DialOptions, handler: DialHandler) {
    this.#options = options;
    this.#handler = handler;
  }

  start(): this {
    try {
      this.#dial();
    } catch (thrown) {
      queueMicrotask(() => this.#failed(thrown));
    }
    return this;
  }

  cancel(): void {
    if (this.#state !== "dialing") return;
    this.#state = "cancelled";
    this.#socket?.destroy();
  }

  #dial(): void {
    const { host, port, path, tls } = this.#options;
    const place = path === undefined ? { host, port, autoSelectFamily: true } : { path };
    const common = { ...place, allowHalfOpen: true };
    let socket: Socket;
    if (tls === undefined) {
      socket = connect({ ...common, noDelay: true }, () => this.#opened());
    } else {
      const secureContext = clientContext(tls.ca, undefined, undefined);
      if ("code" in secureContext) throw secureContext;
      const trust = { secureContext, rejectUnauthorized: !tls.insecure, minVersion: "TLSv1.2" } as const;
      // An address is not a name: SNI must not carry it.
      socket = connectTls({ ...common, ...trust, ...(!isAddress(host) && { servername: host }) }, () => this.#opened());
    }
    this.#socket = socket;
    socket.on("error", this.#onError);
    socket.on("close", this.#onClose);
  }

  #opened(): void {
    if (this.#state !== "dialing") return;
    this.#state = "settled";
    const socket = this.#socket!;
    if (this.#options.tls !== undefined) socket.setNoDelay(true);
    const connection = new NetConnection(socket, this.#options.path === undefined ? undefined : UNIX_PEER);
    opened(this.#handler, connection);
    connection.start();
    socket.off("error", this.#onError);
    socket.off("close", this.#onClose);
  }

  #failed(thrown: unknown): void {
    if (this.#state !== "dialing") return;
    this.#state = "settled";
    const { host, tls } = this.#options;
    const error = networkError(`connect to ${placeOf(this.#options)}`, thrown, host);
    // What does not speak TLS answers a handshake with a close.
    const hint = tls !== undefined && error.code === "reset" ? " during the TLS handshake: does it speak TLS?" : "";
    failed(this.#handler, { ...error, message: error.message + hint });
  }
}

const { bun, deno, node } = process.versions as Record<string, string | undefined>;

export const runtime: Runtime = {
  name: bun ? "bun" : deno ? "deno" : "node",
  version: bun ?? deno ?? node ?? "",
  capabilities: { tlsBackPressure: !onDeno, crl: !onDeno },
  system,
  listen: listenOnNet,
  connect: (options, handler) => new NetDial(options, handler).start(),
  createTlsContext: createTlsContextOnNet,
  secureServer: secureServerOnNet,
  secureClient: secureClientOnNet,
  descriptorsDangling: 0,
};
