import type { Transport } from "../config/types.ts";
import type { Listed } from "../lib/roster.ts";
import type { Timed } from "../lib/timer_wheel.ts";
import type { FaultCode } from "../mqtt/fault.ts";
import type { Connection, ConnectionHandler, Handshake, NetworkError, SecureHandler, TlsFacts } from "../runtime/types.ts";
import type { Origin, OriginTls } from "../session/origin.ts";
import { readCertificateFacts } from "../transport/certificates/facts.ts";
import { FirstBytes, type FirstBytesKind } from "../transport/first_bytes.ts";
import { ProxyHeaderReader, type ProxyHeader } from "../transport/proxy_protocol/read.ts";
import { ClientHelloReader, type ClientHello } from "../transport/tls_hello/client_hello.ts";
import { WebSocketConnection } from "../transport/websocket/connection.ts";
import { NOT_HTTP } from "../transport/websocket/http_lines.ts";
import { RequestHeadReader } from "../transport/websocket/request_head.ts";
import { answerUpgrade } from "../transport/websocket/server_upgrade.ts";
import type { Entrance } from "./entrance.ts";

/** How long a trusted proxy may take for its PROXY header, in milliseconds. */
export const PROXY_HEADER_TIMEOUT_MS = 3_000;
/** How long a refused client may take to read why, in milliseconds. */
const LINGER_MS = 2_000;

type Stage = "proxy_header" | "first_bytes" | "hello" | "handshake" | "inner_bytes" | "upgrade" | "leaving" | "done";

/** What a wrong guess of the transport looks like from here. */
const WRONG: Readonly<Record<FirstBytesKind, string>> = {
  mqtt: "MQTT without TLS",
  tls: "a TLS handshake",
  http: "an HTTP request",
  proxy: "a PROXY header",
  unknown: "bytes of no known protocol",
};

/**
 * A client on its way from accept to its session: PROXY header, TLS, WebSocket, whichever its listener has, told apart by the first bytes
 * where it may be several. One deadline for all of it. Plain MQTT never comes here.
 */
export class Arrival implements Timed, Listed, SecureHandler {
  readonly entrance: Entrance;
  #connection: Connection;
  #stage: Stage = "first_bytes";
  #reader: ProxyHeaderReader | FirstBytes | ClientHelloReader | RequestHeadReader | undefined = undefined;
  #handshake: Handshake | undefined = undefined;
  #proxied: ProxyHeader | undefined = undefined;
  #hello: ClientHello | undefined = undefined;
  #tls: OriginTls | undefined = undefined;
  readonly peerAddress: string;
  /** Whether it has said anything: what opens a port and closes it again only wants to know that it is open. */
  #isHeard = false;

  timerSlot: Timed["timerSlot"] = undefined;
  timerNext: Timed | undefined = undefined;
  timerPrevious: Timed | undefined = undefined;
  timerTick = 0;
  rosterPlace = -1;

  constructor(entrance: Entrance, connection: Connection) {
    this.entrance = entrance;
    this.#connection = connection;
    this.peerAddress = connection.remoteAddress;
    this.#own(connection);
  }

  /** Decides what is read first. Not part of the constructor: it may end here already. */
  start(): void {
    const { entrance } = this;
    const { proxyProtocol } = entrance.config;
    if (this.#isShutOut(proxyProtocol === undefined || !this.#isTrusted ? this.peerAddress : undefined)) return;
    if (proxyProtocol === undefined) return this.#welcome();
    if (!this.#isTrusted) {
      if (proxyProtocol.mode === "optional") return this.#welcome();
      return this.#refuse("wrong_protocol", "not from a network whose PROXY header is trusted");
    }
    entrance.wheel.set(this, PROXY_HEADER_TIMEOUT_MS);
    if (proxyProtocol.mode === "required") this.#expectProxyHeader();
    else this.#expect("first_bytes", new FirstBytes());
  }

  /** Whether a PROXY header is believed. */
  get #isTrusted(): boolean {
    return this.entrance.isTrusted(this.peerAddress);
  }

  /** The client's own address, as far as it is known. */
  get address(): string {
    return this.#proxied?.source?.address ?? this.peerAddress;
  }

