import type { Socket } from "node:net";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { isAddress } from "./address.ts";
import { failed, secured } from "./handlers.ts";
import { handshakeError, HUNG_UP, judged, refusedCertificate } from "./handshake_error.ts";
import { NetConnection } from "./net_connection.ts";
import { certificateOf, factsOf } from "./net_tls.ts";
import { clientContext } from "./net_trust.ts";
import type { ClientTlsOptions, Connection, Handshake, NetworkError, SecureHandler } from "./types.ts";

export function secureClientOnNet(connection: Connection, options: ClientTlsOptions, handler: SecureHandler): Handshake {
  return new ClientHandshake(connection as NetConnection, options, handler).start();
}

class ClientHandshake implements Handshake {
  readonly #plain: NetConnection;
  readonly #options: ClientTlsOptions;
  readonly #handler: SecureHandler;
  #socket: TLSSocket | undefined;
  #certificate: Uint8Array | undefined;
  readonly #onError = (error: Error) => this.#failed(handshakeError(error));
  readonly #onClose = () => this.#failed(HUNG_UP);
  #state: "shaking" | "settled" = "shaking";

  constructor(plain: NetConnection, options: ClientTlsOptions, handler: SecureHandler) {
    this.#plain = plain;
    this.#options = options;
    this.#handler = handler;
  }

  start(): this {
    let transport: Socket | undefined;
    try {
      transport = this.#plain.release();
      transport.on("error", () => {});
      this.#begin(transport);
    } catch (thrown) {
      this.#giveUp(transport, handshakeError(thrown));
    }
    return this;
  }

  #begin(transport: Socket): void {
    const { ca, cert, key } = this.#options;
    const secureContext = clientContext(ca, cert, key);
    if ("code" in secureContext) return this.#giveUp(transport, secureContext);
    const socket: TLSSocket = connect({ socket: transport, secureContext, ...optionsFor(this.#options) }, () => this.#done(socket));
    this.#socket = socket;
    socket.on("error", this.#onError);
    socket.on("close", this.#onClose);
  }

  #giveUp(transport: Socket | undefined, reason: NetworkError): void {
    transport?.destroy();
    queueMicrotask(() => this.#failed(reason));
  }

  cancel(): void {
    if (this.#state === "settled") return;
    this.#state = "settled";
    this.#socket?.destroy();
  }

  #done(socket: TLSSocket): void {
    if (this.#state === "settled") return;
    const reason = this.#options.insecure ? undefined : judged(() => this.#refusal(socket));
    if (reason !== undefined) {
      this.#failed(reason);
      socket.destroy();
      return;
    }
    this.#state = "settled";
    const connection = new NetConnection(socket, this.#plain);
    secured(this.#handler, connection, factsOf(socket, this.#certificate));
    connection.start();
    // Or all that this holds would live as long as the connection.
    socket.off("error", this.#onError);
    socket.off("close", this.#onClose);
  }

  /**
   * The runtimes are told to go on whatever the certificate is, and are asked here: a refusal of theirs says nothing about it.
   * `authorizationError` is the code of the check that failed (the types have it as an error), the name's after all others.
   */
  #refusal(socket: TLSSocket): NetworkError | undefined {
    this.#certificate = certificateOf(socket);
    if (socket.authorized) return undefined;
    const code: unknown = socket.authorizationError;
    const seen = socket.getPeerCertificate();
    if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return handshakeError({ code, cert: seen }, this.#options.serverName);
    return refusedCertificate(code, seen, "server");
  }

  #failed(error: NetworkError): void {
    if (this.#state === "settled") return;
    this.#state = "settled";
    // What does not speak TLS answers a handshake with a close.
    const hint = error === HUNG_UP ? ": does it speak TLS?" : "";
    failed(this.#handler, { ...error, message: error.message + hint });
  }
}

function optionsFor({ serverName, alpn }: ClientTlsOptions): ConnectionOptions {
  return {
    rejectUnauthorized: false,
    // `host` is what the certificate is checked against; an address must not go into SNI (RFC 6066 section 3).
    host: serverName,
    ...(!isAddress(serverName) && { servername: serverName }),
    ...(alpn.length > 0 && { ALPNProtocols: [...alpn] }),
  };
}
