/**
 * The one interface between sluice and the machine under it. `bun.ts`, `deno.ts` and `net.ts` each implement it; everything
 * above receives it as an argument and never asks where it runs.
 */

/** Why a dial, a handshake or a connection failed; the same words on every runtime. */
export type NetworkErrorCode =
  | "refused" // nobody listens there
  | "timeout" // the deadline passed first
  | "name_not_found" // DNS knows no such name
  | "unreachable" // no route to host or network
  | "reset" // the peer sent RST, or vanished while we wrote
  | "tls" // the handshake or a certificate check failed
  | "address_in_use" // a listener cannot have its address
  | "denied" // the operating system said no (a low port, a sandbox)
  | "descriptors" // the process has no descriptor left
  | "internal" // a handler of ours threw: a bug, and the message holds the stack
  | "other";

/** A value, not an exception: `message` says the reason, and the address where its receiver does not know it anyway (listen, connect). */
export interface NetworkError {
  readonly code: NetworkErrorCode;
  readonly message: string;
}

/** What happens on one connection. One handler object serves many connections: the session is found in `connection.owner`. */
export interface ConnectionHandler {
  /** Bytes arrived. The chunk belongs to the receiver and may be kept. Never called between `pause` and `resume`. */
  data(connection: Connection, chunk: Uint8Array): void;
  /** Exactly one follows a `write` that answered false, once all written bytes are with the kernel; none after `end` or `reset`. */
  drain(connection: Connection): void;
  /**
   * The peer sent FIN (or close_notify): no more data will come. The other direction stays open until `end`. Like data, it
   * is not seen while paused.
   */
  end(connection: Connection): void;
  /**
   * Once and last. `error` is absent when both directions were closed in order, or when we called `reset`. A throw in any
   * handler resets the connection, and its error arrives here as "internal".
   */
  close(connection: Connection, error: NetworkError | undefined): void;
}

/** A byte stream in both directions: TCP or a unix socket, or TLS over one. */
export interface Connection {
  /** Set by the owner inside `accept` or `opened`, before any event is delivered. */
  handler: ConnectionHandler;
  owner: unknown;
  /** The peer's address without brackets; an IPv4 peer of a dual-stack listener is shown as IPv4. To be read while the connection is open, and known from then on. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Bytes accepted by `write` that the kernel has not taken yet. */
  readonly bufferedBytes: number;
  /**
   * Takes all bytes of the chunk (which the caller must not change afterwards) and answers whether to go on. After a
   * false the caller stops writing until `drain`; what it writes all the same is still taken, in order (an empty chunk only
   * asks the kernel again, where the runtime lets us: it says "writable" late). After `end`,
   * `reset` or close the bytes are dropped and the answer is true.
   */
  write(chunk: Uint8Array): boolean;
  pause(): void;
  resume(): void;
  /** Flushes, then sends FIN. Reading goes on until the peer's own FIN; then `close` follows. */
  end(): void;
  /** Ends both directions now and drops what waits: RST where the runtime can, a plain close elsewhere. `close` follows, never inside this call. */
  reset(): void;
  /** Turns on TCP keep-alive probes after so many idle milliseconds. */
  setKeepAlive(idleMs: number): void;
}

/** One certificate of a server, and how it judges clients. PEM text throughout. */
export interface ServerTlsOptions {
  /** The certificate, followed by its chain. */
  readonly cert: string;
  readonly key: string;
  readonly minVersion: "1.2" | "1.3";
  /** Protocols in the order of our preference; a client that offers only others is refused (RFC 7301 section 3.2), one that offers none is served. */
  readonly alpn: readonly string[];
  readonly clientCertificates: "none" | "request" | "require";
  /** The authorities that client certificates must come from; present unless `clientCertificates` is "none". */
  readonly ca?: string;
  /** Revocation lists of those authorities. */
  readonly crl?: string;
}

/**
 * Made by `createTlsContext` and opaque above the adapters. A TLS session is never taken for more than it proved: it is resumed only with a
 * context that has the same certificate, authorities and revocation lists as the one that began it (Deno: the same authorities).
 */
export interface TlsContext {
  readonly options: ServerTlsOptions;
}

/** What a handshake agreed on. */
export interface TlsFacts {
  readonly version: "1.2" | "1.3";
  /** undefined: none was agreed on. */
  readonly alpn: string | undefined;
  /** The peer's own certificate, verified, as DER; undefined when it gave none. */
  readonly certificate: Uint8Array | undefined;
}

export interface SecureHandler {
  /** The handshake is done and every certificate that was asked for verified. */
  secured(connection: Connection, facts: TlsFacts): void;
  /** The connection is gone. */
  failed(error: NetworkError): void;
}

/** A handshake under way. Exactly one of `secured` and `failed` is called, later than the call that began it; neither after `cancel`. */
export interface Handshake {
  /** Closes the connection. The handshake has no deadline of its own. */
  cancel(): void;
}

export interface ClientTlsOptions {
  /** PEM text of the authorities to trust; absent: the system's. */
  readonly ca?: string;
  /** Accept any certificate. */
  readonly insecure: boolean;
  /** The name that goes into SNI and that the certificate is checked against; an address is checked but not sent (RFC 6066 section 3). */
  readonly serverName: string;
  /** Our own certificate (with its chain) and key, for brokers that ask for one. PEM text. */
  readonly cert?: string;
  readonly key?: string;
  /** Empty: none is offered. */
  readonly alpn: readonly string[];
}