  /** Counts the client, and ends it here when there are too many; undefined: who it is another proxy may yet say. */
  #isShutOut(address: string | undefined): boolean {
    const why = this.entrance.enter(this, address);
    if (why !== undefined) this.#refuse(why.code, why.detail);
    return why !== undefined;
  }

  /** Whoever it is, its deadline for TLS and WebSocket begins, and the listener's transports decide what is read first. */
  #welcome(): void {
    const { wheel, limits, accept } = this.entrance;
    wheel.set(this, limits.handshakeTimeoutMs);
    if (accept.length > 1) return this.#expect("first_bytes", new FirstBytes());
    this.#begin(accept[0] as Transport);
  }

  #begin(transport: Transport): void {
    if (transport === "mqtt") this.#enter("mqtt", NOTHING);
    else if (transport === "ws") this.#expectUpgrade();
    else this.#expect("hello", new ClientHelloReader());
  }

  #expect(stage: Stage, reader: ProxyHeaderReader | FirstBytes | ClientHelloReader | RequestHeadReader): void {
    this.#stage = stage;
    this.#reader = reader;
  }

  #expectProxyHeader(): void {
    this.#expect("proxy_header", new ProxyHeaderReader());
  }

  #expectUpgrade(): void {
    this.#expect("upgrade", new RequestHeadReader());
  }

  read(chunk: Uint8Array): void {
    this.#isHeard = true;
    switch (this.#stage) {
      case "proxy_header": return this.#readProxyHeader(chunk);
      case "first_bytes": return this.#readFirstBytes(chunk);
      case "hello": return this.#readHello(chunk);
      case "inner_bytes": return this.#readInnerBytes(chunk);
      case "upgrade": return this.#readUpgrade(chunk);
    }
  }

  #readProxyHeader(chunk: Uint8Array): void {
    const answer = (this.#reader as ProxyHeaderReader).push(chunk);
    if (answer === undefined) return;
    if ("refused" in answer) return this.#refuse("wrong_protocol", `PROXY header: ${answer.refused}`);
    this.#proxied = answer.header;
    // It was the other proxy that spoke; its own checks and those of ports behind it end here.
    this.#isHeard = false;
    if (this.#isShutOut(this.address)) return;
    this.#welcome();
    this.#again(answer.rest);
  }

  #readFirstBytes(chunk: Uint8Array): void {
    const reader = this.#reader as FirstBytes;
    const kind = reader.push(chunk);
    if (kind === undefined) return;
    const { bytes } = reader;
    const { accept, limits, wheel } = this.entrance;
    if (this.#proxied === undefined && this.#isTrusted) {
      if (kind === "proxy") {
        this.#expectProxyHeader();
        return this.#again(bytes);
      }
      if (this.#isShutOut(this.peerAddress)) return; // none comes
      wheel.set(this, limits.handshakeTimeoutMs);
    }
    const transport = accept.find((each) => FIRST[each] === kind);
    if (transport === undefined) return this.#refuseKind(kind);
    this.#begin(transport);
    this.#again(bytes);
  }

  #readInnerBytes(chunk: Uint8Array): void {
    const reader = this.#reader as FirstBytes;
    const kind = reader.push(chunk);
    if (kind === undefined) return;
    const { bytes } = reader;
    if (kind === "http") {
      this.#expectUpgrade();
      return this.#again(bytes);
    }
    // Whatever it is, the session says what is wrong with it.
    this.#enter("mqtts", bytes);
  }

  #readHello(chunk: Uint8Array): void {
    const answer = (this.#reader as ClientHelloReader).push(chunk);
    if (answer === undefined) return;
    if ("refused" in answer) {
      const kind = new FirstBytes().push(answer.bytes);
      return kind === "tls" || kind === undefined ? this.#refuse("handshake_failed", `TLS: ${answer.refused}`) : this.#refuseKind(kind);
    }
    this.#hello = answer;
    const { certificates } = this.entrance;
    if (certificates === undefined) return this.#passThrough(answer);
    this.#stage = "handshake";
    this.#reader = undefined;
    this.#handshake = this.entrance.runtime.secureServer(this.#connection, answer.bytes, certificates.choose(answer.serverName), this);
  }

  secured(connection: Connection, facts: TlsFacts): void {
    this.#handshake = undefined;
    if (this.#stage !== "handshake") return connection.reset();
    this.#own(connection);
    const { version, alpn } = facts;
    const certificate = facts.certificate && readCertificateFacts(facts.certificate);
    // Verified, and yet nobody could say whose it is.
    if (facts.certificate !== undefined && certificate === undefined) return this.#refuse("handshake_failed", "TLS: the client's certificate cannot be read");
    this.#tls = { version, alpn, serverName: this.#hello?.serverName, certificate };
    const { acceptInTls } = this.entrance;
    if (acceptInTls.length > 1) this.#expect("inner_bytes", new FirstBytes());
    else if (acceptInTls[0] === "wss") this.#expectUpgrade();
    else this.#enter("mqtts", NOTHING);
  }

  /** The handshake. */
  failed(error: NetworkError): void {
    this.#handshake = undefined;
    this.#leave("handshake_failed", error.message);
  }

  #passThrough(hello: ClientHello): void {
    const why = this.entrance.judge(this);
    if (why !== undefined) return this.#refuse(why.code, why.detail);
    const { serverName, alpn } = hello;
    this.#leaveWheel();
    const tls = { version: undefined, serverName, alpn: alpn[0], certificate: undefined } as const;
    this.entrance.tunnel(this, this.#connection, { origin: this.#originOf("mqtts", tls), hello: hello.bytes, offered: alpn });
  }

  #readUpgrade(chunk: Uint8Array): void {
    const head = (this.#reader as RequestHeadReader).push(chunk);
    if (head === undefined) return;
    const answer = answerUpgrade(head, this.entrance.upgradeRules);
    this.#connection.write(answer.bytes);
    if (!answer.accepted) {
      this.#connection.end();
      return this.#linger(answer.reason === NOT_HTTP ? this.#wordsForUpgrade(chunk) : answer.reason);
    }
    const socket = new WebSocketConnection(this.#connection, this.entrance.webSocket);
    this.#leaveWheel();
    this.entrance.admitSession(this, socket, this.#originOf(this.#tls === undefined ? "ws" : "wss", this.#tls));
    socket.start(answer.rest);
  }

  /** What came in the place of HTTP. */
  #wordsForUpgrade(bytes: Uint8Array): string {
    const kind = new FirstBytes().push(bytes);
    if (kind !== "mqtt" && kind !== "tls") return NOT_HTTP;
    return `${kind === "mqtt" ? "MQTT without WebSocket" : WRONG.tls} on a listener for ${this.entrance.accept.join(", ")}`;
  }

  #enter(transport: Transport, bytes: Uint8Array): void {
    const connection = this.#connection;
    this.#leaveWheel();
    this.entrance.admitSession(this, connection, this.#originOf(transport, this.#tls));
    if (bytes.length > 0) connection.handler.data(connection, bytes);
  }

  #originOf(transport: Transport, tls: OriginTls | undefined): Origin {
    const source = this.#proxied?.source;
    return {
      transport,
      address: source?.address ?? this.peerAddress,
      port: source?.port ?? this.#connection.remotePort,
      proxyAddress: source && this.peerAddress,
      tls: tls ?? (this.#proxied && toldTls(this.#proxied)),
    };
  }

  #again(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#stage === "leaving") return;
    if (this.#stage === "done") this.#connection.handler.data(this.#connection, bytes);
    else this.read(bytes);
  }

  #refuseKind(kind: FirstBytesKind): void {
    const { accept } = this.entrance;
    this.#refuse("wrong_protocol", `${WRONG[kind]} on a listener for ${accept.join(", ")}`);
  }

  #refuse(code: FaultCode, why: string): void {
    const connection = this.#connection;
    connection.handler = GONE;
    this.#leave(code, why);
    connection.reset();
  }

  /** A refusal in HTTP's words was sent: the client has a moment to read it. */
  #linger(why: string): void {
    this.#stage = "leaving";
    this.entrance.refused(this, "wrong_protocol", why);
    this.entrance.wheel.set(this, LINGER_MS);
  }

  /** The connection is gone, or about to be. */
  #leave(code: FaultCode, why: string): void {
    if (this.#stage === "done") return;
    const wasLeaving = this.#stage === "leaving";
    this.#leaveWheel();
    if (!wasLeaving && (this.#isHeard || code !== "client_lost")) this.entrance.refused(this, code, why);
    this.entrance.forget(this);
  }

  #leaveWheel(): void {
    this.#stage = "done";
    this.#reader = undefined;
    this.entrance.wheel.clear(this);
  }

  gone(error: NetworkError | undefined): void {
    this.#leave(error?.code === "internal" ? "internal_error" : "client_lost", error?.message ?? "closed by the client before the handshake was over");
  }

  peerEnded(): void {
    if (this.#stage === "leaving") return;
    this.#refuse("client_lost", "closed by the client before the handshake was over");
  }

  expired(): void {
    if (this.#stage === "leaving") {
      this.#connection.handler = GONE;
      this.#connection.reset();
      return this.#leave("connect_timeout", "");
    }
    this.abandon("connect_timeout", this.#stage === "proxy_header" ? "no whole PROXY header in time" : "the handshake took too long");
  }

  abandon(code: FaultCode, why: string): void {
    this.#handshake?.cancel();
    if (this.#handshake === undefined) return this.#refuse(code, why);
    this.#handshake = undefined;
    this.#leave(code, why);
  }

  #own(connection: Connection): void {
    this.#connection = connection;
    connection.owner = this;
    connection.handler = ARRIVING;
  }
}

/** A connection was accepted that is not plain MQTT from its first byte. */
export function arrive(entrance: Entrance, connection: Connection): void {
  const arrival = new Arrival(entrance, connection);
  entrance.arrived(arrival);
  arrival.start();
}

/** What a trusted proxy tells of the TLS that it took off. */
function toldTls({ authority, alpn, tls }: ProxyHeader): OriginTls | undefined {
  if (tls === undefined && authority === undefined && alpn === undefined) return undefined;
  const commonName = tls?.verified ? tls.clientCommonName : undefined;
  const certificate = commonName === undefined ? undefined : { commonName, names: { dns: [], email: [], uri: [], ip: [] }, fingerprint: undefined };
  return { version: tls?.version, serverName: authority, alpn, certificate };
}

const NOTHING = new Uint8Array(0);
/** What the first bytes of each transport look like. */
const FIRST: Readonly<Record<Transport, FirstBytesKind>> = { mqtt: "mqtt", ws: "http", mqtts: "tls", wss: "tls" };

const arrivalOf = (connection: Connection) => connection.owner as Arrival;

const ARRIVING: ConnectionHandler = {
  data: (connection, chunk) => arrivalOf(connection).read(chunk),
  drain: () => {},
  end: (connection) => arrivalOf(connection).peerEnded(),
  close: (connection, error) => arrivalOf(connection).gone(error),
};

const GONE: ConnectionHandler = { data: () => {}, drain: () => {}, end: () => {}, close: () => {} };
