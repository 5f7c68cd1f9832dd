/** So many at once, and as many more in each `perMs` milliseconds, evenly. */
export interface BucketRate {
  readonly count: number;
  readonly perMs: number;
}

/** What sums of fractions of milliseconds may be off by. */
const ROUNDING_MS = 0.001;

/*
 * A token bucket is one number: the moment at which it is full again, in monotonic milliseconds. Each token that is taken moves that moment by the
 * time in which one comes back, so nothing has to run while nobody asks.
 */

/** Whether there is a token in a bucket that is full at `fullAt`. */
export function hasToken({ count, perMs }: BucketRate, fullAt: number, now: number): boolean {
  return Math.max(0, fullAt - now) + perMs / count <= perMs + ROUNDING_MS;
}

/** When the bucket is full again after one more was taken now. */
export function fullAfterTaking({ count, perMs }: BucketRate, fullAt: number, now: number): number {
  return Math.max(fullAt, now) + perMs / count;
}

/** One bucket, full at first. */
export class TokenBucket {
  readonly #rate: BucketRate;
  #fullAt = -Infinity;

  constructor(rate: BucketRate) {
    this.#rate = rate;
  }

  has(now: number): boolean {
    return hasToken(this.#rate, this.#fullAt, now);
  }

  /** False: there is none, and none is taken. */
  take(now: number): boolean {
    if (!this.has(now)) return false;
    this.#fullAt = fullAfterTaking(this.#rate, this.#fullAt, now);
    return true;
  }
}
