import type { Broker } from "./broker.ts";

export interface RebalanceThresholds {
  /** A broker is left alone while it has no more than so many sessions above its fair share... */
  readonly absolute: number;
  /** ...or no more than this many times its fair share, whichever is more. */
  readonly relative: number;
}

/** Small pools are not worth stirring up; large ones settle within a tenth. */
export const REBALANCE_DEFAULTS: RebalanceThresholds = { absolute: 50, relative: 1.1 };

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
