import type { PoolConfig } from "../config/types.ts";
import { AffinityTable } from "./affinity.ts";
import { BALANCES, HASHING } from "./balance/index.ts";
import { withinBound } from "./balance/load_bound.ts";
import type { Balance, Choice } from "./balance/types.ts";
import { Broker } from "./broker.ts";
import { Election } from "./election.ts";
import type { Reason } from "./reason.ts";
import { AFFINITY_EXPIRY_MAX_MS, AFFINITY_MAX, type PoolOptions } from "./settings.ts";

const NONE: readonly Broker[] = [];

/** A named set of brokers that can stand in for each other. */
export class Pool {
  readonly name: string;
  readonly config: PoolConfig;
  readonly brokers: readonly Broker[];
  /** Where clients' MQTT sessions are, for `affinity = "session"`. */
  readonly affinity: AffinityTable | undefined;
  readonly #balance: Balance;
  readonly #loadMax: number | undefined;
  readonly #election: Election | undefined;
  /** The algorithm's order is the whole answer as long as every broker is ordinary. */
  readonly #isPlain: boolean;

  constructor(config: PoolOptions) {
    const { affinity, affinityMax = AFFINITY_MAX, affinityExpiryMaxMs = AFFINITY_EXPIRY_MAX_MS } = config;
    this.name = config.name;
    this.config = config;
    this.brokers = config.brokers.map((broker) => new Broker(broker, config));
    this.affinity = affinity === "session" ? new AffinityTable({ entriesMax: affinityMax, expiryMaxMs: affinityExpiryMaxMs }) : undefined;
    this.#balance = BALANCES[config.balance];
    this.#loadMax = config.loadMax;
    this.#election = config.failOver === "all" ? new Election(this.brokers, config.returnAfterMs ?? 0) : undefined;
    this.#isPlain = this.#election === undefined && this.#loadMax === undefined && !this.brokers.some(({ isBackup }) => isBackup);
  }

