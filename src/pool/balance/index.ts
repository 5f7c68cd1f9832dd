import { clientId } from "./client_id.ts";
import { leastConnections } from "./least_connections.ts";
import { random } from "./random.ts";
import { roundRobin } from "./round_robin.ts";
import type { Balance } from "./types.ts";

/** Every balancing algorithm under its name in the configuration. */
export const BALANCES = {
  round_robin: roundRobin,
  least_connections: leastConnections,
  random,
  client_id: clientId,
} as const satisfies Record<string, Balance>;
