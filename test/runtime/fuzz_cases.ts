import { strict as assert } from "node:assert";
import { SeededRandom, seeded } from "../support/seed.ts";
import { type Case, Door, type End, introduced, type Lab, listen, sendsRst } from "./lab.ts";

const CONNECTIONS = 8;
const BYTES_MAX = 1 << 20;

/** Each is run plain and over TLS. */
export const fuzzCases: readonly Case[] = [
  {
    name: "fuzz: byte-exact in both directions under stalls, tiny chunks and half-closes",
    run: (lab) => seeded((random) => fuzz(lab, random, { pauses: true, resets: false })),
  },
  {
    name: "fuzz without pauses: byte-exact in both directions under tiny chunks, slow writers and half-closes",
    run: (lab) => seeded((random) => fuzz(lab, random, { pauses: false, resets: false })),
  },
  {
    name: "fuzz: with resets in between, what arrives is a true beginning and both sides close",
    run: (lab) => seeded((random) => fuzz(lab, random, { pauses: true, resets: true })),
  },
];

interface Faults {
  readonly pauses: boolean;
  readonly resets: boolean;
}

async function fuzz(lab: Lab, random: SeededRandom, faults: Faults): Promise<void> {
  const door = new Door();
  const listener = await listen(lab, door);
  const runs = Array.from({ length: CONNECTIONS }, async (_, number) => {
    const own = random.fork();
    const { client, server } = await introduced(lab, door, listener.port, number);
    await exchange(lab, client, server, own, faults);
  });
  await Promise.all(runs);
  await listener.close();
}

async function exchange(lab: Lab, client: End, server: End, random: SeededRandom, faults: Faults): Promise<void> {
  const { pauses, resets } = faults;
  const sides = [client, server].map((end) => new Talker(end, random.fork(), pauses));
  const [up, down] = sides as [Talker, Talker];
  up.listenTo(down);
  down.listenTo(up);
  if (resets) (random.chance(0.5) ? up : down).resetAt = random.integer(1, BYTES_MAX / 2);
  up.talk();
  down.talk();
  if (resets) {
    await Promise.race([client.untilClosed(), server.untilClosed()]);
    for (const end of [client, server]) {
      // Without RST the other side sees an end, and goes on; with it, close follows unless it has all been said.
      end.connection.resume();
      if (!sendsRst(lab)) end.connection.reset();
    }
    await Promise.all([client, server].map((end) => end.until("end or close", ({ ended, closed }) => ended || closed)));
    client.connection.reset();
    server.connection.reset();
  }
  await Promise.all([client.untilClosed(), server.untilClosed()]);
  up.check(resets);
  down.check(resets);
  if (!resets) assert.deepEqual([client.error, server.error], [undefined, undefined]);
}

/** Sends a stream that its seed fixes, in random pieces, and compares what it hears with the other's stream. */
class Talker {
  resetAt = Infinity;
  readonly #end: End;
  readonly #random: SeededRandom;
  readonly #pauses: boolean;
  readonly #seed: number;
  readonly #total: number;
  #sent = 0;
  #heard = 0;
  #other: Talker | undefined;
  #wrong: string | undefined;

  constructor(end: End, random: SeededRandom, pauses: boolean) {
    this.#end = end;
    this.#pauses = pauses;
    this.#random = random;
    this.#seed = random.integer(0, 255);
    this.#total = random.integer(0, BYTES_MAX);
  }

  listenTo(other: Talker): void {
    this.#other = other;
    this.#end.onData = (chunk) => this.#hear(chunk);
    this.#end.onDrain = () => this.talk();
  }

  talk(): void {
    const { connection } = this.#end;
    while (this.#sent < this.#total) {
      const length = Math.min(this.#pieceLength(), this.#total - this.#sent);
      const piece = stream(this.#seed, this.#sent, length);
      this.#sent += length;
      const goOn = connection.write(piece);
      if (this.#sent >= this.resetAt) {
        connection.reset();
        return;
      }
      // Now and then it does not listen to a false.
      if (!goOn && this.#random.chance(0.8)) return;
      if (goOn && this.#random.chance(0.02)) {
        this.#later(() => this.talk());
        return;
      }
    }
    connection.end();
  }

  check(cut: boolean): void {
    assert.equal(this.#wrong, undefined);
    if (!cut) assert.equal(this.#heard, this.#other!.#total, "bytes were lost");
  }

  #hear(chunk: Uint8Array): void {
    const expected = stream(this.#other!.#seed, this.#heard, chunk.length);
    if (Buffer.compare(chunk, expected) !== 0) this.#wrong ??= `a wrong byte after ${this.#heard}`;
    this.#heard += expected.length;
    if (!this.#pauses || !this.#random.chance(0.2)) return;
    this.#end.connection.pause();
    this.#later(() => this.#end.connection.resume());
  }

  #pieceLength(): number {
    const kind = this.#random.next();
    if (kind < 0.5) return this.#random.integer(1, 3);
    if (kind < 0.9) return this.#random.integer(1, 5000);
    return this.#random.integer(1, 200_000);
  }

  /** A few turns of the event loop, or a few milliseconds. */
  #later(action: () => void): void {
    if (this.#random.chance(0.8)) setImmediate(action);
    else setTimeout(action, this.#random.integer(1, 5));
  }
}

/** The bytes of a seed's stream from a position on. */
function stream(seed: number, from: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0, at = from; i < length; i += 1, at += 1) bytes[i] = Math.imul(at ^ (at >>> 7), 0x9e3779b1) >>> 24 ^ seed;
  return bytes;
}
