import type { Connect } from "../mqtt/connect.ts";
import { fault } from "../mqtt/fault.ts";
import type { Choice } from "../pool/balance/types.ts";
import type { Broker } from "../pool/broker.ts";
import { dueAtRate } from "../pool/pacing.ts";
import type { Pool } from "../pool/pool.ts";
import { idlest, passTurn, planMoves, planReturns } from "../pool/rebalance.ts";
import type { Session } from "../session/session.ts";
import { idAtBrokers, usernameOf } from "./session_keys.ts";

/** A broker must have been good for so long before clients are moved to it: one that flaps must not drag them to and fro. */
const SETTLE_MS = 3_000;
/** Who may be moved is asked of every session of a full broker. When it was nobody, so many looks are left out. */
const FRUITLESS_LOOKS = 10;

export interface MoverOptions {
  readonly pool: Pool;
  /** Of all pools. */
  readonly sessions: Iterable<Session>;
  readonly random: () => number;
}

/** Brings long-lived sessions of one pool to where they would be if their clients came now: a few at a time, the idlest first, each between two packets. */
export class Mover {
  readonly #options: MoverOptions;
  readonly #perSecond: number;
  /** For algorithms that hash: what they went by, as it was at CONNECT. */
  readonly #keys: WeakMap<Session, Pick<Choice, "key" | "username">> | undefined;
  /** The rate counts from here, while there is something to move. */
  #since: number | undefined = undefined;
  #done = 0;
  #looksLeftOut = 0;
  /** Moved, and not gone yet: a client may take its time to close. */
  #leaving: Session[] = [];

  constructor(options: MoverOptions) {
    this.#options = options;
    const { count, perMs } = options.pool.config.rebalance!.rate;
    this.#perSecond = (count * 1000) / perMs;
    this.#keys = options.pool.isHashing ? new WeakMap() : undefined;
  }

  /** CONNACK with success was passed on, and the CONNECT is still there. */
  opened(session: Session): void {
    const { clientId } = session.connect as Connect;
    this.#keys?.set(session, { key: clientId || session.address, username: usernameOf(session) });
  }

  /** Once a second. */
  look(now: number): void {
    if (this.#looksLeftOut > 0) return void this.#looksLeftOut--;
    this.#leaving = this.#leaving.filter(({ chosen }) => chosen !== undefined);
    const moves = this.#isCalm(now) ? this.#plan() : [];
    if (moves.length === 0) this.#since = undefined;
    else this.#move(moves, now);
  }

  /** What the operator took out does not count; as long as others are in doubt nobody is moved. */
  #isCalm(now: number): boolean {
    return this.#options.pool.brokers.every(({ state }) => state.admin !== "ready" || (state.isGood && now - state.goodSince >= SETTLE_MS));
  }

  #plan() {
    const { brokers, config } = this.#options.pool;
    return config.balance === "first" ? planReturns(brokers) : planMoves(brokers, config.rebalance!);
  }

  #move(moves: ReturnType<typeof planMoves>, now: number): void {
    if (this.#since === undefined) {
      this.#since = now;
      this.#done = 0;
    }
    let due = dueAtRate({ perSecond: this.#perSecond, done: this.#done, since: this.#since }, now);
    if (due === 0) return;
    this.#done += due; // what nobody takes now is not made up for later
    let moved = 0;
    for (const { from, sessions } of moves) {
      const leaving = this.#leaving.filter(({ chosen }) => chosen === from).length;
      const count = this.#moveFrom(from, Math.min(due, sessions - leaving), now);
      due -= count;
      moved += count;
    }
    if (moved === 0) this.#looksLeftOut = FRUITLESS_LOOKS;
  }

  #moveFrom(from: Broker, count: number, now: number): number {
    if (count <= 0) return 0;
    const { pool } = this.#options;
    const sessions = idlest(this.#movable(from, now), count, ({ heardAt }) => -heardAt);
    for (const session of sessions) {
      pool.affinity?.forget(idAtBrokers(session), session);
      if (pool.config.balance === "round_robin") passTurn(from, pool.brokers);
      session.step({ type: "leave", fault: fault("rebalanced", `${from.name} has more than its share of the clients`) });
    }
    this.#leaving.push(...sessions);
    return sessions.length;
  }

  *#movable(from: Broker, now: number): Iterable<Session> {
    for (const session of this.#options.sessions) {
      if (session.chosen === from && isAtRest(session) && !this.#isHeld(session) && !this.#isAtHome(session, from, now)) yield session;
    }
  }

  /** Its broker keeps its MQTT session, and no other one has it. */
  #isHeld({ sessionExpirySeconds }: Session): boolean {
    return this.#options.pool.affinity !== undefined && sessionExpirySeconds > 0;
  }

  /** Where a client's broker is a matter of hashing, it would come straight back. */
  #isAtHome(session: Session, from: Broker, now: number): boolean {
    if (this.#keys === undefined) return false;
    const key = this.#keys.get(session);
    const { pool, random } = this.#options;
    return key === undefined || pool.home({ ...key, random, get address() { return session.address; } }, now) === from;
  }
}

/** Between two packets in both directions, and with nothing on its way. */
function isAtRest(session: Session): boolean {
  const { machine, upstream, downstream, client, broker, clientStalledAt, brokerStalledAt } = session;
  if (machine.state !== "relaying" || upstream === undefined || downstream === undefined || broker === undefined) return false;
  if (clientStalledAt !== 0 || brokerStalledAt !== 0 || client.bufferedBytes > 0 || broker.bufferedBytes > 0) return false;
  return upstream.isAtBoundary && downstream.isAtBoundary && !upstream.finished && !downstream.finished;
}
