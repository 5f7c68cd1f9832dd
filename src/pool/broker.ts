import type { BrokerConfig, PoolConfig } from "../config/types.ts";
import { hashText } from "../lib/hash.ts";
import { TokenBucket } from "../lib/token_bucket.ts";
import { type AdminState, BrokerState, type HealthState } from "./broker_state.ts";
import { type BrokerSettings, FAILURES_MAX, type PoolSettings, WARM_LEAST } from "./settings.ts";

/** How long a broker that failed is tried last, in milliseconds: long enough not to be met by every client, short enough to come back soon. */
export const REST_MS = 10_000;

/** One broker of a pool, with what the balancers weigh. */
export class Broker {
  readonly config: BrokerConfig;
  /** The pool that it is in. */
  readonly pool: PoolConfig;
  /** Of the name, for affinity. */
  readonly hash: number;
  readonly isBackup: boolean;
  readonly state = new BrokerState();
  /** In effect: what the balancers weigh. Below the one that is set while it warms up. */
  weight: number;
  /** Sessions that it may have at once. May be changed at any time; those over it stay. */
  sessionsMax: number;
  /** Sessions that are dialing it or live on it. */
  sessions = 0;
  /** Smooth weighted round robin's running balance. */
  current = 0;
  /** The score that rendezvous hashing gave it last. */
  score = 0;
  /** Failures that clients met since the last success. */
  failures = 0;
  /** CONNACKs that clients got. */
  successes = 0;
  /** Good, warm and without failures: nothing about it needs a second look. */
  isOrdinary = true;
  /** How many clients it gets in a time. */
  readonly #connectRate: TokenBucket | undefined;
  readonly #failuresMax: number;
  readonly #slowStartMs: number;
  #weightSet: number;
  /** Since when it warms up; undefined: it is warm. */
  #warmsSince: number | undefined = undefined;
  #restUntil = 0;
  /** A client was sent to find out whether it is well again. */
  #isOnTrial = false;
  #suspectedBy: string | undefined = undefined;
  /** What the probes found; clients' failures count beside it. */
  #probed: HealthState = "up";
  #latest = 0;

  constructor(config: BrokerConfig & BrokerSettings, pool: PoolConfig & PoolSettings) {
    this.config = config;
    this.pool = pool;
    this.hash = hashText(config.name);
    this.isBackup = config.backup ?? false;
    this.sessionsMax = config.sessionsMax ?? Infinity;
    this.#connectRate = config.connectRate && new TokenBucket(config.connectRate);
    this.#failuresMax = pool.failuresMax ?? FAILURES_MAX[pool.failOver ?? "each"];
    this.#slowStartMs = pool.slowStartMs ?? 0;
    this.#weightSet = config.weight;
    this.weight = config.weight;
    if (config.state !== undefined) this.setAdmin(config.state, -Infinity, "the configuration says so");
  }

  /** `host:port`. */
  get name(): string {
    return this.config.name;
  }

  get hasRoom(): boolean {
    return this.sessions < this.sessionsMax;
  }

  /** What it has when it is warm. */
  get weightSet(): number {
    return this.#weightSet;
  }

