import { hashText, mix } from "../../lib/hash.ts";
import type { Broker } from "../broker.ts";

/**
 * Weighted rendezvous hashing: each key has its own fixed order of brokers, and when a broker goes only its keys move.
 * The score -weight / ln(u) with u uniform in (0, 1) gives each broker its weight's share.
 */
export function rendezvous(brokers: readonly Broker[], key: string): Broker[] {
  const hash = hashText(key);
  for (const broker of brokers) broker.score = score(hash, broker);
  return [...brokers].sort(byScore);
}

const byScore = (a: Broker, b: Broker) => b.score - a.score;

function score(hash: number, broker: Broker): number {
  const uniform = (mix(mix(hash ^ broker.hash) + broker.hash) + 0.5) / 4294967296;
  return -broker.weight / Math.log(uniform);
}
