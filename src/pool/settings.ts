import type { BrokerConfig, PoolConfig } from "../config/types.ts";

/** What a broker may be told beyond its address and weight. */
export interface BrokerSettings {
  /** Gets clients only while no other broker can take them. */
  readonly backup?: boolean | undefined;
  /** Sessions at once; undefined: no limit. A broker that has them all is passed over. */
  readonly sessionsMax?: number | undefined;
}

/** How a pool chooses, beyond its algorithm. Whatever is left out is off, or has the default below. */
export interface PoolSettings {
  /** For algorithms that hash: a broker with more than this many times its fair share is passed over. Above 1; 1.25 is a good one. */
  readonly loadMax?: number | undefined;
  /** How long the weight of a broker that came back grows to its full size; 0: at once. */
  readonly slowStartMs?: number | undefined;
  /** `each`: a client goes where there is room. `all`: one broker serves everybody, for brokers that know nothing of each other. */
  readonly failOver?: "each" | "all" | undefined;
  /** `all`: how long a better placed broker must have been good before everybody goes back to it; left out: they do at once. */
  readonly returnAfterMs?: number | undefined;
  /** Failures that clients meet in a row before a broker counts as down. */
  readonly failuresMax?: number | undefined;
  /** `session`: a client goes back to the broker that holds its MQTT session. */
  readonly affinity?: "none" | "session" | undefined;
  /** Clients whose broker is remembered; the one not seen for longest is forgotten first. */
  readonly affinityMax?: number | undefined;
  /** No client is remembered for longer after it left, whatever its session's expiry. */
  readonly affinityExpiryMaxMs?: number | undefined;
}

/** A pool's configuration with all that the pool reads from it. */
export type PoolOptions = Omit<PoolConfig, "brokers"> & PoolSettings & { readonly brokers: readonly (BrokerConfig & BrokerSettings)[] };

/** Slow start begins with this part of the weight: less, and a broker stays without the clients that prove it well. */
export const WARM_LEAST = 0.1;

/** One refused dial is enough where one client moves. Where everybody moves, one lost packet must not do it. */
export const FAILURES_MAX = { each: 1, all: 3 } as const;

/** About 20 MB when full of common client ids. */
export const AFFINITY_MAX = 100_000;

/** A week: brokers' own limits are hours to days, and a session that nobody came for since is worth little. */
export const AFFINITY_EXPIRY_MAX_MS = 604_800_000;
