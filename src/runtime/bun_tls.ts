import type { SocketHandler, TLSOptions } from "bun";
import type { X509Certificate } from "node:crypto";
import { type Peer, UNKNOWN_PEER } from "./address.ts";
import { BunConnection, type BunSocket } from "./bun_connection.ts";
import { connectionHandlers } from "./bun_listener.ts";
import { failed, secured } from "./handlers.ts";
import { handshakeError, HUNG_UP, judged, NO_CERTIFICATE, refusedCertificate } from "./handshake_error.ts";
import { materialProblem, materialReason, pemBlocks, protocolList, unusable } from "./tls_material.ts";
import type { Connection, Handshake, NetworkError, SecureHandler, ServerTlsOptions, TlsContext, TlsFacts } from "./types.ts";

/** What `upgradeTLS` and its options read beside their types; the tests hold Bun to it. */
type ServerUpgrade = Parameters<BunSocket["upgradeTLS"]>[0] & { readonly isServer: true; readonly initialData: Uint8Array };
type Options = TLSOptions & { readonly minVersion: number };

/** As TLS itself numbers them (RFC 8446 section 4.2.1). */
const VERSIONS = { "1.2": 0x0303, "1.3": 0x0304 } as const;

/** Of TLS 1.2 only those with forward secrecy that also authenticate; TLS 1.3 has no others. In our order, not the client's. */
const CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20";
const SERVER_PREFERENCE = 0x400000; // SSL_OP_CIPHER_SERVER_PREFERENCE

/** A path at which nothing can ever listen. */
const NOWHERE = "/dev/null/nobody";

/**
 * Bun keeps one native context for equal options, and drops it, with the keys of its session tickets, when no socket has it any more.
 * `anchor` is such a socket, closed before it was ever open.
 */
class BunTlsContext implements TlsContext {
  readonly options: ServerTlsOptions;
  readonly native: Options;
  readonly anchor: unknown;

  constructor(options: ServerTlsOptions, native: Options, anchor: unknown) {
    this.options = options;
    this.native = native;
    this.anchor = anchor;
  }
}

export async function createTlsContextOnBun(options: ServerTlsOptions): Promise<TlsContext | NetworkError> {
  const problem = materialProblem(options);
  if (problem !== undefined) return problem;
  const { cert, key, clientCertificates, ca, crl } = options;
  const native = nativeOptions(options);
  try {
    await load("the certificate and its key", { cert, key, ca: cert });
    // A chain has to be whole; of authorities Bun would drop those that it cannot read.
    if (clientCertificates !== "none") await load("the client authorities", { cert: `${cert}\n${ca}`, key, ca: ca! });
    return new BunTlsContext(options, native, await load(crl === undefined ? "the TLS options" : "the revocation lists", native));
  } catch (problem) {
    return problem as NetworkError;
  }
}

function nativeOptions({ cert, key, minVersion, alpn, clientCertificates, ca, crl }: ServerTlsOptions): Options {
  const judging = clientCertificates !== "none" && {
    requestCert: true,
    // Without, a bad certificate is for us to refuse; and a client may have none.
    rejectUnauthorized: clientCertificates === "require",
    ca: pemBlocks(ca!, "CERTIFICATE"),
    ...(crl !== undefined && { crl: pemBlocks(crl, "X509 CRL") }),
  };
  return {
    cert,
    key,
    minVersion: VERSIONS[minVersion],
    ciphers: CIPHERS,
    secureOptions: SERVER_PREFERENCE,
    // Nobody is asked for a certificate, so this trusts nobody; it saves the 2 MB of the public authorities.
    ca: cert,
    ...(alpn.length > 0 && { ALPNProtocols: protocolList(alpn) as Uint8Array<ArrayBuffer> }),
    ...judging,
  };
}

/** Bun makes a context only for a socket, so one is dialed to nowhere; what is wrong with the material is thrown before that. */
function load(what: string, tls: TLSOptions): Promise<BunSocket> {
  return new Promise((resolve, reject) => {
    const socket = { data() {}, open: resolve, connectError: resolve } as SocketHandler<BunConnection>;
    try {
      Bun.connect<BunConnection>({ unix: NOWHERE, tls, socket, data: undefined as unknown as BunConnection }).catch(() => {});
    } catch (thrown) {
      reject(unusable(what, materialReason(thrown)));
    }
  });
}

