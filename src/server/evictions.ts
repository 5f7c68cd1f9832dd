import { TICK_MS, type Timed, type TimerWheel } from "../lib/timer_wheel.ts";
import { type Fault, fault } from "../mqtt/fault.ts";
import type { Broker } from "../pool/broker.ts";
import { dueWithin } from "../pool/pacing.ts";
import type { Pool } from "../pool/pool.ts";
import type { Session } from "../session/session.ts";
import type { Tunnel } from "../session/tunnel.ts";

/** How often it is looked whether everybody has to move, where one broker serves all. */
export const LOOK_EVERY_MS = 500;

/** Who can be on a broker. TLS that is passed through cannot be told anything. */
type Guest = Session | Tunnel;

export interface EvictionsOptions {
  readonly pools: readonly Pool[];
  readonly guests: () => Iterable<Guest>;
  readonly wheel: TimerWheel;
}

interface Eviction {
  /** Those whose turn has not come yet, in its order. */
  readonly guests: Guest[];
  readonly total: number;
  readonly since: number;
  readonly windowMs: number;
}

/** Closes the sessions of brokers that went down or were taken out, or that are not the one for everybody any more, not all at once: their clients come back. */
export class Evictions implements Timed {
  readonly #options: EvictionsOptions;
  /** Pools in which one broker serves everybody. */
  readonly #shared: readonly Pool[];
  #evictions: Eviction[] = [];
  #lookAt = 0;
  timerSlot: Timed["timerSlot"] = undefined;
  timerNext: Timed | undefined = undefined;
  timerPrevious: Timed | undefined = undefined;
  timerTick = 0;

  constructor(options: EvictionsOptions) {
    this.#options = options;
    this.#shared = options.pools.filter(({ config }) => config.failOver === "all");
    this.#await();
  }

  close(): void {
    this.#options.wheel.clear(this);
  }

  /**
   * The broker went down, or the operator wants it empty. Whoever gets there all the same, because it was chosen before, is found when this is
   * called again.
   */
  empty(broker: Broker): void {
    this.#evict((guest) => guest.chosen === broker, broker.pool);
  }

  expired(): void {
    const { now } = this.#options.wheel;
    if (now >= this.#lookAt) {
      this.#lookAt = now + LOOK_EVERY_MS;
      for (const pool of this.#shared) this.#gather(pool, now);
    }
    for (const { guests, ...spread } of this.#evictions) {
      for (const guest of guests.splice(0, dueWithin({ ...spread, done: spread.total - guests.length }, now))) this.#takeTurn(guest);
    }
    this.#evictions = this.#evictions.filter(({ guests }) => guests.length > 0);
    this.#await();
  }

  #await(): void {
    if (this.#shared.length + this.#evictions.length > 0 && this.timerSlot === undefined) this.#options.wheel.set(this, TICK_MS);
  }

  /** Everybody goes to the elected broker, as soon as it can take them. */
  #gather(pool: Pool, now: number): void {
    const elected = pool.elected(now);
    if (elected?.state.isGood) this.#evict((guest) => guest.pool === pool && guest.chosen !== elected, pool.config);
  }

  #evict(belongs: (guest: Guest) => boolean, { evictWithinMs: windowMs = 0 }: Pool["config"]): void {
    const underWay = new Set(this.#evictions.flatMap(({ guests }) => guests));
    const guests = [...this.#options.guests()].filter((guest) => guest.isOpen && belongs(guest) && !underWay.has(guest));
    if (guests.length === 0) return;
    this.#evictions.push({ guests, total: guests.length, since: this.#options.wheel.now, windowMs });
    this.#await();
  }

  /** It is asked now, and not when the eviction began, whether the guest has to go: who may stay meanwhile stays. */
  #takeTurn(guest: Guest): void {
    const why = this.#reasonAgainst(guest);
    if (why === undefined) return;
    if ("machine" in guest) guest.step({ type: "leave", fault: why });
    else guest.end(why);
  }

  /** Why a guest may not be where it is. undefined: it may, or it has left by itself. */
  #reasonAgainst({ chosen, pool }: Guest): Fault | undefined {
    if (chosen === undefined) return undefined;
    if (chosen.state.admin === "maint") return fault("broker_maintenance", `${chosen.name} is in maint`);
    if (chosen.isProbedDown) return fault("broker_down", `${chosen.name} is down`);
    const elected = pool.elected(this.#options.wheel.now);
    return elected?.state.isGood && elected !== chosen ? fault("broker_moved", `everybody moves to ${elected.name}`) : undefined;
  }
}
