import type { Broker } from "../broker.ts";

/** As configured: the first takes everybody until it is down or full, then the next. */
export function first(brokers: readonly Broker[]): readonly Broker[] {
  return brokers;
}
