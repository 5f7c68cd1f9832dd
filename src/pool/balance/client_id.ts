import { hashText, mix } from "../../lib/hash.ts";
import type { Broker } from "../broker.ts";
import type { Choice } from "./types.ts";

/**
 * Weighted rendezvous hashing: each client has its own fixed order of brokers, and when a broker goes only its clients move.
 * The score -weight / ln(u) with u uniform in (0, 1) gives each broker its weight's share.
 */
export function clientId(brokers: readonly Broker[], choice: Choice): Broker[] {
  const key = hashText(choice.key);
  const scores = new Map(brokers.map((broker) => [broker, score(key, broker)]));
  return [...brokers].sort((a, b) => (scores.get(b) as number) - (scores.get(a) as number));
}

function score(key: number, broker: Broker): number {
  const uniform = (mix(mix(key ^ broker.hash) + broker.hash) + 0.5) / 4294967296;
  return -broker.weight / Math.log(uniform);
}
