import type { Log } from "../observe/log.ts";
import type { Broker } from "../pool/broker.ts";
import type { Pool } from "../pool/pool.ts";
import type { Dial, DialHandler, System } from "../runtime/types.ts";
import type { Session } from "../session/session.ts";
import type { Tunnel } from "../session/tunnel.ts";
import type { Evictions } from "./evictions.ts";
import type { Rebalancing } from "./rebalancing.ts";
import type { SessionClearing } from "./session_clearing.ts";
import { connectAtBrokers, idAtBrokers } from "./session_keys.ts";

export interface MovementsOptions {
  readonly pools: readonly Pool[];
  readonly sessions: ReadonlySet<Session>;
  readonly tunnels: () => Iterable<Tunnel>;
  readonly system: System;
  readonly log: Log;
  readonly dial: (broker: Broker, handler: DialHandler) => Dial;
  readonly internalError: (thrown: unknown) => void;
}

/** All that sends open sessions elsewhere, or tidies up behind them; each is loaded where the configuration asks for it, or the operator does. */
export class Movements {
  readonly #options: MovementsOptions;
  #evictions: Evictions | undefined = undefined;
  #rebalancing: Rebalancing | undefined = undefined;
  #clearing: SessionClearing | undefined = undefined;
  #isClosed = false;

  constructor(options: MovementsOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { pools, sessions, system, log, dial } = this.#options;
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
    if (broker.state.admin === "maint") this.takeOut(broker);
  }

  wentDown(broker: Broker): void {
    this.#evictions?.wentDown(broker);
  }

  takeOut(broker: Broker): void {
    this.#loadEvictions().then((evictions) => {
      if (broker.state.admin === "maint" && !this.#isClosed) evictions.takenOut(broker);
    }, this.#options.internalError);
  }

  putBack(broker: Broker): void {
    this.#evictions?.putBack(broker);
  }

  async #loadEvictions(): Promise<Evictions> {
    const { Evictions } = await import("./evictions.ts");
    const { pools, sessions, tunnels, system } = this.#options;
    return (this.#evictions ??= new Evictions({ pools, guests: () => [...sessions, ...tunnels()], now: () => system.now() }));
  }
}
