import type { BalanceName } from "../config/types.ts";
import type { Choice } from "./balance/types.ts";
import type { Pool } from "./pool.ts";

/**
 * What put a client on its broker: the pool's algorithm by its name in the configuration, or what came before it. A stable word, which the log
 * calls `decided_by`.
 */
export type Reason = BalanceName | "only_broker" | "affinity" | "elected" | "backup" | "load_max" | "last_resort" | "redirect" | "fail_over";

/** The key that an algorithm hashes for this client, and what it is. */
function hashed({ config: { balance } }: Pool, { key, username, address }: Choice, clientId: string): string {
  const shown = (what: string, text: string) => `the hash of the ${what} ${JSON.stringify(text)}`;
  if (balance === "username" && username) return shown("user name", username);
  if (balance === "address" && address) return shown("address", address);
  const instead = balance === "client_id" ? "" : `, for it has no ${balance === "username" ? "user name" : "address"}`;
  return clientId === "" ? `${shown("address", key)}, for it has no client id` : `${shown("client id", key)}${instead}`;
}

const WORDS: Readonly<Record<Exclude<Reason, "client_id" | "username" | "address">, string>> = {
  round_robin: "whose turn it is; a proxy that has just started begins so",
  least_connections: "the fewest sessions for its weight; a proxy that has just started has none, so it is whose turn it is",
  random: "two are drawn by weight, and the less loaded one is taken: another time it may be another one",
  first: "the first of the list that takes clients",
  only_broker: "there is no other one",
  affinity: "it holds the client's MQTT session",
  elected: 'fail_over = "all": one broker serves everybody, the first of the list while it is well',
  backup: "no broker but backups takes clients",
  load_max: "the one that the hash names has more than its share",
  last_resort: "all are down, and all are tried",
  redirect: "another broker has sent the client there",
  fail_over: "those before it did not answer",
};

/** In words, for a client with this id. */
export function explain(reason: Reason, pool: Pool, choice: Choice, clientId: string): string {
  return reason === "client_id" || reason === "username" || reason === "address" ? hashed(pool, choice, clientId) : WORDS[reason];
}
