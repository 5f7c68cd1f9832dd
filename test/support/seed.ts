import process from "node:process";

/** Numbers that look random and are the same for the same seed, on every runtime (mulberry32). */
export class SeededRandom {
  readonly seed: number;
  #state: number;

  constructor(seed: number) {
    this.seed = seed >>> 0;
    this.#state = this.seed;
  }

  /** In [0, 1): fits where the program takes its randomness as an argument. */
  next = (): number => {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };

  /** A whole number from `low` to `high`, both included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new RangeError("pick from an empty list");
    return list[this.integer(0, list.length - 1)] as T;
  }

  bytes(length: number): Uint8Array {
    const out = new Uint8Array(length);
    for (let i = 0; i < length; i++) out[i] = this.integer(0, 255);
    return out;
  }

  /** Places at which to cut `length` bytes into pieces, in ascending order, possibly none. */
  cuts(length: number, cutsMax: number): number[] {
    if (length < 2) return [];
    const places = new Set<number>();
    for (let i = this.integer(0, cutsMax); i > 0; i--) places.add(this.integer(1, length - 1));
    return [...places].sort((a, b) => a - b);
  }

  shuffle<T>(list: readonly T[]): T[] {
    const out = [...list];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.integer(0, i);
      [out[i], out[j]] = [out[j] as T, out[i] as T];
    }
    return out;
  }

  /** A generator of its own, so that what one part draws does not shift the numbers of another. */
  fork(): SeededRandom {
    return new SeededRandom(Math.floor(this.next() * 4294967296));
  }
}

/** The seed that replays a failure (`SLUICE_SEED=123 npm test`), or a fresh one. */
export function chooseSeed(): number {
  const given = process.env["SLUICE_SEED"];
  if (given === undefined || given === "") return Math.floor(Math.random() * 4294967296);
  const seed = Number(given);
  if (!Number.isInteger(seed) || seed < 0 || seed > 4294967295) {
    throw new RangeError(`read SLUICE_SEED: "${given}", expected a whole number below 4294967296`);
  }
  return seed;
}

/**
 * Runs a test body with a seeded generator. When it fails, the error that is reported begins with the seed that replays it.
 */
export async function seeded<T>(body: (random: SeededRandom) => T | Promise<T>, seed: number = chooseSeed()): Promise<T> {
  try {
    return await body(new SeededRandom(seed));
  } catch (error) {
    const line = `replay with SLUICE_SEED=${seed}`;
    console.error(line);
    if (error instanceof Error) {
      error.message = `${line}: ${error.message}`;
      throw error;
    }
    throw new Error(`${line}: ${String(error)}`);
  }
}
