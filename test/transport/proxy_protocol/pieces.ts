import assert from "node:assert/strict";
import { bytes } from "../../support/mqtt_bytes.ts";
import type { SeededRandom } from "../../support/seed.ts";

/** The same bytes in pieces of any size, some of them empty. */
export function pieces(random: SeededRandom, whole: Uint8Array): Uint8Array[] {
  if (random.chance(0.1)) return Array.from(whole, (byte) => Uint8Array.of(byte));
  const cuts = [0, ...random.cuts(whole.length, 12), whole.length];
  if (random.chance(0.2)) cuts.splice(1, 0, 0);
  return cuts.slice(1).map((cut, at) => whole.subarray(cuts[at], cut));
}

/** The first answer of a reader, and how many of the pieces it took. */
export function feed<T>(reader: { push(chunk: Uint8Array): T | undefined }, chunks: readonly Uint8Array[]): { answer: T | undefined; used: number } {
  for (const [at, chunk] of chunks.entries()) {
    const answer = reader.push(chunk);
    if (answer !== undefined) return { answer, used: at + 1 };
  }
  return { answer: undefined, used: chunks.length };
}

/** A few bytes changed, put in, taken out or repeated. */
export function mutated(random: SeededRandom, whole: Uint8Array): Uint8Array {
  let result = whole;
  for (let round = random.integer(1, 4); round > 0; round--) {
    const at = random.integer(0, result.length);
    const end = Math.min(result.length, at + random.integer(0, 4));
    const between = random.chance(0.5) ? random.bytes(end - at) : random.pick([random.bytes(random.integer(0, 3)), result.subarray(at, end), new Uint8Array(2)]);
    result = bytes(result.subarray(0, at), between, result.subarray(random.chance(0.5) ? end : at));
  }
  return result;
}

/** The answer without what depends on where the chunk ended. */
export function judged(answer: object | undefined): unknown {
  if (answer === undefined) return undefined;
  const { rest: _rest, bytes: _bytes, ...judgement } = answer as { rest?: unknown; bytes?: unknown };
  return judgement;
}

/** What came behind the part that was used up: the answer's rest and the pieces that were never pushed. */
export function restOf(answer: object | undefined, chunks: readonly Uint8Array[], used: number): Uint8Array {
  assert.ok(answer !== undefined && "rest" in answer);
  return bytes(answer.rest as Uint8Array, ...chunks.slice(used));
}