  /** Whether it may get one more client now: it has room, and has not had its rate. */
  canTake(now: number): boolean {
    return this.hasRoom && (this.#connectRate === undefined || this.#connectRate.has(now));
  }

  /** A client is about to dial it: that counts against its rate. Standing in an order does not. False: it cannot take the client now. */
  take(now: number): boolean {
    return this.hasRoom && (this.#connectRate === undefined || this.#connectRate.take(now));
  }

  /** Above 0: a broker that shall get no more clients is drained. */
  setWeight(weight: number, now: number): void {
    if (!(weight > 0 && weight < Infinity)) throw new RangeError(`set the weight of ${this.name} to ${weight}: expected a number above 0`);
    this.#weightSet = weight;
    this.weight = weight;
    this.refresh(now);
  }

  /** Answers true when this is a change. */
  setAdmin(to: AdminState, now: number, cause: string): boolean {
    const from = this.state.admin;
    const isChange = this.state.setAdmin(to, now, cause);
    if (isChange && from === "maint") this.#cameBack(now); // one that drained kept its sessions, and is warm
    this.#judgeOrdinary();
    return isChange;
  }

  /** The probes' verdict. "up" clears what clients met before. Answers true when this changes the broker's health. */
  probed(to: HealthState, now: number, cause: string): boolean {
    this.#probed = to;
    if (to === "up") this.#clearFailures();
    return this.#settle(now, cause);
  }

  /** Answers true when this is news: it counts as down from now on. */
  failed(now: number, cause = "a client could not reach it"): boolean {
    this.failures++;
    this.#isOnTrial = false;
    this.#restUntil = now + REST_MS;
    const wasUp = this.state.health === "up";
    return this.#settle(now, cause) && wasUp;
  }

  /**
   * A client met silence, a close or nonsense where its CONNACK should be. That one client may be the cause of it; two different ones
   * with no success in between are not. Answers as `failed` does.
   */
  suspected(client: string, now: number, cause = "it did not answer CONNECT"): boolean {
    const isProof = this.failures > 0 || (this.#suspectedBy !== undefined && this.#suspectedBy !== client);
    this.#suspectedBy = client;
    return isProof && this.failed(now, cause);
  }

  /** A client got its CONNACK. Answers true when this is news: it was down as far as clients knew. `now` is the last one it heard of when left out. */
  succeeded(now: number = this.#latest): boolean {
    this.successes++;
    if (this.failures === 0) {
      this.#suspectedBy = undefined;
      return false;
    }
    this.#clearFailures();
    return this.#settle(now, "it answered a client");
  }

  /** Down by what clients met, and not yet to be tried again. */
  isResting(now: number): boolean {
    return this.failures >= this.#failuresMax && now < this.#restUntil;
  }

  /** Down by what the probes found. */
  get isProbedDown(): boolean {
    return this.#probed !== "up";
  }

  isDown(now: number): boolean {
    return this.isProbedDown || this.isResting(now);
  }

  /** Whether the operator lets this client in. */
  admits(preferred: Broker | undefined): boolean {
    const { admin } = this.state;
    return admin === "ready" || (admin === "drain" && preferred === this);
  }

  /** After the rest one client tries it; the others go on leaving it for last until that one knows. */
  takeTrial(now: number): void {
    if (this.failures < this.#failuresMax) return;
    this.#isOnTrial = true;
    this.#restUntil = now + REST_MS;
    this.#settle(now, "a client tries it again");
  }

  /** Lets the weight grow with the time since it came back. */
  refresh(now: number): void {
    this.#latest = now;
    if (this.#warmsSince === undefined) return;
    const warmth = (now - this.#warmsSince) / this.#slowStartMs;
    this.weight = this.#weightSet * Math.min(1, Math.max(WARM_LEAST, warmth));
    if (warmth < 1) return;
    this.#warmsSince = undefined;
    this.#judgeOrdinary();
  }

  #clearFailures(): void {
    this.failures = 0;
    this.#isOnTrial = false;
    this.#suspectedBy = undefined;
  }

  /** The one place that tells the health from what is known. Answers true when it changed. */
  #settle(now: number, cause: string): boolean {
    const isChange = this.state.setHealth(this.#healthNow(), now, cause);
    if (isChange && this.state.health === "up") this.#cameBack(now);
    this.refresh(now);
    this.#judgeOrdinary();
    return isChange;
  }

  #healthNow(): HealthState {
    if (this.#probed !== "up") return this.#probed;
    if (this.failures < this.#failuresMax) return "up";
    return this.#isOnTrial ? "checking" : "down";
  }

  #cameBack(now: number): void {
    if (this.#slowStartMs === 0) return;
    this.#warmsSince = now;
    this.weight = this.#weightSet * WARM_LEAST;
  }

  #judgeOrdinary(): void {
    this.isOrdinary = this.state.isGood && this.#warmsSince === undefined && this.failures === 0;
  }
}
