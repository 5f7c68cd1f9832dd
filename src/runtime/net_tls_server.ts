import { constants } from "node:crypto";
import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { isVerifiedHere } from "./deno_sessions.ts";
import { failed, secured } from "./handlers.ts";
import { handshakeError, HUNG_UP, judged, NO_CERTIFICATE, OTHER_SESSION, refusedCertificate } from "./handshake_error.ts";
import { NetConnection } from "./net_connection.ts";
import { authorityProblem, keyProblem } from "./net_material.ts";
import { certificateOf, factsOf, onDeno, transportOf } from "./net_tls.ts";
import { watchForFloods } from "./net_tls_flood.ts";
import { materialProblem, materialReason, pemBlocks, unusable } from "./tls_material.ts";
import type { Connection, Handshake, NetworkError, SecureHandler, ServerTlsOptions, TlsContext } from "./types.ts";

/** Of TLS 1.2 only those with forward secrecy that also authenticate, in our order. Deno has no others, and always goes by the client's order. */
const CIPHERS = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:ECDHE+AESGCM:ECDHE+CHACHA20";
const TIMER_MAX_MS = 0x7fffffff;

/** A TLS server that never listens: sockets that are open already are handed to it, and it judges the certificates of their clients. */
class NetTlsContext implements TlsContext {
  readonly options: ServerTlsOptions;
  readonly #server: Server;
  readonly #pending = new WeakMap<Socket, ServerHandshake>();

  constructor(options: ServerTlsOptions) {
    const { cert, key, minVersion, alpn, clientCertificates, ca, crl } = options;
    const asked = clientCertificates !== "none";
    this.options = options;
    this.#server = createServer({
      cert,
      key,
      minVersion: `TLSv${minVersion}`,
      ciphers: CIPHERS,
      honorCipherOrder: true,
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      // The owner's deadline holds; zero would mean two minutes.
      handshakeTimeout: TIMER_MAX_MS,
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
  const problem = materialProblem(options) ?? keyProblem(options.cert, options.key) ?? authorityProblem(options.ca);
  if (problem !== undefined) return problem;
  if (options.crl !== undefined && onDeno) return unusable("the revocation lists", "this runtime does not honour them");
  try {
    return new NetTlsContext(options);
  } catch (thrown) {
    return unusable(options.crl === undefined ? "the TLS options" : "the revocation lists", materialReason(thrown));
  }
}

export function secureServerOnNet(connection: Connection, first: Uint8Array, context: TlsContext, handler: SecureHandler): Handshake {
  return new ServerHandshake(connection as NetConnection, context as NetTlsContext, handler).start(first);
}

class ServerHandshake implements Handshake {
  readonly #plain: NetConnection;
  readonly #context: NetTlsContext;
  readonly #handler: SecureHandler;
  #transport: Socket | undefined;
  /** On Node and Deno the TLS server, which knows why, speaks right after this. */
  readonly #onClose = () => queueMicrotask(() => this.failed(HUNG_UP));
  #certificate: Uint8Array | undefined;
  #state: "shaking" | "settled" = "shaking";

  constructor(plain: NetConnection, context: NetTlsContext, handler: SecureHandler) {
    this.#plain = plain;
    this.#context = context;
    this.#handler = handler;
  }

  start(first: Uint8Array): this {
    try {
      const transport = this.#plain.release();
      this.#transport = transport;
      // A FIN during the handshake ends it at once; half-open is switched on again when it is done.
      transport.allowHalfOpen = false;
      transport.on("error", ignore);
      transport.on("close", this.#onClose);
      transport.unshift(first);
      // Within the very event that brought the bytes, Deno would put what comes next before them.
      if (onDeno) setImmediate(() => this.#begin());
      else this.#begin();
    } catch (thrown) {
      this.#transport?.destroy();
      queueMicrotask(() => this.failed(handshakeError(thrown)));
    }
    return this;
  }

  #begin(): void {
    if (this.#state === "shaking" && !this.#transport!.destroyed) this.#context.begin(this.#transport!, this);
  }

  cancel(): void {
    if (this.#state === "settled") return;
    this.#state = "settled";
    this.#transport?.destroy();
  }

  done(socket: TLSSocket): void {
    if (this.#state === "settled") return void socket.destroy();
    const reason = judged(() => this.#refusal(socket));
    if (reason !== undefined) {
      this.failed(reason);
      socket.destroy();
      return;
    }
    this.#state = "settled";
    this.#transport?.off("close", this.#onClose); // or all that this holds would live as long as the connection
    socket.allowHalfOpen = true;
    const connection = new NetConnection(socket, this.#plain);
    secured(this.#handler, connection, factsOf(socket, this.#certificate));
    connection.start();
    if (!onDeno) watchForFloods(socket); // rustls has a limit of its own
  }

  /** Only a certificate that is there can be good: Deno says "authorized" where there is none at all. */
  #refusal(socket: TLSSocket): NetworkError | undefined {
    const { clientCertificates, ca } = this.#context.options;
    if (clientCertificates === "none") return undefined;
    this.#certificate = certificateOf(socket);
    if (this.#certificate === undefined) return clientCertificates === "require" ? NO_CERTIFICATE : undefined;
    if (!socket.authorized) return refusedCertificate(verdictOf(socket), socket.getPeerCertificate(), "client");
    return onDeno && !isVerifiedHere(ca!, socket) ? OTHER_SESSION : undefined;
  }

  /** The TLS server has refused, and destroyed the socket where it was for the certificate. */
  refused(error: Error, socket: TLSSocket): void {
    const asks = this.#context.options.clientCertificates !== "none";
    const isRefused = asks && Boolean(socket.authorizationError);
    this.failed(isRefused ? refusedCertificate(verdictOf(socket), {}, "client") : handshakeError(error));
  }

  failed(reason: NetworkError): void {
    if (this.#state === "settled") return;
    this.#state = "settled";
    failed(this.#handler, reason);
  }
}

/** The code of the check that failed (the types have it as an error). Deno has one for all. */
function verdictOf({ authorizationError }: TLSSocket): unknown {
  return onDeno ? undefined : authorizationError;
}

/** Made in a method it would keep alive whatever that can reach. */
const ignore = () => {};
