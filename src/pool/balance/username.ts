import type { Broker } from "../broker.ts";
import { rendezvous } from "./rendezvous.ts";
import type { Choice } from "./types.ts";

/** All clients of a user meet on one broker. Those without a name go by their own key: together they would be too many for one. */
export function username(brokers: readonly Broker[], choice: Choice): Broker[] {
  return rendezvous(brokers, choice.username || choice.key);
}
