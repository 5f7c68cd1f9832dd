import type { Broker } from "../broker.ts";

/**
 * Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam 2016): a broker that would have more than `loadMax` times its
 * fair share of the sessions is passed over to the next in the order of the hash. It stays in the order, behind the others.
 */
export function withinBound(order: readonly Broker[], loadMax: number): readonly Broker[] {
  let sessions = 1; // the one that comes
  let weight = 0;
  for (const broker of order) {
    sessions += broker.sessions;
    weight += broker.weight;
  }
  const perWeight = (loadMax * sessions) / weight;
  const isFull = (broker: Broker) => broker.sessions >= Math.ceil(perWeight * broker.weight);
  if (!order.some(isFull)) return order;
  return [...order.filter((broker) => !isFull(broker)), ...order.filter(isFull)];
}