export function secureServerOnBun(connection: Connection, first: Uint8Array, context: TlsContext, handler: SecureHandler): Handshake {
  return new BunHandshake(connection as BunConnection, context as BunTlsContext, handler).start(first);
}

/** A handshake under way; it is the TLS socket's `data` until then. */
class BunHandshake implements Handshake {
  readonly #plain: BunConnection;
  readonly #context: BunTlsContext;
  readonly #handler: SecureHandler;
  #socket: BunSocket | undefined;
  #peer: Peer = UNKNOWN_PEER;
  #state: "shaking" | "settled" = "shaking";
  #fault: NetworkError | undefined;
  #certificate: Uint8Array | undefined;

  constructor(plain: BunConnection, context: BunTlsContext, handler: SecureHandler) {
    this.#plain = plain;
    this.#context = context;
    this.#handler = handler;
  }

  start(first: Uint8Array): this {
    let plain: BunSocket | undefined;
    try {
      const { socket, peer, unread } = this.#plain.release();
      plain = socket;
      this.#peer = peer;
      (socket as { data: unknown }).data = CIPHERTEXT;
      this.#socket = socket.upgradeTLS({
        isServer: true,
        initialData: unread.length === 0 ? first : Buffer.concat([first, ...unread]),
        tls: this.#context.native,
        socket: handshakeHandlers as SocketHandler<unknown>,
        data: this,
      } as ServerUpgrade)[1] as BunSocket;
    } catch (thrown) {
      plain?.terminate();
      this.#fail(handshakeError(thrown));
    }
    return this;
  }

  cancel(): void {
    if (this.#state === "settled") return;
    this.#state = "settled";
    this.#socket?.terminate();
  }

  onHandshake(socket: BunSocket, success: boolean, error: Error | null): void {
    if (this.#state === "settled") return;
    const isAsked = this.#context.options.clientCertificates !== "none";
    const reason = !success ? handshakeError(error) : isAsked ? this.#judge(socket, error) : undefined;
    if (reason !== undefined) {
      this.#fault = reason;
      socket.terminate();
      return;
    }
    this.#state = "settled";
    const connection = new BunConnection(socket, this.#peer);
    socket.data = connection;
    secured(this.#handler, connection, factsOf(socket, this.#certificate));
  }

  #judge(socket: BunSocket, error: Error | null): NetworkError | undefined {
    return judged(() => this.#refusal(socket, error));
  }

  /** That there are keys says nothing of a certificate: one that was judged bad comes with an error beside it. */
  #refusal(socket: BunSocket, error: Error | null): NetworkError | undefined {
    this.#certificate = (socket.getPeerX509Certificate() as X509Certificate | undefined)?.raw;
    if (this.#certificate === undefined) return this.#context.options.clientCertificates === "require" ? NO_CERTIFICATE : undefined;
    return error === null ? undefined : refusedCertificate((error as { code?: unknown }).code, socket.getPeerCertificate(), "client");
  }

  onError(error: Error): void {
    this.#fault ??= handshakeError(error);
  }

  onClose(error: Error | undefined): void {
    this.#fail(this.#fault ?? (error === undefined ? HUNG_UP : handshakeError(error)));
  }

  onData(): void {}
  onDrain(): void {}
  onEnd(): void {}

  /** A ClientHello that cannot be is refused within `upgradeTLS` already. */
  #fail(reason: NetworkError): void {
    queueMicrotask(() => {
      if (this.#state === "settled") return;
      this.#state = "settled";
      failed(this.#handler, reason);
    });
  }
}

const handshakeHandlers = {
  ...connectionHandlers,
  handshake: (socket: BunSocket, success: boolean, error: Error | null) =>
    (socket.data as unknown as BunHandshake).onHandshake(socket, success, error),
} satisfies SocketHandler<BunConnection>;

/** The `data` of the TCP socket below TLS, which still hears what passes through it. */
const CIPHERTEXT = { onData() {}, onDrain() {}, onEnd() {}, onClose() {}, onError() {} };

function factsOf(socket: BunSocket, certificate: Uint8Array | undefined): TlsFacts {
  return {
    version: socket.getTLSVersion() === "TLSv1.3" ? "1.3" : "1.2",
    alpn: socket.alpnProtocol || undefined,
    certificate,
  };
}
