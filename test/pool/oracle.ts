import assert from "node:assert/strict";
import type { AdminState, HealthState } from "../../src/pool/broker_state.ts";
import { type Broker, REST_MS } from "../../src/pool/broker.ts";
import type { Pool } from "../../src/pool/pool.ts";

/** What is known of one broker, kept by the simulation itself: nothing of it is read from what is tested. */
class Known {
  admin: AdminState = "ready";
  probed: HealthState = "up";
  failures = 0;
  restUntil = 0;
  sessions = 0;
  sessionsMax = Infinity;
  wasGood = true;
  goodSince = -Infinity;
}

export interface Rules {
  readonly failuresMax: number;
  readonly returnAfterMs: number;
}

/** Judges every order and every choice of a pool by the rules, as a second bookkeeper. It fails by hand: the words of millions of assertions that hold would cost more than the rest. */
export class Oracle {
  readonly #pool: Pool;
  readonly #rules: Rules;
  readonly #known: ReadonlyMap<Broker, Known>;
  #elected: Broker | undefined = undefined;

  constructor(pool: Pool, rules: Rules) {
    this.#pool = pool;
    this.#rules = rules;
    this.#known = new Map(pool.brokers.map((broker) => [broker, new Known()]));
  }

  of(broker: Broker): Known {
    return this.#known.get(broker) as Known;
  }

  setAdmin(broker: Broker, to: AdminState, now: number): void {
    this.of(broker).admin = to;
    this.#noteGood(broker, now);
  }

  failed(broker: Broker, now: number): void {
    const known = this.of(broker);
    known.failures++;
    known.restUntil = now + REST_MS;
    this.#noteGood(broker, now);
  }

  succeeded(broker: Broker, now: number): void {
    this.of(broker).failures = 0;
    this.#noteGood(broker, now);
  }

  probed(broker: Broker, to: HealthState, now: number): void {
    const known = this.of(broker);
    known.probed = to;
    if (to === "up") known.failures = 0;
    this.#noteGood(broker, now);
  }

  #noteGood(broker: Broker, now: number): void {
    const known = this.of(broker);
    const isGood = this.isGood(broker);
    if (isGood && !known.wasGood) known.goodSince = now;
    known.wasGood = isGood;
  }

  isGood(broker: Broker): boolean {
    const { admin, probed, failures } = this.of(broker);
    return admin === "ready" && probed === "up" && failures < this.#rules.failuresMax;
  }

  isDown(broker: Broker, now: number): boolean {
    const known = this.of(broker);
    return known.probed !== "up" || (known.failures >= this.#rules.failuresMax && now < known.restUntil);
  }

  admits(broker: Broker, preferred: Broker | undefined): boolean {
    const { admin } = this.of(broker);
    return admin === "ready" || (admin === "drain" && preferred === broker);
  }

  hasRoom(broker: Broker): boolean {
    const { sessions, sessionsMax } = this.of(broker);
    return sessions < sessionsMax;
  }

  /** Nobody in it who is full or taken out; nobody found down unless all are; nobody who rests before one who does not, no backup before another. */
  checkOrder(order: readonly Broker[], preferred: Broker | undefined, now: number): void {
    const anyUp = this.#pool.brokers.some((broker) => this.admits(broker, preferred) && !this.isDown(broker, now));
    let rank = 0;
    for (const broker of order) {
      if (!this.admits(broker, preferred)) assert.fail(`${broker.name} in an order is in ${this.of(broker).admin}`);
      if (!this.hasRoom(broker)) assert.fail(`${broker.name} in an order is full`);
      if (anyUp && this.of(broker).probed !== "up") assert.fail(`${broker.name} in an order is down, and another is up`);
      if (broker === preferred) continue; // before the others of its kind
      const next = (anyUp && this.isDown(broker, now) ? 2 : 0) + (broker.isBackup ? 1 : 0);
      if (next < rank) assert.fail(`${broker.name} comes too late in the order`);
      rank = next;
    }
    if (order.length === 0) return this.#checkNone(preferred, now);
    const first = order[0] as Broker;
    if (preferred !== undefined && this.admits(preferred, preferred) && this.hasRoom(preferred) && !this.isDown(preferred, now)) assert.equal(first, preferred, "the client's own broker is passed over");
    const known = this.of(first);
    if (known.failures >= this.#rules.failuresMax) known.restUntil = now + REST_MS; // this client is the trial
  }

  #checkNone(preferred: Broker | undefined, now: number): void {
    const admitted = this.#pool.brokers.filter((broker) => this.admits(broker, preferred));
    const up = admitted.filter((broker) => !this.isDown(broker, now));
    const usable = (up.length > 0 ? up : admitted).find((broker) => this.hasRoom(broker));
    assert.equal(usable, undefined, `nobody is to be tried, but ${usable?.name} would do`);
  }

  /** Where one serves everybody: a good one if there is any, alone, and another than before only for a reason. */
  checkElected(elected: Broker, order: readonly Broker[], now: number): void {
    if (this.isGood(elected) ? order.length > 1 || (order[0] ?? elected) !== elected : this.#pool.brokers.some((broker) => this.isGood(broker))) assert.fail(`${elected.name} is not the one for everybody`);
    const before = this.#elected ?? (this.#pool.brokers.find(({ isBackup }) => !isBackup) as Broker);
    this.#elected = elected;
    if (before === elected || !this.isGood(before)) return;
    if (now - this.of(elected).goodSince < this.#rules.returnAfterMs) assert.fail(`all leave ${before.name} for ${elected.name}, which is good for ${now - this.of(elected).goodSince} ms`);
  }

  /** The moment in which a client is sent to a broker. */
  checkChosen(broker: Broker, preferred: Broker | undefined, now: number): void {
    if (!this.admits(broker, preferred)) assert.fail(`a client goes to ${broker.name}, which is in ${this.of(broker).admin}`);
    if (!this.hasRoom(broker)) assert.fail(`a client goes to ${broker.name}, which is full`);
    if (this.#elected !== undefined && this.isGood(this.#elected) && broker !== this.#elected) assert.fail(`a client goes to ${broker.name}, and ${this.#elected.name} serves everybody`);
    if (this.of(broker).probed === "up") return;
    const better = this.#pool.brokers.find((other) => this.admits(other, preferred) && !this.isDown(other, now));
    if (better !== undefined) assert.fail(`a client goes to ${broker.name}, which is down, and ${better.name} is up`);
  }
}
