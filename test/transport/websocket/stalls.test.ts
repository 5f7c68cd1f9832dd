import assert from "node:assert/strict";
import { test } from "node:test";
import type { Connection, ConnectionHandler, NetworkError } from "../../../src/runtime/types.ts";
import { WebSocketConnection } from "../../../src/transport/websocket/connection.ts";
import { FakeConnection, VirtualTime } from "../../support/fake_network.ts";
import { chooseSeed, seeded, type SeededRandom } from "../../support/seed.ts";
import { byByte, cutAt, frame, type FrameOptions, goodbye, join } from "./frames.ts";
import { ManualConnection } from "./manual_connection.ts";
import { asClient, asServer } from "./over_websocket.ts";

const SEEDS = 256;
const BYTES_MAX = 60_000;

/** Two fake connections that are each other's peer: what one writes the other receives, when its time comes. */
function fakeWire(time: VirtualTime, random: SeededRandom): [FakeConnection, FakeConnection] {
  const ends = [new FakeConnection(time, random, "192.0.2.1", 1), new FakeConnection(time, random, "192.0.2.2", 2)] as const;
  for (const [own, other] of [ends, [ends[1], ends[0]] as const]) {
    own.peer = {
      data: (bytes) => other.peerSend(bytes),
      end: () => other.peerEnd(),
      closed: (byReset) => void (byReset && other.peerReset()),
    };
  }
  return [...ends];
}

/** Writes a stream in random pieces, keeps to what `write` answers, pauses now and then, and holds the connection to its contract. */
class Talker implements ConnectionHandler {
  readonly sent: Uint8Array;
  heard: Uint8Array[] = [];
  ended = false;
  closed = false;
  error: NetworkError | undefined;
  readonly #connection: Connection;
  readonly #random: SeededRandom;
  readonly #time: VirtualTime;
  #position = 0;
  #awaitsDrain = false;
  #isPaused = false;

