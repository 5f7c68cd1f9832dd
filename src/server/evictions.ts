import { type Fault, fault } from "../mqtt/fault.ts";
import type { Broker } from "../pool/broker.ts";
import type { Pool } from "../pool/pool.ts";
import type { Session } from "../session/session.ts";

const TICK_MS = 100;
/** How often it is looked whether everybody has to move, where one broker serves all. */
const LOOK_EVERY_MS = 500;
const EVICT_WITHIN_MS = 5_000;

export interface EvictionsOptions {
  readonly pools: readonly Pool[];
  readonly sessions: ReadonlySet<Session>;
  readonly now: () => number;
}

interface Eviction {
  readonly sessions: Session[];
  readonly fault: Fault;
  /** How many of them go with each tick. */
  readonly perTick: number;
}

/** Closes the sessions of brokers that went down, or that are not the one for everybody any more, not all at once: their clients come back. */
export class Evictions {
  readonly #options: EvictionsOptions;
  #evictions: Eviction[] = [];
  #ticking: ReturnType<typeof setInterval> | undefined = undefined;
  readonly #looking: ReturnType<typeof setInterval> | undefined;

  constructor(options: EvictionsOptions) {
    this.#options = options;
    const shared = options.pools.filter(({ config }) => config.failOver === "all");
    if (shared.length === 0) return;
    this.#looking = setInterval(() => {
      for (const pool of shared) this.#gather(pool);
    }, LOOK_EVERY_MS);
    (this.#looking as { unref?: () => void }).unref?.();
  }

  close(): void {
    clearInterval(this.#looking);
    clearInterval(this.#ticking);
  }

  wentDown(broker: Broker): void {
    this.#evict((session) => session.chosen === broker, broker.pool.evictWithinMs, fault("broker_down", `${broker.name} is down`));
  }

  /** Everybody goes to the elected broker, as soon as it can take them. */
  #gather(pool: Pool): void {
    const elected = pool.elected(this.#options.now());
    if (elected === undefined || !elected.state.isGood) return;
    const isElsewhere = (session: Session) => session.pool === pool && session.chosen !== undefined && session.chosen !== elected;
    this.#evict(isElsewhere, pool.config.evictWithinMs, fault("broker_moved", `everybody moves to ${elected.name}`));
  }

  #evict(belongs: (session: Session) => boolean, withinMs = EVICT_WITHIN_MS, why: Fault): void {
    const underWay = new Set(this.#evictions.flatMap(({ sessions }) => sessions));
    const sessions = [...this.#options.sessions].filter((session) => session.isOpen && belongs(session) && !underWay.has(session));
    if (sessions.length === 0) return;
    this.#evictions.push({ sessions, fault: why, perTick: Math.ceil((sessions.length * TICK_MS) / withinMs) });
    this.#ticking ??= setInterval(() => this.#tick(), TICK_MS);
  }

  #tick(): void {
    for (const { sessions, fault: why, perTick } of this.#evictions) {
      for (const session of sessions.splice(0, perTick)) session.step({ type: "violated", fault: why });
    }
    this.#evictions = this.#evictions.filter(({ sessions }) => sessions.length > 0);
    if (this.#evictions.length > 0) return;
    clearInterval(this.#ticking);
    this.#ticking = undefined;
  }
}
