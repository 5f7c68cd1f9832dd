import { connect, type Socket } from "node:net";
import process from "node:process";
import { placeOf, UNIX_PEER } from "./address.ts";
import { failed, opened } from "./handlers.ts";
import { NetConnection } from "./net_connection.ts";
import { listenOnNet } from "./net_listener.ts";
import { onDeno } from "./net_tls.ts";
import { secureClientOnNet } from "./net_tls_client.ts";
import { createTlsContextOnNet, secureServerOnNet } from "./net_tls_server.ts";
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
    const { host, port, path } = this.#options;
    const place = path === undefined ? { host, port, autoSelectFamily: true } : { path };
    const socket = connect({ ...place, allowHalfOpen: true, noDelay: true }, () => this.#opened());
    this.#socket = socket;
    socket.on("error", this.#onError);
    socket.on("close", this.#onClose);
  }

  #opened(): void {
    if (this.#state !== "dialing") return;
    this.#state = "settled";
    const socket = this.#socket!;
    const connection = new NetConnection(socket, this.#options.path === undefined ? undefined : UNIX_PEER);
    opened(this.#handler, connection);
    connection.start();
    socket.off("error", this.#onError);
    socket.off("close", this.#onClose);
  }

  #failed(thrown: unknown): void {
    if (this.#state !== "dialing") return;
    this.#state = "settled";
    failed(this.#handler, networkError(`connect to ${placeOf(this.#options)}`, thrown));
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
