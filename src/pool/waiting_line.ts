import type { Broker } from "./broker.ts";

export interface WaitingLimits {
  /** More are turned away at once: the line is for a short crowd, not for a flood. */
  readonly waitersMax: number;
  /** How long one waits before it is turned away, in milliseconds. */
  readonly waitMs: number;
}

interface Place {
  /** The only broker that will do; undefined: any. */
  readonly only: Broker | undefined;
  readonly until: number;
}

/** Clients that wait because every broker has all the sessions it may have, or had its rate. First come, first served; bounded in number and in time. */
export class WaitingLine<Waiter extends object> {
  readonly #limits: WaitingLimits;
  /** In the order of coming, which is that of the deadlines too. */
  readonly #places = new Map<Waiter, Place>();

  constructor(limits: WaitingLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#places.size;
  }

  /** Answers false when the line is full: this one is turned away. */
  join(waiter: Waiter, now: number, only?: Broker): boolean {
    if (this.#places.size >= this.#limits.waitersMax) return false;
    this.#places.set(waiter, { only, until: now + this.#limits.waitMs });
    return true;
  }

  /** It gave up or went away; harmless for one that does not wait. */
  leave(waiter: Waiter): void {
    this.#places.delete(waiter);
  }

  /** Takes out and answers the first in the line for whom `serves` says yes: from then on it counts at its broker, before the next is asked for. */
  next(serves: (waiter: Waiter, only: Broker | undefined) => boolean): Waiter | undefined {
    for (const [waiter, { only }] of this.#places) {
      if (!serves(waiter, only)) continue;
      this.#places.delete(waiter);
      return waiter;
    }
    return undefined;
  }

  /** Takes out all who waited too long, in their order. */
  expire(now: number): Waiter[] {
    const late: Waiter[] = [];
    for (const [waiter, { until }] of this.#places) {
      if (until > now) break;
      this.#places.delete(waiter);
      late.push(waiter);
    }
    return late;
  }
}
