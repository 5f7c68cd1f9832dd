import { address } from "./address.ts";
import { clientId } from "./client_id.ts";
import { first } from "./first.ts";
import { leastConnections } from "./least_connections.ts";
import { random } from "./random.ts";
import { roundRobin } from "./round_robin.ts";
import type { Balance } from "./types.ts";
import { username } from "./username.ts";

/** Every balancing algorithm under its name in the configuration. */
export const BALANCES = {
  round_robin: roundRobin,
  least_connections: leastConnections,
  random,
  client_id: clientId,
  username,
  address,
  first,
} as const satisfies Record<string, Balance>;

/** Those that give a client the same order every time. */
export const HASHING: ReadonlySet<Balance> = new Set([clientId, username, address]);
