import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { failed, secured } from "./handlers.ts";
import { NetConnection } from "./net_connection.ts";
import { networkError } from "./network_error.ts";
import { certificateOf, factsOf, transportOf } from "./net_tls.ts";
import { materialProblem, pemBlocks, unusable } from "./tls_material.ts";
import type { Connection, Handshake, NetworkError, SecureHandler, ServerTlsOptions, TlsContext } from "./types.ts";

/** A TLS server that never listens: sockets that are open already are handed to it, and it judges the certificates of their clients. */
class NetTlsContext implements TlsContext {
  readonly options: ServerTlsOptions;
  readonly #server: Server;
  readonly #pending = new Map<Socket, ServerHandshake>();

  constructor(options: ServerTlsOptions) {
    const { cert, key, minVersion, alpn, clientCertificates, ca, crl } = options;
    const asked = clientCertificates !== "none";
    this.options = options;
    this.#server = createServer({
      cert,
      key,
      minVersion: `TLSv${minVersion}`,
      // The owner's deadline holds. Zero would be none, but Deno takes it for at once.
      handshakeTimeout: 0x7fffffff,
      ...(alpn.length > 0 && { ALPNProtocols: [...alpn] }),
      ...(asked && { requestCert: true, rejectUnauthorized: clientCertificates === "require", ca: pemBlocks(ca!, "CERTIFICATE") }),
      ...(asked && crl !== undefined && { crl: pemBlocks(crl, "X509 CRL") }),
    });
    this.#server.on("secureConnection", (socket) => this.#take(socket)?.done(socket));
    this.#server.on("tlsClientError", (error, socket) => {
      this.#take(socket)?.refused(error, socket);
      // Without this Node keeps the socket open.
      socket.destroy();
    });
  }

  begin(transport: Socket, handshake: ServerHandshake): void {
    this.#pending.set(transport, handshake);
    transport.on("error", () => {});
    transport.on("close", () => {
      this.#pending.delete(transport);
      handshake.failed({ code: "ECONNRESET" });
    });
    this.#server.emit("connection", transport);
  }

  #take(socket: TLSSocket): ServerHandshake | undefined {
    const transport = transportOf(socket);
    const handshake = transport && this.#pending.get(transport);
    if (transport !== undefined) this.#pending.delete(transport);
    return handshake;
  }
}

export async function createTlsContextOnNet(options: ServerTlsOptions): Promise<TlsContext | NetworkError> {
  const problem = materialProblem(options);
  if (problem !== undefined) return problem;
  try {
    return new NetTlsContext(options);
  } catch (thrown) {
    return unusable("TLS material", networkError("", thrown).message.slice(2));
  }
}

export function secureServerOnNet(connection: Connection, first: Uint8Array, context: TlsContext, handler: SecureHandler): Handshake {
  return new ServerHandshake(context as NetTlsContext, handler).start(connection as NetConnection, first);
}

class ServerHandshake implements Handshake {
  readonly #context: NetTlsContext;
  readonly #handler: SecureHandler;
  #transport: Socket | undefined;
  #state: "shaking" | "settled" = "shaking";

  constructor(context: NetTlsContext, handler: SecureHandler) {
    this.#context = context;
    this.#handler = handler;
  }

  start(connection: NetConnection, first: Uint8Array): this {
    try {
      const transport = connection.release();
      this.#transport = transport;
      // A FIN during the handshake ends it at once; half-open is switched on again when it is done.
      transport.allowHalfOpen = false;
      transport.unshift(first);
      this.#context.begin(transport, this);
    } catch (thrown) {
      queueMicrotask(() => this.failed(thrown));
    }
    return this;
  }

  cancel(): void {
    if (this.#state === "settled") return;
    this.#state = "settled";
    this.#transport?.destroy();
  }

  done(socket: TLSSocket): void {
    if (this.#state === "settled") return void socket.destroy();
    const certificate = this.#asks ? certificateOf(socket) : undefined;
    // An authority that nobody asked is not heard: Deno says "authorized" where there is no certificate at all.
    if (this.#asks && (certificate === undefined ? this.#context.options.clientCertificates === "require" : !socket.authorized)) {
      this.refused(undefined, socket);
      socket.destroy();
      return;
    }
    this.#state = "settled";
    socket.allowHalfOpen = true;
    const connection = new NetConnection(socket);
    secured(this.#handler, connection, factsOf(socket, certificate));
    connection.start();
  }

  refused(error: Error | undefined, socket: TLSSocket): void {
    const verdict: unknown = this.#asks ? socket.authorizationError : undefined;
    this.failed(verdict ? { code: verdict } : error);
  }

  failed(thrown: unknown): void {
    if (this.#state === "settled") return;
    this.#state = "settled";
    failed(this.#handler, networkError("TLS handshake", thrown));
  }

  get #asks(): boolean {
    return this.#context.options.clientCertificates !== "none";
  }
}
