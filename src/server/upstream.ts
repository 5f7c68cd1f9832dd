import type { BrokerConfig, PoolConfig, PoolMaterial, ViaConfig } from "../config/types.ts";
import type { TimerWheel } from "../lib/timer_wheel.ts";
import type { Broker } from "../pool/broker.ts";
import { hostAndPort } from "../runtime/address.ts";
import type { ClientTlsOptions, Connection, ConnectionHandler, Dial, DialHandler, Handshake, NetworkError, Runtime, SecureHandler } from "../runtime/types.ts";
import type { Origin } from "../session/origin.ts";
import { egressThrough, type Egress } from "../transport/egress/egress.ts";
import { proxyHeaderV1, proxyHeaderV2 } from "../transport/proxy_protocol/write.ts";
import { UpgradeResponseReader, upgradeRequest } from "../transport/websocket/client_upgrade.ts";
import { WebSocketConnection } from "../transport/websocket/connection.ts";
import { randomWords } from "../transport/websocket/random_words.ts";
import type { WebSocketSettings } from "../transport/websocket/settings.ts";

/** Who the broker shall be told it is. */
export interface Downstream {
  readonly address: string;
  readonly port: number;
  readonly origin: Origin | undefined;
}

/** How a pool's brokers are reached. */
interface Upstream {
  readonly pool: PoolConfig;
  readonly material: PoolMaterial;
  readonly webSocket: WebSocketSettings;
}

/** Reaches brokers where more than plain TCP is asked for; loaded only then. */
export class Upstreams {
  readonly #runtime: Runtime;
  readonly #webSocket: WebSocketSettings;

  constructor(runtime: Runtime, wheel: TimerWheel) {
    this.#runtime = runtime;
    this.#webSocket = { role: "client", wheel, maskingKey: randomWords((words) => crypto.getRandomValues(words)) };
  }

  /**
   * Opens a connection on which MQTT can begin: through a forward proxy, behind a PROXY header, inside TLS and WebSocket, whichever the
   * configuration asks for, in this order.
   */
  dial({ config, pool }: Broker, material: PoolMaterial, client: Downstream | undefined, handler: DialHandler): Dial {
    return new BrokerDial(this.#runtime, config, { pool, material, webSocket: this.#webSocket }, client, handler).start();
  }

  /** From now on a WebSocket that ends says that its end goes away. */
  stop(): void {
    this.#webSocket.isStopping = true;
  }
}

type Step = "connecting" | "tunneling" | "securing" | "upgrading" | "settled";

/** One dial; it owns the connection until the last step is done. */
class BrokerDial implements Dial, DialHandler, SecureHandler {
  readonly #runtime: Runtime;
  readonly #broker: BrokerConfig;
  readonly #upstream: Upstream;
  readonly #downstream: Downstream | undefined;
  readonly #handler: DialHandler;
  #step: Step = "connecting";
  #dial: Dial | undefined = undefined;
  #handshake: Handshake | undefined = undefined;
  #connection: Connection | undefined = undefined;
  #egress: Egress | undefined = undefined;
  #upgrade: UpgradeResponseReader | undefined = undefined;

  constructor(runtime: Runtime, broker: BrokerConfig, upstream: Upstream, downstream: Downstream | undefined, handler: DialHandler) {
    this.#runtime = runtime;
    this.#broker = broker;
    this.#upstream = upstream;
    this.#downstream = downstream;
    this.#handler = handler;
  }

  start(): this {
    const { via } = this.#upstream.pool;
    const { host, port, unixPath } = this.#broker;
    const startsTls = this.#isSecure;
    if (via !== undefined) this.#dial = this.#runtime.connect({ host: via.host, port: via.port, startsTls }, this);
    else this.#dial = this.#runtime.connect({ host, port, path: unixPath, startsTls }, this);
    return this;
  }

  cancel(): void {
    const step = this.#step;
    this.#step = "settled";
    if (step === "connecting") this.#dial?.cancel();
    else if (step === "securing") this.#handshake?.cancel();
    else if (step !== "settled") this.#connection?.reset();
  }

  /** Where the forward proxy is. */
  get #proxy(): string {
    const { host, port } = this.#upstream.pool.via as ViaConfig;
    return hostAndPort(host, port);
  }

