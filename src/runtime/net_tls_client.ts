import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { isAddress } from "./address.ts";
import { failed, secured } from "./handlers.ts";
import { NetConnection } from "./net_connection.ts";
import { certificateOf, factsOf } from "./net_tls.ts";
import { networkError } from "./network_error.ts";
import { clientContext } from "./net_trust.ts";
import type { ClientTlsOptions, Connection, Handshake, SecureHandler } from "./types.ts";

export function secureClientOnNet(connection: Connection, options: ClientTlsOptions, handler: SecureHandler): Handshake {
  return new ClientHandshake(options, handler).start(connection as NetConnection);
}

class ClientHandshake implements Handshake {
  readonly #options: ClientTlsOptions;
  readonly #handler: SecureHandler;
  #socket: TLSSocket | undefined;
  #state: "shaking" | "settled" = "shaking";

  constructor(options: ClientTlsOptions, handler: SecureHandler) {
    this.#options = options;
    this.#handler = handler;
  }

  start(connection: NetConnection): this {
    try {
      const transport = connection.release();
      transport.on("error", () => {});
      const socket: TLSSocket = connect({ socket: transport, ...optionsFor(this.#options) }, () => this.#done(socket));
      this.#socket = socket;
      socket.on("error", (error) => this.#failed(error));
      socket.on("close", () => this.#failed({ code: "ECONNRESET" }));
    } catch (thrown) {
      queueMicrotask(() => this.#failed(thrown));
    }
    return this;
  }

  cancel(): void {
    if (this.#state === "settled") return;
    this.#state = "settled";
    this.#socket?.destroy();
  }

  #done(socket: TLSSocket): void {
    if (this.#state === "settled") return;
    this.#state = "settled";
    const connection = new NetConnection(socket);
    secured(this.#handler, connection, factsOf(socket, this.#options.insecure ? undefined : certificateOf(socket)));
    connection.start();
  }

  #failed(thrown: unknown): void {
    if (this.#state === "settled") return;
    this.#state = "settled";
    const error = networkError("TLS handshake", thrown, this.#options.serverName);
    failed(this.#handler, error);
  }
}

function optionsFor({ ca, insecure, serverName, cert, key, alpn }: ClientTlsOptions): ConnectionOptions {
  return {
    secureContext: clientContext(ca, cert, key),
    rejectUnauthorized: !insecure,
    // `host` is what the certificate is checked against; an address must not go into SNI (RFC 6066 section 3).
    host: serverName,
    ...(!isAddress(serverName) && { servername: serverName }),
    ...(alpn.length > 0 && { ALPNProtocols: [...alpn] }),
  };
}
