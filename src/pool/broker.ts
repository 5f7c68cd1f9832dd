import type { BrokerConfig, PoolConfig } from "../config/types.ts";
import { hashText } from "../lib/hash.ts";

/** How long a broker that failed is tried last, in milliseconds: long enough not to be met by every client, short enough to come back soon. */
export const REST_MS = 10_000;

/** One broker of a pool, with what the balancers weigh. */
export class Broker {
  readonly config: BrokerConfig;
  /** The pool that it is in. */
  readonly pool: PoolConfig;
  readonly weight: number;
  /** Of the name, for affinity. */
  readonly hash: number;
  /** Sessions that are dialing it or live on it. */
  sessions = 0;
  /** Smooth weighted round robin's running balance. */
  current = 0;
  /** Failures since the last success; 0: healthy as far as known. */
  failures = 0;
  #restUntil = 0;
  #suspectedBy: string | undefined = undefined;

  constructor(config: BrokerConfig, pool: PoolConfig) {
    this.config = config;
    this.pool = pool;
    this.weight = config.weight;
    this.hash = hashText(config.name);
  }

  /** `host:port`. */
  get name(): string {
    return this.config.name;
  }

  /** Answers true when this is news: the first failure after success. */
  failed(now: number): boolean {
    this.#restUntil = now + REST_MS;
    return ++this.failures === 1;
  }

  /**
   * A client met silence, a close or nonsense where its CONNACK should be. That one client may be the cause of it; two different ones
   * with no success in between are not. Answers as `failed` does.
   */
  suspected(client: string, now: number): boolean {
    const isProof = this.failures > 0 || (this.#suspectedBy !== undefined && this.#suspectedBy !== client);
    this.#suspectedBy = client;
    return isProof && this.failed(now);
  }

  /** Answers true when this is news: the first success after failures. */
  succeeded(): boolean {
    this.#suspectedBy = undefined;
    const news = this.failures > 0;
    this.failures = 0;
    return news;
  }

  isResting(now: number): boolean {
    return this.failures > 0 && now < this.#restUntil;
  }

  /** After the rest one client tries it; the others go on leaving it for last until that one knows. */
  takeTrial(now: number): void {
    if (this.failures > 0) this.#restUntil = now + REST_MS;
  }
}