export interface ListenOptions {
  /** Absent: every address, IPv4 and IPv6. */
  readonly host?: string;
  /** 0 asks for a free port; `Listener.port` tells which. Unused with `path` and `descriptor`. */
  readonly port: number;
  /** A unix socket instead of TCP. A file that nobody listens behind is replaced; it is removed on close. */
  readonly path?: string;
  /** The mode of the unix socket's file, such as 0o660; absent: as the process's umask has it. */
  readonly mode?: number;
  /** A listening socket that was handed over by whoever started us (systemd), instead of one of our own. */
  readonly descriptor?: number;
  /** TLS may be begun on what is accepted (`secureServer`). */
  readonly startsTls?: boolean;
}

export interface AcceptHandler {
  /** A connection came. False: it is closed at once and nothing more is heard of it. True: `accept` follows at once. */
  admit(): boolean;
  accept(connection: Connection): void;
}

export interface Listener {
  readonly port: number;
  /** Stops accepting; connections that were accepted live on, and handshakes on them go on. */
  close(): Promise<void>;
}

export interface DialOptions {
  readonly host: string;
  readonly port: number;
  /** A unix socket instead of TCP; host and port are unused then. */
  readonly path?: string;
  /** TLS may be begun on the connection (`secureClient`). */
  readonly startsTls?: boolean;
}

export interface DialHandler {
  /** Connected; TLS may be begun now. */
  opened(connection: Connection): void;
  failed(error: NetworkError): void;
}

/** Exactly one of `opened` and `failed` is called, later than `connect` returns; neither after `cancel`. */
export interface Dial {
  cancel(): void;
  /** What it waits for now, where that is not simply the other end; for who gives up. */
  readonly waitingFor?: string | undefined;
}

export type Signal = "SIGTERM" | "SIGINT" | "SIGHUP";

/** Why a file could not be read or written, in the same words everywhere. */
export interface FileError {
  readonly code: "missing" | "denied" | "not_a_file" | "exists" | "other";
  readonly message: string;
}

/** What rare work needs of the machine: its name and addresses, and files to write. No method throws. */
export interface Machine {
  /** undefined where users have no numbers (Windows), and files no mode that means anything. */
  readonly userId: number | undefined;
  hostName(): string;
  /** Of every network interface at this moment, loopback too, IPv6 without scope. */
  addresses(): readonly string[];
  /** undefined for a user who has none. */
  homeDirectory(): string | undefined;
  /** Whole or not at all. A file that is there already is the error "exists", unless it may be replaced. */
  writeFile(path: string, text: string, options: { readonly mode: number; readonly replace: boolean }): Promise<FileError | undefined>;
  /** Makes it, and those above it, with this mode where they are missing. */
  makeDirectory(path: string, mode: number): Promise<FileError | undefined>;
  /** The permissions, such as 0o600. */
  fileMode(path: string): Promise<number | FileError>;
}

export interface System {
  /** The words after the program's own name. */
  readonly arguments: readonly string[];
  env(name: string): string | undefined;
  readonly processId: number;
  /** The whole file, or why not. Never throws. */
  readFile(path: string): Promise<Uint8Array | FileError>;
  /** A text that differs when the file is another one or has changed, also behind a symbolic link; undefined when it cannot be seen. */
  fileStamp(path: string): Promise<string | undefined>;
  /** Calls back on each arrival until the returned function is called. */
  onSignal(signal: Signal, callback: () => void): () => void;
  /** Monotonic milliseconds. */
  now(): number;
  /** Milliseconds since 1970, for people and logs only. */
  wallClock(): number;
  /** In [0, 1). */
  random(): number;
  /** How many descriptors this process may have open; undefined where the system does not tell. Never rejects. */
  descriptorsMax(): Promise<number | undefined>;
  /** Writes a line and its newline. */
  writeOut(line: string): void;
  writeError(line: string): void;
  readonly errorIsTerminal: boolean;
  readonly outIsTerminal: boolean;
  exit(code: number): never;
  /** Loaded when it is asked for. */
  machine(): Promise<Machine>;
}

/** What a runtime cannot do is said here, for the check and the start of a configuration to warn of. */
export interface Capabilities {
  /** A paused TLS connection is not read; without it a peer that reads slowly costs memory, and a FIN can be lost around a pause. */
  readonly tlsBackPressure: boolean;
  /** `ServerTlsOptions.crl` is honoured; without it `createTlsContext` refuses one. */
  readonly crl?: boolean;
}

export interface Runtime {
  readonly name: "bun" | "deno" | "node";
  readonly version: string;
  readonly capabilities: Capabilities;
  readonly system: System;
  /** Rejects with a NetworkError value. */
  listen(options: ListenOptions, handler: AcceptHandler): Promise<Listener>;
  connect(options: DialOptions, handler: DialHandler): Dial;
  /** Loads the material and judges all of it: what cannot be used, or would let in anyone, is answered as a "tls" error. Never rejects. */
  createTlsContext(options: ServerTlsOptions): Promise<TlsContext | NetworkError>;
  /**
   * Begins TLS as the server, on a connection that a listener with `startsTls` accepted. `first`: what was read from it already, which
   * begins with a ClientHello or a part of one. The connection is dead from here on: its handler hears nothing more, not even the close.
   */
  secureServer(connection: Connection, first: Uint8Array, context: TlsContext, handler: SecureHandler): Handshake;
  /**
   * Begins TLS as the client, on a connection that was dialed with `startsTls`; what was written before goes out first. The connection is
   * dead from here on, as with `secureServer`.
   */
  secureClient(connection: Connection, options: ClientTlsOptions, handler: SecureHandler): Handshake;
  /** Descriptors of cancelled dials that the kernel still holds until it gives up too; 0 where a cancelled dial frees its own at once. */
  readonly descriptorsDangling: number;
}
