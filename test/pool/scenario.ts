import { HEALTH_DEFAULTS, type HealthSettings } from "../../src/pool/health.ts";
import type { PoolSettings } from "../../src/pool/settings.ts";
import type { SeededRandom } from "../support/seed.ts";
import type { Algorithm, Given } from "./pools.ts";

/** What one seed plays: which algorithm, which brokers, and what is switched on. */
export interface Scenario {
  readonly clients: number;
  readonly balance: Algorithm;
  readonly brokers: Readonly<Record<string, Given>>;
  readonly primaries: number;
  /** Sessions that each broker may have, for those that have a limit. */
  readonly caps: Readonly<Record<string, number>>;
  readonly settings: PoolSettings;
  readonly hasProbes: boolean;
  readonly health: HealthSettings;
}

const ALGORITHMS: readonly Algorithm[] = ["round_robin", "least_connections", "random", "client_id", "username", "address", "first"];
export const HASHING: ReadonlySet<Algorithm> = new Set(["client_id", "username", "address"]);

/** No broker has less than a quarter: of 10,000 clients that is 2,500 give or take 43, so a tenth is far beyond chance. */
const WEIGHTS: readonly (readonly number[])[] = [[1, 1], [2, 1], [3, 1], [1, 3], [1, 1, 1], [2, 1, 1], [1, 1, 2], [1, 1, 1, 1]];

export const drawWeights = (random: SeededRandom, count: number) => random.pick(WEIGHTS.filter(({ length }) => length === count));

export function drawScenario(random: SeededRandom, clients: number): Scenario {
  const balance = random.pick(ALGORITHMS);
  const failOver = random.chance(0.2) ? "all" : "each";
  const weights = random.pick(WEIGHTS);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const isCapped = failOver === "each" && random.chance(0.3);
  const host = () => `10.${random.integer(0, 255)}.${random.integer(0, 255)}`;
  const names = weights.map((_, index) => `${host()}.${index}:1883`);
  const caps: Record<string, number> = {};
  const brokers: Record<string, Given> = {};
  for (const [index, name] of names.entries()) {
    const weight = weights[index] as number;
    if (isCapped) caps[name] = Math.ceil((1.4 * clients * weight) / total);
    brokers[name] = { weight, ...(isCapped && { sessionsMax: caps[name] }) };
  }
  for (let count = random.pick([0, 0, 1, 2]); count > 0; count--) brokers[`${host()}.${count + 10}:1883`] = { weight: random.integer(1, 9), backup: true };
  return {
    clients, balance, brokers, primaries: names.length, caps,
    settings: {
      failOver,
      returnAfterMs: 15_000,
      affinity: failOver === "each" && random.chance(0.4) ? "session" : "none",
      ...(HASHING.has(balance) && random.chance(0.3) && { loadMax: 1.25 }),
      ...(random.chance(0.3) && { slowStartMs: 10_000 }),
    },
    hasProbes: failOver === "all" || random.chance(0.7),
    health: { ...HEALTH_DEFAULTS, intervalMs: 4_000, rise: random.integer(1, 3), fall: random.integer(1, 3) },
  };
}
