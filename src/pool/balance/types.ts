import type { Broker } from "../broker.ts";

/** What an order may depend on. */
export interface Choice {
  /** The client id, or the client's address where the id is empty. */
  readonly key: string;
  /** As the client gave it; where it gave none, it goes by its key. */
  readonly username?: string | undefined;
  /** The client's own, behind every proxy, without a port. */
  readonly address?: string | undefined;
  /** The broker that holds its MQTT session: it comes first while it lives, also when it is being drained. */
  readonly preferred?: Broker | undefined;
  /** In [0, 1). */
  random(): number;
}

/** A balancing algorithm: all brokers, best first. It may keep its running state in the brokers, and never changes the list that it is given. */
export type Balance = (brokers: readonly Broker[], choice: Choice) => readonly Broker[];
