import type { Broker } from "./broker.ts";

export interface RebalanceThresholds {
  /** A broker is left alone while it has no more than so many sessions above its fair share... */
  readonly absolute: number;
  /** ...or no more than this many times its fair share, whichever is more. */
  readonly relative: number;
}

export interface Move {
  readonly from: Broker;
  /** Sessions to close there, so that their clients come again and are balanced anew. */
  readonly sessions: number;
}

/**
 * How many sessions each broker should give away now, given what all of them have and may have. Nothing moves unless others lack as many;
 * within the thresholds nothing moves at all. Backups give all they have as soon as others can take it; brokers that are not
 * good neither give nor take.
 */
export function planMoves(brokers: readonly Broker[], { absolute, relative }: RebalanceThresholds): Move[] {
  const good = brokers.filter(({ state }) => state.isGood);
  const primaries = good.filter(({ isBackup }) => !isBackup);
  const takers = primaries.length > 0 ? primaries : good;
  const sessions = good.reduce((sum, broker) => sum + broker.sessions, 0);
  const weight = takers.reduce((sum, broker) => sum + broker.weight, 0);
  const fairShare = (broker: Broker) => (takers.includes(broker) ? (sessions * broker.weight) / weight : 0);
  const lackOf = (broker: Broker) => Math.max(0, Math.ceil(Math.min(fairShare(broker), broker.sessionsMax)) - broker.sessions);
  const excessOf = (broker: Broker) => {
    const share = fairShare(broker);
    return Math.max(0, broker.sessions - Math.floor(share === 0 ? 0 : Math.max(share + absolute, share * relative)));
  };
  let lacking = takers.reduce((sum, broker) => sum + lackOf(broker), 0);
  const moves: Move[] = [];
  for (const broker of [...good].sort((a, b) => excessOf(b) - excessOf(a))) {
    const moved = Math.min(excessOf(broker), lacking);
    lacking -= moved;
    if (moved > 0) moves.push({ from: broker, sessions: moved });
  }
  return moves;
}

/** The same where clients go to the first broker that can take them: it gets everybody back, as far as it has room. */
export function planReturns(brokers: readonly Broker[]): Move[] {
  const good = brokers.filter(({ state }) => state.isGood);
  const ranked = [...good.filter(({ isBackup }) => !isBackup), ...good.filter(({ isBackup }) => isBackup)];
  const [first, ...others] = ranked;
  let room = first === undefined ? 0 : Math.max(0, first.sessionsMax - first.sessions);
  const moves: Move[] = [];
  for (const from of others) {
    const sessions = Math.min(from.sessions, room);
    room -= sessions;
    if (sessions > 0) moves.push({ from, sessions });
  }
  return moves;
}

/**
 * For round robin: a client that was moved takes a turn of the broker that lacks most when it comes again, or it would as likely as not be sent
 * back. It is a turn more: for all other clients the turns go on as if it had not come.
 */
export function passTurn(from: Broker, brokers: readonly Broker[]): void {
  const turn = brokers.reduce((sum, broker) => sum + broker.weight, 0);
  const fullness = ({ sessions, weight, current }: Broker) => (sessions + Math.max(0, current / turn)) / weight;
  const takers = brokers.filter((broker) => broker !== from && broker.state.isGood && !broker.isBackup && broker.hasRoom);
  const [to] = takers.sort((a, b) => fullness(a) - fullness(b));
  if (to === undefined) return;
  for (const broker of brokers) broker.current -= broker.weight;
  to.current += turn;
}

/** The `count` sessions that have been idle for longest, the idlest first, in one pass however many there are. */
export function idlest<Session>(sessions: Iterable<Session>, count: number, idleMs: (session: Session) => number): Session[] {
  const found: { readonly session: Session; readonly idle: number }[] = [];
  for (const session of sessions) {
    const idle = idleMs(session);
    if (found.length >= count && !(idle > (found.at(-1)?.idle ?? Infinity))) continue;
    let place = found.length;
    while (place > 0 && (found[place - 1] as { idle: number }).idle < idle) place--;
    found.splice(place, 0, { session, idle });
    if (found.length > count) found.pop();
  }
  return found.map(({ session }) => session);
}
