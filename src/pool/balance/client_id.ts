import type { Broker } from "../broker.ts";
import { rendezvous } from "./rendezvous.ts";
import type { Choice } from "./types.ts";

/** A client always meets the same broker. */
export function clientId(brokers: readonly Broker[], choice: Choice): Broker[] {
  return rendezvous(brokers, choice.key);
}
