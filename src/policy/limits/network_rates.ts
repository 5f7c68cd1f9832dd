import { LruMap } from "../../lib/lru_map.ts";
import { type BucketRate, fullAfterTaking, hasToken } from "../../lib/token_bucket.ts";

/** How many networks are remembered, about 1.5 MB. Whoever can come from more than these has a full bucket again for each that was forgotten. */
export const NETWORKS_MAX = 10_000;

/** A token bucket for each source network. Strangers cannot make it grow: the one not heard of for longest goes first. */
export class NetworkRates {
  readonly #rate: BucketRate;
  /** When each bucket is full again; one that is not in here is full. */
  readonly #fullAt = new LruMap<string, number>(NETWORKS_MAX);

  constructor(rate: BucketRate) {
    this.#rate = rate;
  }

  get size(): number {
    return this.#fullAt.size;
  }

  has(network: string, now: number): boolean {
    return hasToken(this.#rate, this.#fullAt.get(network) ?? -Infinity, now);
  }

  /** To be called after `has`. */
  take(network: string, now: number): void {
    this.#fullAt.set(network, fullAfterTaking(this.#rate, this.#fullAt.get(network) ?? -Infinity, now));
  }
}
