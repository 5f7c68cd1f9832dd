import type { TimerWheel } from "../lib/timer_wheel.ts";
import type { Log } from "../observe/log.ts";
import type { Broker } from "../pool/broker.ts";
import type { Pool } from "../pool/pool.ts";
import type { Dial, DialHandler, System } from "../runtime/types.ts";
import { connectAtBrokers } from "../session/handshake.ts";
import type { Session } from "../session/session.ts";
import type { Tunnel } from "../session/tunnel.ts";
import { changeBroker, describeBroker, findBroker } from "./broker_admin.ts";
import type { Evictions } from "./evictions.ts";
import type { Rebalancing } from "./rebalancing.ts";
import type { SessionClearing } from "./session_clearing.ts";
import { idAtBrokers } from "./session_keys.ts";
import type { BrokerChange, BrokerInfo } from "./types.ts";

export interface MovementsOptions {
  readonly pools: ReadonlyMap<string, Pool>;
  readonly sessions: Iterable<Session>;
  readonly tunnels: () => Iterable<Tunnel>;
  readonly system: System;
  readonly wheel: TimerWheel;
  readonly log: Log;
  readonly dial: (broker: Broker, handler: DialHandler) => Dial;
  readonly internalError: (thrown: unknown) => void;
}

/** What the operator says of brokers, and all that sends open sessions elsewhere or tidies up behind them. Each is loaded where the configuration asks for it, or the operator does. */
export class Movements {
  readonly #options: MovementsOptions;
  readonly #pools: readonly Pool[];
  readonly #startedAt: number;
  #evictions: Evictions | undefined = undefined;
  #rebalancing: Rebalancing | undefined = undefined;
  #clearing: SessionClearing | undefined = undefined;
  #isClosed = false;

  constructor(options: MovementsOptions) {
    this.#options = options;
    this.#pools = [...options.pools.values()];
    this.#startedAt = options.system.now();
  }

  get brokers(): readonly BrokerInfo[] {
    return this.#pools.flatMap(({ brokers }) => brokers.map((broker) => describeBroker(broker, this.#startedAt, this.#options.system)));
  }

  /** Throws a RangeError for what does not exist or cannot be. */
  change(pool: string, name: string, change: BrokerChange): void {
    const { pools, system, log } = this.#options;
    const broker = findBroker(pools, pool, name);
    if (!changeBroker(broker, change, system.now(), log)) return;
    if (change.state === "maint") this.#takeOut(broker);
  }

  async start(): Promise<void> {
    const { sessions, system, log, dial } = this.#options;
    const pools = this.#pools;
    if (pools.some(({ config }) => config.health !== undefined || config.failOver === "all")) await this.#loadEvictions();
    const rebalanced = pools.filter(({ config }) => config.rebalance !== undefined);
    if (rebalanced.length > 0) {
      const { Rebalancing } = await import("./rebalancing.ts");
      this.#rebalancing = new Rebalancing({ pools: rebalanced, sessions, now: () => system.now(), random: () => system.random() });
    }
    if (!pools.some(({ config }) => config.clearSessions)) return;
    const { SessionClearing } = await import("./session_clearing.ts");
    this.#clearing = new SessionClearing({ system, log, dial });
  }

  close(): void {
    this.#isClosed = true;
    this.#evictions?.close();
    this.#rebalancing?.close();
    this.#clearing?.stop();
  }

  dialing(session: Session, broker: Broker): void {
    this.#clearing?.yieldTo(idAtBrokers(session), broker);
  }

  /** CONNACK with success was passed on. `left`: where an older MQTT session of the client is to be ended. */
  opened(session: Session, left: Broker | undefined): void {
    if (left !== undefined) this.#clearing?.clear(connectAtBrokers(session), left);
    this.#rebalancing?.opened(session);
    this.reached(session.chosen as Broker);
  }

  /** Whoever was on its way to a broker when that was taken out is found now. */
  reached(broker: Broker): void {
    if (broker.state.admin === "maint") this.#takeOut(broker);
  }

  wentDown(broker: Broker): void {
    this.#evictions?.empty(broker);
  }

  #takeOut(broker: Broker): void {
    this.#loadEvictions().then((evictions) => {
      if (broker.state.admin === "maint" && !this.#isClosed) evictions.empty(broker);
    }, this.#options.internalError);
  }

  async #loadEvictions(): Promise<Evictions> {
    const { Evictions } = await import("./evictions.ts");
    const { sessions, tunnels, wheel } = this.#options;
    return (this.#evictions ??= new Evictions({ pools: this.#pools, guests: () => [...sessions, ...tunnels()], wheel }));
  }
}
