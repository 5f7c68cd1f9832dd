import type { PoolConfig } from "../config/types.ts";
import { BALANCES } from "./balance/index.ts";
import type { Balance, Choice } from "./balance/types.ts";
import { Broker } from "./broker.ts";

/** A named set of brokers that can stand in for each other. */
export class Pool {
  readonly name: string;
  readonly config: PoolConfig;
  readonly brokers: readonly Broker[];
  readonly #balance: Balance;

  constructor(config: PoolConfig) {
    this.name = config.name;
    this.config = config;
    this.brokers = config.brokers.map((broker) => new Broker(broker, config));
    this.#balance = BALANCES[config.balance];
  }

  /** Every broker, in the order in which a client should try them: the balancer's, with those that just failed behind the others. */
  order(choice: Choice, now: number): readonly Broker[] {
    if (this.brokers.length === 1) return this.brokers;
    const order = this.#balance(this.brokers, choice);
    if (order.every((broker) => broker.failures === 0)) return order;
    const ready = order.filter((broker) => !broker.isResting(now));
    ready[0]?.takeTrial(now);
    return [...ready, ...order.filter((broker) => !ready.includes(broker))];
  }
}