  /** For who gives up waiting. */
  get waitingFor(): string | undefined {
    if (this.#upstream.pool.via === undefined) return undefined;
    if (this.#step === "connecting") return `a connection to the proxy ${this.#proxy}`;
    return this.#step === "tunneling" ? `the answer of the proxy ${this.#proxy}, which is connected` : undefined;
  }

  get #isSecure(): boolean {
    return this.#broker.scheme === "mqtts" || this.#broker.scheme === "wss";
  }

  opened(connection: Connection): void {
    if (this.#step === "settled") return connection.reset();
    this.#own(connection);
    const { via } = this.#upstream.pool;
    if (via === undefined) return this.#introduce(NOTHING);
    this.#step = "tunneling";
    this.#egress = egressThrough(via, { host: this.#broker.host, port: this.#broker.port });
    connection.write(this.#egress.first());
  }

  /** The dial, or the TLS handshake. */
  failed(error: NetworkError): void {
    if (this.#upstream.pool.via === undefined || this.#step !== "connecting") return this.#fail(error);
    // The address in front is taken for the broker's, and left out where that is said already.
    this.#fail({ ...error, message: `the proxy ${this.#proxy}: ${error.message.replace(/^connect to \S+: /, "")}` });
  }

  /** Bytes before MQTT begins. */
  read(chunk: Uint8Array): void {
    if (this.#step === "tunneling") this.#readEgress(chunk);
    else if (this.#step === "upgrading") this.#readUpgrade(chunk);
  }

  gone(error: NetworkError | undefined): void {
    const isProxy = this.#step === "tunneling";
    const where = isProxy ? `the proxy ${this.#proxy} closed before the way to the broker was open` : "closed by the broker before the WebSocket was open";
    this.#fail(error ?? { code: "reset", message: where });
  }

  #readEgress(chunk: Uint8Array): void {
    const answer = (this.#egress as Egress).push(chunk);
    if (answer === undefined) return;
    if ("refused" in answer) return this.#fail({ code: "refused", message: answer.refused.replace("proxy", `proxy ${this.#proxy}`) });
    if ("send" in answer) return void this.#connection?.write(answer.send);
    this.#introduce(answer.rest);
  }

  /** The way to the broker is open: a PROXY header is the first that it hears. */
  #introduce(rest: Uint8Array): void {
    const connection = this.#connection as Connection;
    const header = proxyHeader(this.#upstream.pool, this.#downstream, this.#broker);
    if (header !== undefined) connection.write(header);
    if (!this.#isSecure) return this.#speak(connection, rest);
    if (rest.length > 0) return this.#fail({ code: "tls", message: "bytes before the TLS handshake: does it speak TLS?" });
    this.#step = "securing";
    this.#handshake = this.#runtime.secureClient(connection, tlsOptions(this.#broker, this.#upstream), this);
  }

  secured(connection: Connection): void {
    if (this.#step === "settled") return connection.reset();
    this.#own(connection);
    this.#speak(connection, NOTHING);
  }

  #speak(connection: Connection, rest: Uint8Array): void {
    if (this.#broker.scheme === "mqtt" || this.#broker.scheme === "mqtts") return this.#hand(connection, rest);
    this.#step = "upgrading";
    const { host, port, path = "/mqtt" } = this.#broker;
    const authority = hostAndPort(host, port);
    const request = upgradeRequest({ host: authority, path, headers: this.#upstream.pool.headers ?? {}, random: crypto.getRandomValues(new Uint8Array(16)) });
    this.#upgrade = new UpgradeResponseReader(request);
    connection.write(request.bytes);
    if (rest.length > 0) this.read(rest);
  }

  #readUpgrade(chunk: Uint8Array): void {
    const answer = (this.#upgrade as UpgradeResponseReader).push(chunk);
    if (answer === undefined) return;
    if ("refused" in answer) return this.#fail({ code: "refused", message: `WebSocket with ${this.#broker.name}: ${answer.refused}` });
    const socket = new WebSocketConnection(this.#connection as Connection, this.#upstream.webSocket);
    this.#settle();
    this.#handler.opened(socket);
    socket.start(answer.rest);
  }

  #hand(connection: Connection, rest: Uint8Array): void {
    this.#settle();
    this.#handler.opened(connection);
    if (rest.length > 0) connection.handler.data(connection, rest);
  }

  #own(connection: Connection): void {
    this.#connection = connection;
    connection.owner = this;
    connection.handler = DIALING;
  }

  #settle(): void {
    this.#step = "settled";
    this.#egress = undefined;
    this.#upgrade = undefined;
  }

  #fail(error: NetworkError): void {
    if (this.#step === "settled") return;
    this.#settle();
    this.#connection?.reset();
    this.#handler.failed(error);
  }
}

const NOTHING = new Uint8Array(0);
const dialOf = (connection: Connection) => connection.owner as BrokerDial;

/** A broker's connection on which MQTT cannot begin yet. */
const DIALING: ConnectionHandler = {
  data: (connection, chunk) => dialOf(connection).read(chunk),
  drain: () => {},
  end: (connection) => dialOf(connection).gone(undefined),
  close: (connection, error) => dialOf(connection).gone(error),
};

function tlsOptions(broker: BrokerConfig, { pool, material }: Upstream): ClientTlsOptions {
  const { serverName = broker.host, alpn = broker.scheme === "wss" ? ["http/1.1"] : [] } = pool.tls;
  return { ...material, serverName, alpn };
}

/** Without a client it is sluice itself that speaks: LOCAL, or UNKNOWN. */
function proxyHeader({ proxyProtocol }: PoolConfig, client: Downstream | undefined, broker: BrokerConfig): Uint8Array | undefined {
  if (proxyProtocol === undefined) return undefined;
  const source = client && { address: client.address, port: client.port };
  const destination = { address: broker.host, port: broker.port };
  if (proxyProtocol === "v1") return proxyHeaderV1({ source, destination });
  const tls = client?.origin?.tls;
  return proxyHeaderV2({
    source,
    destination,
    authority: tls?.serverName,
    alpn: tls?.alpn,
    tls: tls && { version: tls.version, verified: tls.certificate !== undefined, clientCommonName: tls.certificate?.commonName },
  });
}
