import type { Broker } from "../broker.ts";
import { rendezvous } from "./rendezvous.ts";
import type { Choice } from "./types.ts";

/** All clients of one address meet on one broker. */
export function address(brokers: readonly Broker[], choice: Choice): Broker[] {
  return rendezvous(brokers, choice.address || choice.key);
}
