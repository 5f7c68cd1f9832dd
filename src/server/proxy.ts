import type { Configuration, ListenerConfig, Material, PoolConfig, PoolMaterial } from "../config/types.ts";
import { placeOf } from "../config/address.ts";
import { wantsCertificate } from "../config/meaning_listener.ts";
import { Roster } from "../lib/roster.ts";
import { TimerWheel } from "../lib/timer_wheel.ts";
import { type Fault, type FaultCode, fault } from "../mqtt/fault.ts";
import { EVENTS } from "../observe/events.ts";
import type { Log } from "../observe/log.ts";
import type { Broker } from "../pool/broker.ts";
import type { Pool } from "../pool/pool.ts";
import type { Connection, Dial, DialHandler, Runtime } from "../runtime/types.ts";
import type { SessionContext } from "../session/context.ts";
import type { Session } from "../session/session.ts";
import { Outbox } from "../session/outbox.ts";
import { BrokerReports } from "./broker_reports.ts";
import type { Arrival } from "./arrival.ts";
import { REFUSED_AT_ONCE_MAX, sessionsMax } from "./capacity.ts";
import type { FileWatch } from "./file_watch.ts";
import { Chooser } from "./chooser.ts";
import { decide } from "./decide.ts";
import type { Gate } from "./gate.ts";
import type { Redirects } from "./redirects.ts";
import { type Door, openDoor } from "./door.ts";
import type { Entrance, EntranceOwner, PassThrough } from "./entrance.ts";
import { LastSession } from "./last_session.ts";
import { Movements } from "./movements.ts";
import { OptionalLimits } from "./optional_limits.ts";
import { describeEnd, describeSession, describeTunnel, describeTunnelEnd, type SessionEnd, type SessionInfo } from "./report.ts";
import { logClose, logOpen, logRefused, logTooMany, logTunnelClose, logTunnelOpen } from "./session_log.ts";
import { Ticker } from "./ticker.ts";
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
  readonly #arrivals = new Roster<Arrival>();
  readonly #sessions = new Roster<Session>();
  readonly #outbox = new Outbox(setImmediate);
  readonly #refusals = new Map<FaultCode, number>();
  #sessionsMax = 0;
  /** Whether somebody will want to know where a client came from when it is gone. */
  readonly #tellsPeers: boolean;
  #doors: Door[] = [];
  /** Each is loaded only where the configuration asks for it. */
  #upstreams: Upstreams | undefined = undefined;
  #tunnels: Tunnels | undefined = undefined;
  #watch: FileWatch | undefined = undefined;
  #gate: Gate | undefined = undefined;
  #redirects: Redirects | undefined = undefined;
  readonly #reports: BrokerReports;
  readonly #movements: Movements;
  #optional: OptionalLimits | undefined = undefined;
  /** CONNECTs that came. */
  #connects = 0;
  #isDraining = false;
  readonly #ticker: Ticker;
  readonly #last = new LastSession(() => this.sessionCount);
  #stopping: Promise<void> | undefined = undefined;

  constructor(options: ProxyOptions) {
    const { configuration, runtime, material } = options;
    this.#options = options;
    this.runtime = runtime;
    this.#log = options.log;
    this.wheel = new TimerWheel(runtime.system.now());
    this.#ticker = new Ticker(this.wheel, () => runtime.system.now(), () => this.sessionCount + this.#arrivals.size > 0);
    this.#chooser = new Chooser(configuration, () => runtime.system.random());
    this.#reports = new BrokerReports(options.log, () => this.wheel.now);
    this.#poolMaterials = new Map(material.pools);
    this.#tellsPeers = options.log.isOn("info") || options.onOpen !== undefined || options.onClose !== undefined;
    this.#movements = new Movements({
      pools: this.#chooser.pools, sessions: this.#sessions, tunnels: () => this.#tunnels?.all ?? [], system: runtime.system, wheel: this.wheel, log: options.log,
      dial: (broker, handler) => this.#dial(broker, undefined, handler),
      internalError: (thrown) => this.#reportError(thrown),
    });
  }

  get limits() {
    return this.#options.configuration.limits;
  }

  get admissions() {
    return this.#optional?.admissions;
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
    const { configuration, material, log } = this.#options;
    this.#sessionsMax = sessionsMax(configuration.limits.connectionsMax, await this.runtime.system.descriptorsMax());
    for (const config of configuration.listeners) {
      const opened = await openDoor({ owner: this, config, context: this.#contextOf(config), material, log, admit: () => this.#admit() });
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
    this.#reports.health = new HealthChecks({ pools, system, log, dial: (broker, handler) => this.#dial(broker, undefined, handler), wentDown: (broker) => this.#movements.wentDown(broker) });
    this.#reports.health.start();
  }

  /** What most configurations do not need stays on disk: a quiet proxy is a small one. */
  async #loadLayers(): Promise<void> {
    const { configuration } = this.#options;
    const { listeners, pools, limits } = configuration;
    this.#optional ??= await OptionalLimits.load({ configuration, chooser: this.#chooser, wheel: this.wheel, system: this.runtime.system });
    if (limits.keepAliveMaxSeconds !== undefined || pools.some(({ connect }) => connect !== undefined)) await this.#chooser.loadRewriter(limits);
    if (pools.some(({ redirects }) => redirects === "follow")) {
      this.#redirects ??= new (await import("./redirects.ts")).Redirects({ wheel: this.wheel, chooser: this.#chooser, dial: (broker, session, handler) => this.#dial(broker, session, handler) });
    }
    if (pools.some(needsLayers)) this.#upstreams ??= new (await import("./upstream.ts")).Upstreams(this.runtime, this.wheel);
    if (listeners.some(({ tls }) => tls === "passthrough")) this.#tunnels ??= new (await import("./tunnels.ts")).Tunnels(this.#tunnelsOwner());
  }

  /** Some clients over the limit are let in to be told so; beyond those the door is shut without a word. */
  #admit(): boolean {
    const room = this.#load < this.#sessionsMax + REFUSED_AT_ONCE_MAX;
    if (!room) {
      this.#countRefusal("too_many_connections");
      logTooMany(this.#log, this.#sessionsMax);
    }
    return room && !this.#isDraining;
  }

  #tooMany(): Fault {
    return fault("too_many_connections", `the limit of ${this.#sessionsMax} connections is reached`);
  }

  /** What counts against the limit: clients, and dials that were given up but still hold their descriptor. */
  get #load(): number {
    return this.sessionCount + this.#arrivals.size + this.runtime.descriptorsDangling / 2;
  }

  arrived(arrival: Arrival): void {
    this.#ticker.start();
    this.#arrivals.add(arrival);
  }

  left(arrival: Arrival): void {
    this.#arrivals.delete(arrival);
  }

  refused(entrance: Entrance, { address }: Pick<Arrival, "address">, code: FaultCode, why: string): void {
    this.#countRefusal(code);
    logRefused(this.#log, entrance.config.name, address, code, why);
  }

  #countRefusal(code: FaultCode): void {
    this.#refusals.set(code, (this.#refusals.get(code) ?? 0) + 1);
  }

  began(session: Session): void {
    this.#ticker.start();
    if (this.#tellsPeers) void session.client.remotePort; // the kernel knows it only while the connection is open
    this.#sessions.add(session);
  }

  passThrough(entrance: Entrance, client: Connection, begin: PassThrough): void {
    this.#ticker.start();
    this.#optional?.waiting?.serve(); // who waits comes first
    const chosen = this.#chooser.chooseTunnel(entrance.config, begin, this.wheel.now);
    this.#tunnels?.begin(entrance.config, client, begin, this.#load > this.#sessionsMax ? { ...chosen, order: [], refused: this.#tooMany() } : chosen);
  }

  #contextOf(config: ListenerConfig): SessionContext {
    const { system } = this.runtime;
    const gate = this.#gate?.guards(config.name) ? this.#gate : undefined;
    const deciders = { gate, admissions: this.admissions, waiting: this.#optional?.waiting, chooser: this.#chooser, wheel: this.wheel };
    return {
      limits: this.limits,
      wheel: this.wheel,
      outbox: this.#outbox,
      now: () => system.now(),
      listenerName: config.name,
      pool: this.#chooser.pools.get(config.pool) as Pool,
      choose: (session) => {
        session.connectNumber ||= ++this.#connects;
        if (this.#load > this.#sessionsMax) return this.#tooMany();
        return decide(session, deciders);
      },
      ...(this.#optional?.claim && { claim: this.#optional.claim }),
      dial: (broker, session, handler) => {
        this.#movements.dialing(session, broker);
        return this.#dial(broker, session, handler);
      },
      brokerFailed: (broker, why, by) => this.#reports.failed(broker, why, by),
      brokerAnswered: (broker) => this.#reports.answered(broker),
      redirects: this.#redirects,
      opened: (session) => {
        this.#reports.opened(session);
        this.#movements.opened(session, this.#chooser.opened(session, this.wheel.now));
        this.#optional?.opened(session);
        logOpen(this.#log, session);
        this.#tell(this.#options.onOpen, describeSession, session);
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
      brokerFailed: (broker, why) => this.#reports.failed(broker, why),
      brokerAnswered: (broker) => this.#reports.answered(broker),
      ...(this.#optional?.claim && { claim: this.#optional.claim }),
      opened: (tunnel) => {
        this.#movements.reached(tunnel.chosen as Broker);
        this.#optional?.opened(tunnel);
        logTunnelOpen(this.#log, tunnel);
        this.#tell(this.#options.onOpen, describeTunnel, tunnel);
      },
      finished: (tunnel) => {
        this.#optional?.finished(tunnel);
        if (tunnel.cause !== undefined && !tunnel.isOpen) this.#countRefusal(tunnel.cause.code);
        logTunnelClose(this.#log, tunnel);
        this.#tell(this.#options.onClose, describeTunnelEnd, tunnel);
        this.#last.noteEnd();
      },
    };
  }

  #dial(broker: Broker, client: Downstream | undefined, handler: DialHandler): Dial {
    const { host, port, unixPath } = broker.config;
    if (!needsLayers(broker.pool)) return this.runtime.connect({ host, port, path: unixPath }, handler);
    const material = this.#poolMaterials.get(broker.pool.name) ?? { insecure: false };
    return (this.#upstreams as Upstreams).dial(broker, material, client, handler);
  }

  #finished(session: Session): void {
    this.#sessions.delete(session);
    this.#reports.finished(session);
    this.#chooser.finished(session, this.wheel.now);
    this.#gate?.finished(session);
    this.#redirects?.finished(session);
    this.#optional?.finished(session);
    const { cause } = session.machine;
    if (!session.isOpen && typeof cause === "object") this.#countRefusal(cause.code);
    logClose(this.#log, session);
    this.#tell(this.#options.onClose, describeEnd, session);
    this.#last.noteEnd();
  }

  #tell<Guest, Info>(listener: ((info: Info) => void) | undefined, describe: (guest: Guest) => Info, guest: Guest): void {
    if (listener === undefined) return;
    try {
      listener(describe(guest));
    } catch (thrown) {
      this.#reportError(thrown);
    }
  }

  #reportError(thrown: unknown): void {
    const message = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    try {
      this.#log.error(EVENTS.internalError, message);
    } catch {
      // The log is the host program's own, and there is nobody else to tell.
    }
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
    log.info(EVENTS.drainStart, `stopping: no new clients, ${this.sessionCount === 1 ? "1 session has" : `${this.sessionCount} sessions have`} ${drainTimeoutMs / 1000} s to end`);
    const why = fault("shutting_down", "sluice is stopping");
    for (const session of this.#sessions) session.step({ type: "drain", fault: why });
    await this.#last.within(drainTimeoutMs);
    await this.stopNow();
    log.info(EVENTS.drainEnd, "stopped");
  }

  async stopNow(): Promise<void> {
    this.#isDraining = true;
    await this.#closeListeners();
    const why = fault("shutting_down", "sluice was stopped before the session ended");
    for (const session of this.#sessions) session.step({ type: "stop", fault: why });
    this.#tunnels?.endAll(why);
    await this.#last.within(STOP_NOW_MS);
    this.#ticker.stop();
  }

  async #closeListeners(): Promise<void> {
    const open = this.#doors;
    this.#upstreams?.stop();
    for (const { entrance } of open) entrance.webSocket.isStopping = true;
    this.#doors = [];
    this.#watch?.close();
    this.#reports.health?.stop();
    this.#movements.close();
    for (const arrival of this.#arrivals) arrival.abandon("shutting_down", "sluice is stopping");
    await Promise.all(open.map(({ listener }) => listener.close()));
  }
}

/** Whether more than plain TCP stands between us and a pool's brokers. */
function needsLayers({ brokers, via, proxyProtocol }: PoolConfig): boolean {
  if (via !== undefined || proxyProtocol !== undefined) return true;
  for (const { scheme } of brokers) if (scheme !== "mqtt") return true;
  return false;
}
