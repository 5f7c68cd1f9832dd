import type { Configuration, ListenerConfig, Material } from "../config/types.ts";
import { TICK_MS, TimerWheel } from "../lib/timer_wheel.ts";
import { fault } from "../mqtt/fault.ts";
import { EVENTS } from "../observe/events.ts";
import type { Log } from "../observe/log.ts";
import type { Broker } from "../pool/broker.ts";
import { Pool } from "../pool/pool.ts";
import { hostAndPort } from "../runtime/address.ts";
import type { DialHandler, Listener, NetworkError, Runtime } from "../runtime/types.ts";
import type { SessionContext } from "../session/context.ts";
import { Session } from "../session/session.ts";
import { REFUSED_AT_ONCE_MAX, sessionsMax } from "./capacity.ts";
import { describeEnd, describeSession, type SessionEnd, type SessionInfo } from "./report.ts";
import { logBrokerDown, logBrokerUp, logClose, logHandshakeFailed, logOpen, logTooMany } from "./session_log.ts";
import type { BrokerAnswer, ListenFailure, ListeningAddress, ProxyServer } from "./types.ts";

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

/** Everything that lives as long as the process: listeners, pools, the wheel, the set of sessions. */
class Server implements ProxyServer {
  readonly #options: ProxyOptions;
  readonly #wheel: TimerWheel;
  readonly #pools: ReadonlyMap<string, Pool>;
  readonly #sessions = new Set<Session>();
  readonly #sessionsMax: number;
  #listeners: { readonly config: ListenerConfig; readonly listener: Listener }[] = [];
  #handshaking = 0;
  #isDraining = false;
  #ticking: ReturnType<typeof setInterval> | undefined = undefined;
  #whenEmpty: (() => void) | undefined = undefined;
  #stopping: Promise<void> | undefined = undefined;

  constructor(options: ProxyOptions) {
    const { configuration, runtime } = options;
    this.#options = options;
    this.#wheel = new TimerWheel(runtime.system.now());
    this.#pools = new Map(configuration.pools.map((pool) => [pool.name, new Pool(pool)]));
    this.#sessionsMax = sessionsMax(configuration.limits.connectionsMax, runtime.system.descriptorsMax());
  }