  /**
   * The brokers that a client should try, best first: the broker that holds its session, then the balancer's order, backups behind it, and
   * those that just failed last of all. When all are down all are tried. Empty when none may take it: `whyNone` says why. `direction`: one that
   * accepts the client, and comes before all others.
   */
  order(choice: Choice, now: number, direction?: Broker): readonly Broker[] {
    if (this.brokers.length === 1) return this.#admits(this.brokers[0] as Broker, choice, now) ? this.brokers : NONE;
    if (this.#isPlain && this.#areOrdinary(now)) return withFirst(direction, withFirst(choice.preferred, this.#balance(this.brokers, choice)));
    const order = withFirst(direction, this.#orderWithCare(choice, now));
    order[0]?.takeTrial(now);
    return order;
  }

  /** What put the first broker of an order there, for the one for whom the order was made. */
  reasonFor(first: Broker, choice: Choice, now: number): Reason {
    if (this.brokers.length === 1) return "only_broker";
    if (first === choice.preferred) return "affinity";
    if (this.#isPlain && first.isOrdinary) return this.config.balance;
    if (this.#election !== undefined) return "elected";
    if (first.isDown(now)) return "last_resort";
    if (first.isBackup) return "backup";
    return this.#loadMax === undefined || this.#isFirstByHash(first, choice, now) ? this.config.balance : "load_max";
  }

  #isFirstByHash(first: Broker, choice: Choice, now: number): boolean {
    const others = this.brokers.filter((broker) => !broker.isBackup && this.#admits(broker, choice, now) && !broker.isDown(now));
    return this.#balance(others, choice)[0] === first;
  }

  /**
   * Where a client would go now, for algorithms that hash: one that is moved from there comes straight back. undefined: wherever it is its turn,
   * or nowhere.
   */
  home(choice: Choice, now: number): Broker | undefined {
    return this.isHashing ? this.#orderWithCare(choice, now)[0] : undefined;
  }

  /** Whether a client comes to the same broker every time. */
  get isHashing(): boolean {
    return HASHING.has(this.#balance);
  }

  /** Whether a broker of an order still takes the client when its turn has come: since then it may have gone down, filled up or been taken out. */
  accepts(broker: Broker, choice: Choice, now: number): boolean {
    if (!this.#admits(broker, choice, now)) return false;
    const elected = this.elected(now);
    if (elected !== undefined && elected !== broker && elected.state.isGood) return false;
    return !broker.isProbedDown || !this.#anyUp(choice, now);
  }

  /** Why an order was empty: a broker has room and had its rate, or would take the client if it had room, or the operator took all of them out. */
  whyNone(choice: Choice, now: number): "rate" | "full" | "taken_out" {
    const admitting = this.brokers.filter((broker) => broker.admits(choice.preferred));
    if (admitting.length === 0) return "taken_out";
    return admitting.some((broker) => broker.hasRoom && !broker.canTake(now) && !broker.isDown(now)) ? "rate" : "full";
  }

  /** `fail_over = "all"`: the broker of everybody. */
  elected(now: number): Broker | undefined {
    return this.#election?.elect(now);
  }

  #orderWithCare(choice: Choice, now: number): readonly Broker[] {
    for (const broker of this.brokers) broker.refresh(now);
    return this.#election === undefined ? this.#orderEach(choice, now) : this.#orderAll(this.#election, choice, now);
  }

  #areOrdinary(now: number): boolean {
    for (const broker of this.brokers) if (!broker.isOrdinary || !broker.canTake(now)) return false;
    return true;
  }

  #admits(broker: Broker, { preferred }: Choice, now: number): boolean {
    return broker.admits(preferred) && broker.canTake(now);
  }

  #anyUp({ preferred }: Choice, now: number): boolean {
    return this.brokers.some((broker) => broker.admits(preferred) && !broker.isDown(now));
  }

  #orderEach(choice: Choice, now: number): readonly Broker[] {
    const open = this.brokers.filter((broker) => this.#admits(broker, choice, now));
    if (!this.#anyUp(choice, now)) return this.#rank(open, choice);
    const up = this.#rank(open.filter((broker) => !broker.isDown(now)), choice);
    // Brokers that are up but full are worth waiting for; one that is down is not.
    if (up.length === 0) return NONE;
    const resting = open.filter((broker) => !broker.isProbedDown && broker.isResting(now));
    return resting.length === 0 ? up : [...up, ...this.#rank(resting, choice)];
  }

  /** Everybody goes to the elected one, also when it is about to fail: whether the others take over is not for one client to say. */
  #orderAll(election: Election, choice: Choice, now: number): readonly Broker[] {
    const order = election.order(now);
    const elected = order[0] as Broker;
    if (elected.state.isGood) return elected.canTake(now) ? [elected] : NONE;
    return order.filter((broker) => this.#admits(broker, choice, now));
  }

  /** The client's own broker, the balancer's order, the backups. */
  #rank(brokers: readonly Broker[], choice: Choice): readonly Broker[] {
    const { preferred } = choice;
    const others = brokers.filter((broker) => broker !== preferred);
    const own = preferred !== undefined && others.length < brokers.length ? [preferred] : NONE;
    const backups = others.filter(({ isBackup }) => isBackup);
    if (own.length + backups.length === 0) return this.#tier(brokers, choice);
    return [...own, ...this.#tier(others.filter(({ isBackup }) => !isBackup), choice), ...this.#tier(backups, choice)];
  }

  #tier(brokers: readonly Broker[], choice: Choice): readonly Broker[] {
    if (brokers.length < 2) return brokers;
    const order = this.#balance(brokers, choice);
    return this.#loadMax === undefined ? order : withinBound(order, this.#loadMax);
  }
}

/** One broker in front, where there is such a one. */
function withFirst(first: Broker | undefined, order: readonly Broker[]): readonly Broker[] {
  return first === undefined || order[0] === first ? order : [first, ...order.filter((broker) => broker !== first)];
}
