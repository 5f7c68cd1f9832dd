import type { Broker } from "../broker.ts";

/** What an order may depend on. */
export interface Choice {
  /** The client id, or the client's address where the id is empty. */
  readonly key: string;
  /** In [0, 1). */
  random(): number;
}

/** A balancing algorithm: all brokers, best first. It may keep its running state in the brokers. */
export type Balance = (brokers: readonly Broker[], choice: Choice) => Broker[];
