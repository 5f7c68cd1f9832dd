import type { Broker } from "./broker.ts";

/**
 * Who serves everybody in a pool whose brokers know nothing of each other (`fail_over = "all"`): clients that are spread over two of them
 * would not hear each other. The first in the list that is good is elected; when it goes down or is taken out, all move to the next at once, and
 * back only after the better placed one has been good for a while, so that one that flaps does not drag everybody to and fro.
 */
export class Election {
  #elected: Broker;
  readonly #ranked: readonly Broker[];
  readonly #returnAfterMs: number;

  constructor(brokers: readonly Broker[], returnAfterMs: number) {
    this.#ranked = [...brokers.filter(({ isBackup }) => !isBackup), ...brokers.filter(({ isBackup }) => isBackup)];
    this.#elected = this.#ranked[0] as Broker;
    this.#returnAfterMs = returnAfterMs;
  }

  /** The broker of everybody from now on. While none is good it stays the one that it was. */
  elect(now: number): Broker {
    const better = this.#ranked.find((broker) => broker.state.isGood && this.#mayTakeOver(broker, now));
    if (better !== undefined) this.#elected = better;
    return this.#elected;
  }

  /** A better placed one has to wait while the elected is good; a worse placed one never comes before it in the list. */
  #mayTakeOver(broker: Broker, now: number): boolean {
    return broker === this.#elected || !this.#elected.state.isGood || now - broker.state.goodSince >= this.#returnAfterMs;
  }

  /** All brokers with the elected first: for the time when none is known to be good, and whoever answers is welcome. */
  order(now: number): Broker[] {
    const elected = this.elect(now);
    return [elected, ...this.#ranked.filter((broker) => broker !== elected)];
  }
}