  get addresses(): readonly ListeningAddress[] {
    return this.#listeners.map(({ config, listener }) => ({
      name: config.name,
      scheme: config.scheme,
      host: config.host,
      port: listener.port,
      pool: config.pool,
    }));
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  async start(): Promise<ListenFailure | undefined> {
    for (const config of this.#options.configuration.listeners) {
      try {
        this.#listeners.push({ config, listener: await this.#listen(config) });
      } catch (error) {
        await this.#closeListeners();
        return { listener: config.name, address: hostAndPort(config.host, config.port), error: error as NetworkError };
      }
    }
    return undefined;
  }

  #listen(config: ListenerConfig): Promise<Listener> {
    const { runtime, configuration, material, log } = this.#options;
    const context = this.#contextOf(config);
    const tls = material.listeners.get(config.name);
    return runtime.listen(
      { host: config.host, port: config.port, tls, handshakeTimeoutMs: configuration.limits.handshakeTimeoutMs },
      {
        admit: () => this.#admit(),
        accept: (connection) => {
          this.#handshaking--;
          this.#startTicking();
          this.#sessions.add(new Session(context, connection));
        },
        abandoned: (address, error) => {
          this.#handshaking--;
          logHandshakeFailed(log, config.name, address, error);
        },
      },
    );
  }

  /** Some clients over the limit are let in to be told so; beyond those the door is shut without a word. */
  #admit(): boolean {
    const room = this.#load < this.#sessionsMax + REFUSED_AT_ONCE_MAX;
    if (room && !this.#isDraining) this.#handshaking++;
    else if (!room) logTooMany(this.#options.log, this.#sessionsMax);
    return room && !this.#isDraining;
  }

  #contextOf(config: ListenerConfig): SessionContext {
    const { runtime, configuration, log } = this.#options;
    const { system } = runtime;
    const pool = this.#pools.get(config.pool) as Pool;
    const random = () => system.random();
    return {
      limits: configuration.limits,
      wheel: this.#wheel,
      now: () => system.now(),
      listenerName: config.name,
      poolName: pool.name,
      choose: (session) => {
        if (this.#load > this.#sessionsMax) return fault("too_many_connections", `the limit of ${this.#sessionsMax} connections is reached`);
        return pool.order({ key: keyOf(session), random }, this.#wheel.now);
      },
      dial: (broker, handler) => this.#dial(pool, broker, handler),
      brokerFailed: (broker, why, by) => {
        const now = this.#wheel.now;
        const isNews = by === undefined ? broker.failed(now) : broker.suspected(keyOf(by), now);
        if (isNews) logBrokerDown(log, pool.name, broker.name, why);
      },
      brokerAnswered: (broker) => {
        if (broker.succeeded()) logBrokerUp(log, pool.name, broker.name);
      },
      opened: (session) => {
        logOpen(log, session);
        this.#tell(() => this.#options.onOpen?.(describeSession(session)));
      },
      internalError: (thrown) => this.#reportError(thrown),
      finished: (session) => this.#finished(session),
    };
  }

  /** What counts against the limit: sessions, handshakes, and dials that were given up but still hold their descriptor. */
  get #load(): number {
    return this.#sessions.size + this.#handshaking + this.#options.runtime.descriptorsDangling / 2;
  }

  /** Calls the program that carries sluice; what it throws is its own affair and ends no session. */
  #tell(call: () => void): void {
    try {
      call();
    } catch (thrown) {
      this.#reportError(thrown);
    }
  }

  #reportError(thrown: unknown): void {
    const message = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    this.#options.log.error(EVENTS.internalError, message);
  }

  #dial(pool: Pool, broker: Broker, handler: DialHandler) {
    const { runtime, material } = this.#options;
    const { scheme, host, port } = broker.config;
    const tls = scheme === "mqtts" ? (material.pools.get(pool.name) ?? { insecure: false }) : undefined;
    return runtime.connect({ host, port, tls }, handler);
  }

  #finished(session: Session): void {
    this.#sessions.delete(session);
    logClose(this.#options.log, session);
    this.#tell(() => this.#options.onClose?.(describeEnd(session)));
    if (this.#sessions.size === 0) this.#whenEmpty?.();
  }

  #startTicking(): void {
    if (this.#ticking !== undefined) return;
    const { system } = this.#options.runtime;
    this.#wheel.advance(system.now());
    this.#ticking = setInterval(() => {
      this.#wheel.advance(system.now());
      if (this.#sessions.size === 0) this.#stopTicking();
    }, TICK_MS);
  }

  #stopTicking(): void {
    clearInterval(this.#ticking);
    this.#ticking = undefined;
  }

  probe(): Promise<BrokerAnswer[]> {
    const dials = [...this.#pools.values()].flatMap((pool) => pool.brokers.map((broker) => this.#probeOne(pool, broker)));
    return Promise.all(dials);
  }

  #probeOne(pool: Pool, broker: Broker): Promise<BrokerAnswer> {
    const { system } = this.#options.runtime;
    const begin = system.now();
    const { dialTimeoutMs } = this.#options.configuration.limits;
    return new Promise((resolve) => {
      const answer = (error: NetworkError | undefined) => {
        clearTimeout(timer);
        resolve({ pool: pool.name, broker: broker.name, error, milliseconds: Math.round(system.now() - begin) });
      };
      const dial = this.#dial(pool, broker, {
        opened: (connection) => {
          connection.reset();
          answer(undefined);
        },
        failed: answer,
      });
      const timer = setTimeout(() => {
        dial.cancel();
        answer({ code: "timeout", message: `${broker.name} did not answer within ${dialTimeoutMs} ms` });
      }, dialTimeoutMs);
    });
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#drain();
    return this.#stopping;
  }

  async #drain(): Promise<void> {
    const { log, configuration } = this.#options;
    const { drainTimeoutMs } = configuration.limits;
    this.#isDraining = true;
    await this.#closeListeners();
    log.info(EVENTS.drainStart, `stopping: no new clients, ${this.#sessions.size} sessions have ${drainTimeoutMs / 1000} s to end`);
    const why = fault("shutting_down", "sluice is stopping");
    for (const session of [...this.#sessions]) session.step({ type: "drain", fault: why });
    await this.#untilEmpty(drainTimeoutMs);
    await this.stopNow();
    log.info(EVENTS.drainEnd, "stopped");
  }

  async stopNow(): Promise<void> {
    this.#isDraining = true;
    await this.#closeListeners();
    const why = fault("shutting_down", "sluice was stopped before the session ended");
    for (const session of [...this.#sessions]) session.step({ type: "stop", fault: why });
    await this.#untilEmpty(STOP_NOW_MS);
    this.#stopTicking();
  }

  #untilEmpty(milliseconds: number): Promise<void> {
    if (this.#sessions.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      const before = this.#whenEmpty;
      this.#whenEmpty = () => {
        clearTimeout(timer);
        before?.();
        resolve();
      };
    });
  }

  async #closeListeners(): Promise<void> {
    const open = this.#listeners;
    this.#listeners = [];
    await Promise.all(open.map(({ listener }) => listener.close()));
  }
}

/** What affinity goes by: the client id, or the address of a client without one. */
function keyOf(session: Session): string {
  return session.clientId || session.client.remoteAddress;
}
