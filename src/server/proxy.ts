import type { Configuration, ListenerConfig, Material, PoolConfig, PoolMaterial } from "../config/types.ts";
import { placeOf } from "../config/address.ts";
import { wantsCertificate } from "../config/meaning_listener.ts";
import { TICK_MS, TimerWheel } from "../lib/timer_wheel.ts";
import { type FaultCode, fault } from "../mqtt/fault.ts";
import { EVENTS } from "../observe/events.ts";
import type { Log } from "../observe/log.ts";
import type { Broker } from "../pool/broker.ts";
import type { Pool } from "../pool/pool.ts";
import type { Connection, Dial, DialHandler, Listener, NetworkError, Runtime } from "../runtime/types.ts";
import type { SessionContext } from "../session/context.ts";
import type { Session } from "../session/session.ts";
import { keyOf } from "./session_keys.ts";
import type { Arrival } from "./arrival.ts";
import { REFUSED_AT_ONCE_MAX, sessionsMax } from "./capacity.ts";
import type { FileWatch } from "./file_watch.ts";
import { Chooser } from "./chooser.ts";
import type { HealthChecks } from "./health_checks.ts";
import type { Gate } from "./gate.ts";
import { Entrance, type EntranceOwner, type PassThrough } from "./entrance.ts";
import { LastSession } from "./last_session.ts";
import { listenOptions } from "./listen_options.ts";
import { Movements } from "./movements.ts";
import { describeEnd, describeSession, describeTunnel, describeTunnelEnd, type SessionEnd, type SessionInfo } from "./report.ts";
import { logBrokerDown, logBrokerUp, logClose, logOpen, logRefused, logTooMany, logTunnelClose, logTunnelOpen } from "./session_log.ts";
import type { BrokerAnswer, BrokerChange, BrokerInfo, ListenFailure, ListeningAddress, ProxyServer } from "./types.ts";
import type { Tunnels, TunnelsOwner } from "./tunnels.ts";
import type { Downstream, Upstreams } from "./upstream.ts";

export interface ProxyOptions {
  readonly runtime: Runtime;
  readonly configuration: Configuration;
  readonly material: Material;
  readonly log: Log;
  /** CONNACK with success went to a client. */
  readonly onOpen?: (session: SessionInfo) => void;
  /** A session that was open has ended, or a client was turned away. */
  readonly onClose?: (session: SessionEnd) => void;
}

/** How long `stopNow` waits for the runtime to report the connections gone. */
const STOP_NOW_MS = 1_000;

export function createProxyServer(options: ProxyOptions): ProxyServer {
  return new Server(options);
}

/** Everything that lives as long as the process: listeners, pools, the wheel, the sets of clients. */
class Server implements ProxyServer, EntranceOwner {
  readonly runtime: Runtime;
  readonly wheel: TimerWheel;
  readonly #options: ProxyOptions;
  readonly #log: Log;
  readonly #chooser: Chooser;
  readonly #poolMaterials: Map<string, PoolMaterial>;
  readonly #arrivals = new Set<Arrival>();
  readonly #sessions = new Set<Session>();
  readonly #refusals = new Map<FaultCode, number>();
  readonly #sessionsMax: number;
  #doors: { readonly entrance: Entrance; readonly listener: Listener }[] = [];
  /** Each is loaded only where the configuration asks for it. */
  #upstreams: Upstreams | undefined = undefined;
  #tunnels: Tunnels | undefined = undefined;
  #watch: FileWatch | undefined = undefined;
  #gate: Gate | undefined = undefined;
  #health: HealthChecks | undefined = undefined;
  readonly #movements: Movements;
  #isDraining = false;
  #ticking: ReturnType<typeof setInterval> | undefined = undefined;
  readonly #last = new LastSession(() => this.sessionCount);
  #stopping: Promise<void> | undefined = undefined;

