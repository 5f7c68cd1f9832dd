import type { Broker } from "../broker.ts";

/** Smooth weighted round robin: with weights 5, 1, 1 the heavy one is not picked five times in a row. The rest follow by their turn. */
export function roundRobin(brokers: readonly Broker[]): Broker[] {
  let total = 0;
  for (const broker of brokers) {
    broker.current += broker.weight;
    total += broker.weight;
  }
  const order = [...brokers].sort((a, b) => b.current - a.current);
  (order[0] as Broker).current -= total;
  return order;
}
