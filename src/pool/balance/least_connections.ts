import type { Broker } from "../broker.ts";
import { roundRobin } from "./round_robin.ts";

/** Fewest sessions for its weight first; equals take turns. */
export function leastConnections(brokers: readonly Broker[]): Broker[] {
  return roundRobin(brokers).sort((a, b) => a.sessions / a.weight - b.sessions / b.weight);
}
