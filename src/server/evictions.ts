import { type Fault, fault } from "../mqtt/fault.ts";
import type { Broker } from "../pool/broker.ts";
import type { Pool } from "../pool/pool.ts";
import type { Session } from "../session/session.ts";
import type { Tunnel } from "../session/tunnel.ts";

const TICK_MS = 100;
/** How often it is looked whether everybody has to move, where one broker serves all. */
const LOOK_EVERY_MS = 500;
const EVICT_WITHIN_MS = 5_000;

/** Who can be on a broker. TLS that is passed through cannot be told anything. */
type Guest = Session | Tunnel;

export interface EvictionsOptions {
  readonly pools: readonly Pool[];
  readonly guests: () => Iterable<Guest>;
  readonly now: () => number;
}

interface Eviction {
  readonly guests: Guest[];
  readonly fault: Fault;
  /** How many of them go with each tick. */
  readonly perTick: number;
}

/** Closes the sessions of brokers that went down or were taken out, or that are not the one for everybody any more, not all at once: their clients come back. */
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
    this.#evict((guest) => guest.chosen === broker, broker.pool.evictWithinMs, fault("broker_down", `${broker.name} is down`));
  }

  /** The operator wants it empty. Whoever gets there all the same, because it was chosen before, is found when this is called again. */
  takenOut(broker: Broker): void {
    this.#evict((guest) => guest.chosen === broker, broker.pool.evictWithinMs, fault("broker_maintenance", `${broker.name} is in maint`));
  }

  /** The operator thought better of it: who is still there may stay. */
  putBack(broker: Broker): void {
    for (const { guests, fault: { code } } of this.#evictions) {
      if (code === "broker_maintenance") guests.splice(0, Infinity, ...guests.filter(({ chosen }) => chosen !== broker));
    }
  }

  /** Everybody goes to the elected broker, as soon as it can take them. */
  #gather(pool: Pool): void {
    const elected = pool.elected(this.#options.now());
    if (elected === undefined || !elected.state.isGood) return;
    const isElsewhere = (guest: Guest) => guest.pool === pool && guest.chosen !== undefined && guest.chosen !== elected;
    this.#evict(isElsewhere, pool.config.evictWithinMs, fault("broker_moved", `everybody moves to ${elected.name}`));
  }

  #evict(belongs: (guest: Guest) => boolean, withinMs = EVICT_WITHIN_MS, why: Fault): void {
    const underWay = new Set(this.#evictions.flatMap(({ guests }) => guests));
    const guests = [...this.#options.guests()].filter((guest) => guest.isOpen && belongs(guest) && !underWay.has(guest));
    if (guests.length === 0) return;
    this.#evictions.push({ guests, fault: why, perTick: Math.ceil((guests.length * TICK_MS) / withinMs) });
    this.#ticking ??= setInterval(() => this.#tick(), TICK_MS);
  }

  #tick(): void {
    for (const { guests, fault: why, perTick } of this.#evictions) {
      for (const guest of guests.splice(0, perTick)) {
        if ("machine" in guest) guest.step({ type: "leave", fault: why });
        else guest.end(why);
      }
    }
    this.#evictions = this.#evictions.filter(({ guests }) => guests.length > 0);
    if (this.#evictions.length > 0) return;
    clearInterval(this.#ticking);
    this.#ticking = undefined;
  }
}
