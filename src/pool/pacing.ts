/** How many of something are due by now, for an owner that asks on every tick: nothing is kept, so nothing drifts. Milliseconds throughout. */

export interface Spread {
  readonly total: number;
  readonly done: number;
  readonly since: number;
  readonly windowMs: number;
}

/** Spread evenly over a window, and all of them at its end: for clients that have to leave a broker, so that they do not come again all at once. */
export function dueWithin({ total, done, since, windowMs }: Spread, now: number): number {
  const elapsed = windowMs === 0 ? 1 : Math.min(1, Math.max(0, (now - since) / windowMs));
  return Math.max(0, Math.ceil(total * elapsed) - done);
}

export interface Rate {
  readonly perSecond: number;
  readonly done: number;
  readonly since: number;
}

/** At a steady rate, without an end: for sessions that are moved while everything is well. */
export function dueAtRate({ perSecond, done, since }: Rate, now: number): number {
  return Math.max(0, Math.floor((perSecond * (now - since)) / 1000) - done);
}