  constructor(options: ProxyOptions) {
    const { configuration, runtime, material } = options;
    this.#options = options;
    this.runtime = runtime;
    this.#log = options.log;
    this.wheel = new TimerWheel(runtime.system.now());
    this.#chooser = new Chooser(configuration, () => runtime.system.random());
    this.#poolMaterials = new Map(material.pools);
    this.#movements = new Movements({
      pools: this.#chooser.pools, sessions: this.#sessions, tunnels: () => this.#tunnels?.all ?? [], system: runtime.system, log: options.log,
      dial: (broker, handler) => this.#dial(broker, undefined, handler),
      internalError: (thrown) => this.#reportError(thrown),
    });
    this.#sessionsMax = sessionsMax(configuration.limits.connectionsMax, runtime.system.descriptorsMax());
  }

  get limits() {
    return this.#options.configuration.limits;
  }

  get addresses(): readonly ListeningAddress[] {
    return this.#doors.map(({ entrance, listener }) => entrance.addressAt(listener.port));
  }

  get sessionCount(): number {
    return this.#sessions.size + (this.#tunnels?.size ?? 0);
  }

  get refusals(): ReadonlyMap<FaultCode, number> {
    return this.#refusals;
  }

  get brokers(): readonly BrokerInfo[] {
    return this.#movements.brokers;
  }

  setBroker(pool: string, broker: string, change: BrokerChange): void {
    this.#movements.change(pool, broker, change);
  }

  async start(): Promise<ListenFailure | undefined> {
    await this.#loadLayers();
    const refused = await this.#openGate();
    if (refused) return refused;
    for (const config of this.#options.configuration.listeners) {
      const opened = await this.#open(config);
      if (!("code" in opened)) this.#doors.push(opened);
      else {
        await this.#closeListeners();
        return { listener: config.name, address: placeOf(config), error: opened };
      }
    }
    await this.#watchFiles();
    await this.#watchBrokers();
    return undefined;
  }

  async #openGate(): Promise<ListenFailure | undefined> {
    const { configuration: { authentication: config, listeners }, material: { checks: contents = [] }, log } = this.#options;
    if (config === undefined) return undefined;
    const { Gate } = await import("./gate.ts");
    const gate = await Gate.open({ config, contents, system: this.runtime.system, wheel: this.wheel, log });
    if ("reason" in gate) return { listener: listeners[0]!.name, address: placeOf(listeners[0]!), error: { code: "other", message: gate.reason } };
    this.#gate = gate;
    return undefined;
  }

  async #watchBrokers(): Promise<void> {
    const pools = [...this.#chooser.pools.values()];
    const { log, system } = { log: this.#log, system: this.runtime.system };
    await this.#movements.start();
    if (!pools.some(({ config }) => config.health !== undefined)) return;
    const { HealthChecks } = await import("./health_checks.ts");
    this.#health = new HealthChecks({ pools, system, log, dial: (broker, handler) => this.#dial(broker, undefined, handler), wentDown: (broker) => this.#movements.wentDown(broker) });
    this.#health.start();
  }

  /** What most configurations do not need stays on disk: a quiet proxy is a small one. */
  async #loadLayers(): Promise<void> {
    const { listeners, pools, limits } = this.#options.configuration;
    if (limits.keepAliveMaxSeconds !== undefined || pools.some(({ connect }) => connect !== undefined)) await this.#chooser.loadRewriter(limits);
    if (pools.some(needsLayers)) this.#upstreams ??= new (await import("./upstream.ts")).Upstreams(this.runtime, this.wheel);
    if (listeners.some(({ tls }) => tls === "passthrough")) this.#tunnels ??= new (await import("./tunnels.ts")).Tunnels(this.#tunnelsOwner());
  }

  async #open(config: ListenerConfig): Promise<{ readonly entrance: Entrance; readonly listener: Listener } | NetworkError> {
    const { material } = this.#options;
    const { runtime } = this;
    const { tls, name: listener } = config;
    const certificates = tls === undefined || tls === "passthrough" ? undefined
      : await (await import("./certificate_store.ts")).CertificateStore.open({ runtime, log: this.#log, listener, tls }, material.listeners.get(listener) ?? []);
    if (certificates !== undefined && "code" in certificates) return certificates;
    const options = listenOptions(config, runtime.system);
    if ("code" in options) return options;
    const arrive = Entrance.isPlain(config) ? undefined : (await import("./arrival.ts")).arrive;
    const entrance = new Entrance(this, config, this.#contextOf(config), { arrive, certificates });
    try {
      const opened = await runtime.listen(options, {
        admit: () => this.#admit(),
        accept: (connection) => entrance.accepted(connection),
      });
      return { entrance, listener: opened };
    } catch (error) {
      return error as NetworkError;
    }
  }

  /** Some clients over the limit are let in to be told so; beyond those the door is shut without a word. */
  #admit(): boolean {
    const room = this.#load < this.#sessionsMax + REFUSED_AT_ONCE_MAX;
    if (!room) logTooMany(this.#log, this.#sessionsMax);
    return room && !this.#isDraining;
  }

  /** What counts against the limit: clients, and dials that were given up but still hold their descriptor. */
  get #load(): number {
    return this.sessionCount + this.#arrivals.size + this.runtime.descriptorsDangling / 2;
  }

  arrived(arrival: Arrival): void {
    this.#startTicking();
    this.#arrivals.add(arrival);
  }

  left(arrival: Arrival): void {
    this.#arrivals.delete(arrival);
  }

  refused(entrance: Entrance, arrival: Arrival, code: FaultCode, why: string): void {
    this.#countRefusal(code);
    logRefused(this.#log, entrance.config.name, arrival.address, code, why);
  }

  #countRefusal(code: FaultCode): void {
    this.#refusals.set(code, (this.#refusals.get(code) ?? 0) + 1);
  }

  began(session: Session): void {
    this.#startTicking();
    this.#sessions.add(session);
  }

  passThrough(entrance: Entrance, client: Connection, begin: PassThrough): void {
    this.#startTicking();
    const chosen = this.#chooser.chooseTunnel(entrance.config, begin, this.wheel.now);
    this.#tunnels?.begin(entrance.config, client, begin, this.#load > this.#sessionsMax ? { ...chosen, order: [] } : chosen);
  }

  #contextOf(config: ListenerConfig): SessionContext {
    const { system } = this.runtime;
    const gate = this.#gate?.guards(config.name) ? this.#gate : undefined;
    return {
      limits: this.limits,
      wheel: this.wheel,
      now: () => system.now(),
      listenerName: config.name,
      pool: this.#chooser.pools.get(config.pool) as Pool,
      choose: (session) => {
        if (this.#load > this.#sessionsMax) return fault("too_many_connections", `the limit of ${this.#sessionsMax} connections is reached`);
        if (gate === undefined) return this.#chooser.choose(session, this.wheel.now);
        return gate.admit(session, (claims) => this.#chooser.choose(session, this.wheel.now, claims));
      },
      dial: (broker, session, handler) => {
        const { address, client, origin } = session;
        this.#movements.dialing(session, broker);
        return this.#dial(broker, { address, port: origin?.port ?? client.remotePort, origin }, handler);
      },
      brokerFailed: (broker, why, by) => {
        const now = this.wheel.now;
        const isNews = by === undefined ? broker.failed(now, why.detail) : broker.suspected(keyOf(by), now, why.detail);
        if (isNews) logBrokerDown(this.#log, broker, why);
        this.#health?.clientFailed(broker);
      },
      brokerAnswered: (broker) => this.#brokerAnswered(broker),
      opened: (session) => {
        this.#movements.opened(session, this.#chooser.opened(session, this.wheel.now));
        logOpen(this.#log, session);
        this.#tell(() => this.#options.onOpen?.(describeSession(session)));
      },
      internalError: (thrown) => this.#reportError(thrown),
      finished: (session) => this.#finished(session),
    };
  }

  #tunnelsOwner(): TunnelsOwner {
    return {
      limits: this.limits,
      wheel: this.wheel,
      now: () => this.runtime.system.now(),
      dial: (broker, { origin }, handler) => this.#dial(broker, { address: origin.address, port: origin.port, origin }, handler),
      brokerFailed: (broker, why) => {
        if (broker.failed(this.wheel.now)) logBrokerDown(this.#log, broker, why);
      },
      brokerAnswered: (broker) => this.#brokerAnswered(broker),
      opened: (tunnel) => {
        this.#movements.reached(tunnel.chosen as Broker);
        logTunnelOpen(this.#log, tunnel);
        this.#tell(() => this.#options.onOpen?.(describeTunnel(tunnel)));
      },
      finished: (tunnel) => {
        if (tunnel.cause !== undefined && !tunnel.isOpen) this.#countRefusal(tunnel.cause.code);
        logTunnelClose(this.#log, tunnel);
        this.#tell(() => this.#options.onClose?.(describeTunnelEnd(tunnel)));
        this.#last.noteEnd();
      },
    };
  }

  #brokerAnswered(broker: Broker): void {
    if (broker.succeeded(this.wheel.now)) logBrokerUp(this.#log, broker);
  }

  #dial(broker: Broker, client: Downstream | undefined, handler: DialHandler): Dial {
    const { host, port, unixPath } = broker.config;
    if (!needsLayers(broker.pool)) return this.runtime.connect({ host, port, ...(unixPath !== undefined && { path: unixPath }) }, handler);
    const material = this.#poolMaterials.get(broker.pool.name) ?? { insecure: false };
    return (this.#upstreams as Upstreams).dial(broker, material, client, handler);
  }

  #finished(session: Session): void {
    this.#sessions.delete(session);
    this.#chooser.finished(session, this.wheel.now);
    this.#gate?.finished(session);
    const { cause } = session.machine;
    if (!session.isOpen && typeof cause === "object") this.#countRefusal(cause.code);
    logClose(this.#log, session);
    this.#tell(() => this.#options.onClose?.(describeEnd(session)));
    this.#last.noteEnd();
  }

  #tell(call: () => void): void {
    try {
      call();
    } catch (thrown) {
      this.#reportError(thrown);
    }
  }

  #reportError(thrown: unknown): void {
    const message = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    this.#log.error(EVENTS.internalError, message);
  }

  #startTicking(): void {
    if (this.#ticking !== undefined) return;
    const { system } = this.runtime;
    this.wheel.advance(system.now());
    this.#ticking = setInterval(() => {
      this.wheel.advance(system.now());
      if (this.sessionCount + this.#arrivals.size === 0) this.#stopTicking();
    }, TICK_MS);
  }

  #stopTicking(): void {
    clearInterval(this.#ticking);
    this.#ticking = undefined;
  }

  async #watchFiles(): Promise<void> {
    const stores = this.#doors.flatMap(({ entrance }) => entrance.certificates ?? []);
    const pools = [...this.#chooser.pools.values()].map(({ config }) => config).filter(({ tls }) => tls.caFile !== undefined || tls.certFile !== undefined);
    if (stores.length + pools.length === 0 && this.#gate === undefined) return;
    const { FileWatch } = await import("./file_watch.ts");
    const { configuration } = this.#options;
    const { system } = this.runtime;
    const renew = configuration.listeners.some(wantsCertificate) ? async () => (await import("./auto_tls.ts")).withAutoCertificates(configuration, system) : undefined;
    this.#watch = new FileWatch({ system, log: this.#log, stores, pools, materials: this.#poolMaterials, gate: this.#gate, renew });
  }

  async probe(): Promise<BrokerAnswer[]> {
    await this.#loadLayers();
    const { askBroker } = await import("./ask_broker.ts");
    const brokers = [...this.#chooser.pools.values()].flatMap((pool) => pool.brokers);
    const { system } = this.runtime;
    const dial = (broker: Broker, handler: DialHandler) => this.#dial(broker, undefined, handler);
    return Promise.all(brokers.map((broker) => askBroker(broker, { system, dial, timeoutMs: this.limits.dialTimeoutMs })));
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#drain();
    return this.#stopping;
  }

  async #drain(): Promise<void> {
    const log = this.#log;
    const { drainTimeoutMs } = this.limits;
    this.#isDraining = true;
    await this.#closeListeners();
    log.info(EVENTS.drainStart, `stopping: no new clients, ${this.sessionCount} sessions have ${drainTimeoutMs / 1000} s to end`);
    const why = fault("shutting_down", "sluice is stopping");
    for (const session of [...this.#sessions]) session.step({ type: "drain", fault: why });
    await this.#last.within(drainTimeoutMs);
    await this.stopNow();
    log.info(EVENTS.drainEnd, "stopped");
  }

  async stopNow(): Promise<void> {
    this.#isDraining = true;
    await this.#closeListeners();
    const why = fault("shutting_down", "sluice was stopped before the session ended");
    for (const session of [...this.#sessions]) session.step({ type: "stop", fault: why });
    this.#tunnels?.endAll(why);
    await this.#last.within(STOP_NOW_MS);
    this.#stopTicking();
  }

  async #closeListeners(): Promise<void> {
    const open = this.#doors;
    this.#upstreams?.stop();
    for (const { entrance } of open) entrance.webSocket.isStopping = true;
    this.#doors = [];
    this.#watch?.close();
    this.#health?.stop();
    this.#movements.close();
    for (const arrival of [...this.#arrivals]) arrival.abandon("shutting_down", "sluice is stopping");
    await Promise.all(open.map(({ listener }) => listener.close()));
  }
}

/** Whether more than plain TCP stands between us and a pool's brokers. */
function needsLayers({ brokers, via, proxyProtocol }: PoolConfig): boolean {
  return via !== undefined || proxyProtocol !== undefined || brokers.some(({ scheme }) => scheme !== "mqtt");
}