  constructor(connection: Connection, random: SeededRandom, time: VirtualTime) {
    this.#connection = connection;
    this.#random = random;
    this.#time = time;
    this.sent = random.bytes(random.integer(0, BYTES_MAX));
    connection.handler = this;
    time.after(random.integer(0, 20), () => this.#talk());
  }

  data(_: Connection, chunk: Uint8Array): void {
    assert.ok(!this.#isPaused && !this.ended && !this.closed, "data while paused, or after the end");
    assert.ok(chunk.length > 0);
    this.heard.push(chunk);
    if (!this.#random.chance(0.2)) return;
    this.#connection.pause();
    this.#isPaused = true;
    this.#time.after(this.#random.integer(0, 10), () => {
      this.#isPaused = false;
      this.#connection.resume();
      if (!this.#random.chance(0.2)) return;
      this.#connection.pause();
      this.#connection.resume();
    });
  }

  drain(): void {
    assert.ok(this.#awaitsDrain && !this.closed, "a drain that nobody has waited for");
    this.#awaitsDrain = false;
    this.#talk();
  }

  end(): void {
    assert.ok(!this.#isPaused && !this.ended && !this.closed, "end while paused, or twice");
    this.ended = true;
  }

  close(_: Connection, error: NetworkError | undefined): void {
    assert.ok(!this.closed, "close twice");
    this.closed = true;
    this.error = error;
  }

  #talk(): void {
    while (this.#position < this.sent.length) {
      const to = this.#position + this.#random.pick([1, 2, 100, 126, this.#random.integer(1, 3000), 20_000]);
      const goesOn = this.#connection.write(this.sent.subarray(this.#position, to));
      this.#position = Math.min(to, this.sent.length);
      if (!goesOn) this.#awaitsDrain = true;
      if (!goesOn && this.#random.chance(0.8)) return; // now and then it does not listen
      if (this.#random.chance(0.1)) return this.#time.after(this.#random.integer(0, 20), () => this.#awaitsDrain || this.#talk());
    }
    this.#connection.end();
  }
}

for (let run = 0; run < 4; run++) {
  test(`both roles over stalls, pauses, half-closes and any chunking: byte-exact, ${SEEDS / 4} seeds, part ${run + 1}`, async () => {
    const first = chooseSeed();
    for (let index = 0; index < SEEDS / 4; index++) await seeded(converse, (first + index * 7919) >>> 0);
  });
}

async function converse(random: SeededRandom): Promise<void> {
  const time = new VirtualTime();
  const wire = fakeWire(time, random.fork());
  const client = new Talker(new WebSocketConnection(wire[0], asClient), random.fork(), time);
  const server = new Talker(new WebSocketConnection(wire[1], asServer), random.fork(), time);
  const stalls = random.fork();
  const stall = (reads: boolean): void => {
    if (client.closed && server.closed) return;
    stalls.pick(wire).peerReads(reads || stalls.chance(0.5));
    time.after(stalls.integer(1, 30), () => stall(!reads));
  };
  stall(true);
  for (let rounds = 0; !(client.closed && server.closed); rounds++) {
    assert.ok(rounds < 20_000, "it never ended");
    if (rounds === 10_000) for (const end of wire) end.peerReads(true);
    time.runUntil(time.now + 1);
    await undefined; // what is delivered in a turn of its own
  }
  assert.deepEqual(join(...server.heard), client.sent);
  assert.deepEqual(join(...client.heard), server.sent);
  assert.deepEqual([client.ended, server.ended, client.error, server.error], [true, true, undefined, undefined]);
}

/** What an owner and a peer get to see of a stream of frames: the pings that are answered depend on the chunks, and are left out. */
function outcome(pieces: readonly Uint8Array[]) {
  const inner = new ManualConnection();
  const socket = new WebSocketConnection(inner, asServer);
  const heard: Uint8Array[] = [];
  const events: string[] = [];
  let error: NetworkError | undefined;
  socket.handler = {
    data: (_, chunk) => void heard.push(chunk.slice()),
    drain: () => events.push("drain"),
    end: () => events.push("end"),
    close: (_, reason) => void (error = reason),
  };
  socket.start(pieces[0] as Uint8Array);
  for (const piece of pieces.slice(1)) inner.send(piece);
  socket.end();
  inner.close();
  return { heard: join(...heard), events, error, said: inner.frames.filter((one) => one.opcode !== 10), isEnded: inner.isEnded };
}

test("hostile frames: the same end for any chunking, nothing thrown, one Close frame at most", () => seeded((random) => {
  for (let round = 0; round < 1500; round++) {
    const stream = hostileStream(random);
    const whole = outcome([stream.slice()]);
    assert.equal(whole.said.length, 1);
    assert.equal(whole.said[0]?.opcode, 8);
    for (const pieces of [byByte(stream), cutAt(stream, random.cuts(stream.length, 10))]) assert.deepEqual(outcome(pieces), whole);
  }
}));

function hostileStream(random: SeededRandom): Uint8Array {
  const frames: Uint8Array[] = [];
  for (let count = random.integer(1, 8); count > 0; count--) {
    const options: FrameOptions = { key: [...random.bytes(4)], final: random.chance(0.9), opcode: random.pick([2, 2, 2, 0, 9, 10]) };
    const strange: FrameOptions = random.chance(0.15)
      ? random.pick<FrameOptions>([{ opcode: 8 }, { opcode: 1 }, { reserved: 4 }, { opcode: random.integer(3, 15) }, { length: BigInt(random.integer(0, 1e9)) }, { lengthBits: 64 }])
      : {};
    const payload = strange.opcode === 8 ? goodbye(random.pick([1000, 1001, 1005, 3000, 70]), random.bytes(random.integer(0, 5))) : random.bytes(random.integer(0, 200));
    const bytes = frame(payload, { ...options, ...strange });
    if (random.chance(0.05)) bytes[random.integer(0, bytes.length - 1)] = random.integer(0, 255);
    frames.push(bytes);
  }
  return join(...frames);
}
