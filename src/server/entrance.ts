import type { Limits, ListenerConfig, Transport } from "../config/types.ts";
import { urlOf } from "../config/address.ts";
import { includesAddress, parseNetwork, type Network } from "../lib/network.ts";
import type { TimerWheel } from "../lib/timer_wheel.ts";
import type { Fault, FaultCode } from "../mqtt/fault.ts";
import type { Connection, Runtime } from "../runtime/types.ts";
import type { SessionContext } from "../session/context.ts";
import type { Origin } from "../session/origin.ts";
import { Session } from "../session/session.ts";
import { FORGOTTEN } from "../session/sides.ts";
import type { UpgradeRules } from "../transport/websocket/server_upgrade.ts";
import type { WebSocketSettings } from "../transport/websocket/settings.ts";
import type { Admissions } from "./admissions.ts";
import type { Arrival } from "./arrival.ts";
import type { CertificateStore } from "./certificate_store.ts";
import type { ListeningAddress } from "./types.ts";

/** What an entrance tells the server. */
export interface EntranceOwner {
  readonly runtime: Runtime;
  readonly wheel: TimerWheel;
  readonly limits: Limits;
  /** Absent: clients are counted all together only. */
  readonly admissions?: Admissions | undefined;
  arrived(arrival: Arrival): void;
  left(arrival: Arrival): void;
  refused(entrance: Entrance, client: Pick<Arrival, "address">, code: FaultCode, why: string): void;
  began(session: Session): void;
  passThrough(entrance: Entrance, connection: Connection, begin: PassThrough): void;
}

/** A client whose TLS the broker shall do. */
export interface PassThrough {
  readonly origin: Origin;
  /** All that was read of it. */
  readonly hello: Uint8Array;
  /** The protocols (ALPN) that it offers. */
  readonly offered: readonly string[];
}

/** One listener: what its clients have to go through, and where they come in. */
export class Entrance {
  readonly config: ListenerConfig;
  readonly context: SessionContext;
  /** undefined: no TLS, or TLS that is passed through. */
  readonly certificates: CertificateStore | undefined;
  readonly accept: readonly Transport[];
  /** Those of them that begin with TLS. */
  readonly acceptInTls: readonly Transport[];
  readonly upgradeRules: UpgradeRules;
  readonly webSocket: WebSocketSettings;
  readonly #owner: EntranceOwner;
  readonly #trusted: readonly Network[];
  readonly #arrive: ((entrance: Entrance, connection: Connection) => void) | undefined;

  /** `arrive`: begins an arrival; undefined: there is nothing in front of MQTT. */
  constructor(owner: EntranceOwner, config: ListenerConfig, context: SessionContext, layers: { readonly arrive: ((entrance: Entrance, connection: Connection) => void) | undefined; readonly certificates: CertificateStore | undefined }) {
    const { arrive, certificates } = layers;
    this.#owner = owner;
    this.#arrive = arrive;
    this.config = config;
    this.context = context;
    this.certificates = certificates;
    this.accept = config.accept ?? [config.scheme as Transport];
    this.acceptInTls = this.accept.filter((transport) => transport === "mqtts" || transport === "wss");
    const { path = "/mqtt", protocols = [], origins } = config.websocket ?? {};
    this.upgradeRules = { path, protocols, origins };
    this.webSocket = { role: "server", wheel: owner.wheel };
    this.#trusted = (config.proxyProtocol?.from ?? []).map((network) => parseNetwork(network) as Network);
  }

  /** Whether its clients speak MQTT from their first byte. */
  static isPlain({ scheme, proxyProtocol }: ListenerConfig): boolean {
    return scheme === "mqtt" && proxyProtocol === undefined;
  }

  addressAt(port: number): ListeningAddress {
    const { name, scheme, host, unixPath, pool, websocket } = this.config;
    const path = scheme === "ws" || scheme === "wss" ? websocket?.path : undefined;
    const url = urlOf({ ...this.config, port, ...(path !== undefined && { path }) });
    return { name, url, scheme, host, port, ...(unixPath !== undefined && { unixPath }), pool };
  }

  get runtime(): Runtime {
    return this.#owner.runtime;
  }

  get wheel(): TimerWheel {
    return this.#owner.wheel;
  }

  get limits(): Limits {
    return this.#owner.limits;
  }

  accepted(connection: Connection): void {
    // It stands still while nobody is there: a deadline counted from its last tick might be over before it begins.
    this.wheel.advance(this.runtime.system.now());
    if (this.#arrive !== undefined) return this.#arrive(this, connection);
    const why = this.#owner.admissions?.enter(connection, this.config.name, connection.remoteAddress);
    if (why === undefined) return this.#owner.began(new Session(this.context, connection));
    this.#owner.refused(this, { address: connection.remoteAddress }, why.code, why.detail);
    connection.handler = FORGOTTEN;
    connection.reset();
  }

  arrived(arrival: Arrival): void {
    this.#owner.arrived(arrival);
  }

  /** Counts a client; its address as soon as that is known. A fault: the door is shut. */
  enter(arrival: Arrival, address: string | undefined): Fault | undefined {
    return this.#owner.admissions?.enter(arrival, this.config.name, address);
  }

  /** Why a client that would be passed through now has to stay outside. */
  judge(arrival: Arrival): Fault | undefined {
    return this.#owner.admissions?.judge(arrival, this.config.name, arrival.address, this.wheel.now);
  }

  /** Whether a PROXY header of this peer is believed. */
  isTrusted(address: string): boolean {
    return includesAddress(this.#trusted, address);
  }

  /** The client is through: its session begins. */
  admitSession(arrival: Arrival, connection: Connection, origin: Origin): void {
    this.#owner.admissions?.moved(arrival, connection);
    this.#owner.left(arrival);
    this.#owner.began(new Session(this.context, connection, origin));
  }

  tunnel(arrival: Arrival, connection: Connection, begin: PassThrough): void {
    this.#owner.admissions?.moved(arrival, connection);
    // In this order: until there is a tunnel it is the arrival that counts against the capacity.
    this.#owner.passThrough(this, connection, begin);
    this.#owner.left(arrival);
  }

  refused(arrival: Arrival, code: FaultCode, why: string): void {
    this.#owner.refused(this, arrival, code, why);
  }

  forget(arrival: Arrival): void {
    this.#owner.admissions?.left(arrival);
    this.#owner.left(arrival);
  }
}
