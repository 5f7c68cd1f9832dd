import assert from "node:assert/strict";
import { test } from "node:test";
import { TICK_MS } from "../../src/lib/timer_wheel.ts";
import { FakeConnection, VirtualTime } from "../support/fake_network.ts";
import * as m from "../support/mqtt_bytes.ts";
import { chooseSeed, seeded, type SeededRandom } from "../support/seed.ts";
import { type StartedDial, TunnelWorld } from "./tunnel_world.ts";

const NOTHING = new Uint8Array(0);

/** The far end of a fake connection: what it said and saw. */
class FarEnd {
  readonly connection: FakeConnection;
  said: Uint8Array = NOTHING;
  seen: Uint8Array = NOTHING;
  sawEnd = false;
  hasEnded = false;

  constructor(connection: FakeConnection) {
    this.connection = connection;
    connection.peer = {
      data: (bytes) => { this.seen = m.bytes(this.seen, bytes); },
      end: () => { this.sawEnd = true; },
      closed: () => {},
    };
  }

  say(bytes: Uint8Array): void {
    if (this.hasEnded || this.connection.isClosed) return;
    this.said = m.bytes(this.said, bytes);
    this.connection.peerSend(bytes);
  }

  end(): void {
    this.hasEnded = true;
    this.connection.peerEnd();
  }

  act(random: SeededRandom): void {
    const choice = random.integer(0, 99);
    if (choice < 70) this.say(random.bytes(random.pick([1, 10, 300, 5_000])));
    else if (choice < 80) this.connection.peerReads(random.chance(0.6));
    else if (choice < 83) this.end();
    else if (choice < 86) this.connection.peerReset();
  }
}

/** A client, and the broker that it came to, if it did. */
interface Pair {
  readonly client: FarEnd;
  broker: FarEnd | undefined;
}

class Simulation {
  readonly time = new VirtualTime();
  readonly world = new TunnelWorld(3);
  readonly pairs: Pair[] = [];
  readonly #random: SeededRandom;
  readonly #pairOf = new Map<object, Pair>();

  constructor(random: SeededRandom) {
    this.#random = random;
    this.world.onDial = (dial) => this.#dialed(dial);
    this.#tick();
  }

  #tick(): void {
    this.time.after(TICK_MS, () => {
      this.world.now += TICK_MS;
      this.world.wheel.advance(this.world.now);
      this.#tick();
    });
  }

  connect(): void {
    const client = new FarEnd(new FakeConnection(this.time, this.#random, "10.0.0.9", 40_000 + this.pairs.length));
    const pair: Pair = { client, broker: undefined };
    this.pairs.push(pair);
    const hello = this.#random.bytes(this.#random.integer(1, 2_000));
    client.said = hello;
    this.#pairOf.set(this.world.begin(client.connection, hello), pair);
  }

  #dialed(dial: StartedDial): void {
    const outcome = this.#random.integer(0, 9);
    if (outcome === 0) return; // a black hole
    this.time.after(this.#random.integer(1, 500), () => {
      if (dial.isCancelled) return;
      dial.isSettled = true;
      if (outcome < 3) return dial.handler.failed({ code: "refused", message: "connection refused" });
      const connection = new FakeConnection(this.time, this.#random, dial.broker.name, 8883);
      const pair = this.#pairOf.get(dial.handler) as Pair;
      pair.broker = new FarEnd(connection);
      dial.handler.opened(connection);
    });
  }

  run(milliseconds: number): void {
    this.time.runUntil(this.time.now + milliseconds);
  }
}

const isPrefix = (part: Uint8Array, whole: Uint8Array) => part.length <= whole.length && Buffer.compare(part, whole.subarray(0, part.length)) === 0;

function checkBytes({ pairs }: Simulation): void {
  for (const { client, broker } of pairs) {
    assert.ok(isPrefix(client.seen, broker?.said ?? NOTHING), "a client saw what its broker did not say");
    assert.ok(broker === undefined || isPrefix(broker.seen, client.said), "a broker saw what its client did not say");
  }
}

function run(random: SeededRandom): void {
  const simulation = new Simulation(random);
  for (let step = 0; step < 120; step++) {
    simulation.run(random.pick([1, 20, 200, 1_000]));
    if (simulation.pairs.length < 20 && random.chance(0.4)) simulation.connect();
    for (const { client, broker } of simulation.pairs) {
      if (random.chance(0.3)) client.act(random);
      if (random.chance(0.2)) broker?.act(random);
    }
  }
  checkBytes(simulation);
  // Every client goes; a broker that reads closes when its client has. One that does not read is cut.
  for (const { client } of simulation.pairs) {
    client.connection.peerReads(true);
    client.end();
  }
  for (let step = 0; step < 200; step++) {
    simulation.run(150);
    for (const { broker } of simulation.pairs) if (broker?.sawEnd === true && !broker.hasEnded) broker.end();
  }
  checkBytes(simulation);
  simulation.world.assertNothingLeft();
  for (const { client, broker } of simulation.pairs) assert.ok(client.connection.isClosed && (broker?.connection.isClosed ?? true), "a connection is left open");
}

/** Without a reset and without anybody who does not read, every byte arrives, and the FINs behind them. */
function runInOrder(random: SeededRandom): void {
  const simulation = new Simulation(random);
  for (let count = 0; count < 10; count++) simulation.connect();
  for (let step = 0; step < 60; step++) {
    simulation.run(random.pick([1, 20, 100]));
    for (const { client, broker } of simulation.pairs) {
      if (random.chance(0.3)) client.say(random.bytes(random.pick([1, 300, 5_000])));
      if (random.chance(0.3)) broker?.say(random.bytes(random.pick([1, 300, 5_000])));
    }
  }
  simulation.run(20_000);
  for (const { client } of simulation.pairs) client.end();
  simulation.run(1_000);
  const served = simulation.pairs.flatMap(({ client, broker }) => (broker === undefined ? [] : [{ client, broker }]));
  for (const { broker } of served) {
    assert.ok(broker.sawEnd, "a FIN did not arrive");
    broker.say(random.bytes(10_000));
    broker.end();
  }
  simulation.run(1_000);
  for (const { client, broker } of served) {
    assert.equal(Buffer.compare(broker.seen, client.said), 0, "bytes are lost on the way to the broker");
    assert.equal(Buffer.compare(client.seen, broker.said), 0, "bytes are lost on the way to the client");
    assert.ok(client.sawEnd);
  }
  simulation.run(20_000);
  simulation.world.assertNothingLeft();
}

const first = chooseSeed();
const seeds = process.env["SLUICE_SEED"] === undefined ? 128 : 1;

test(`Tunnel: ${seeds} seeds of faults on both sides: every byte in its place, nothing left over (first seed ${first})`, async () => {
  for (let index = 0; index < seeds; index++) await seeded(run, (first + index) >>> 0);
});

test(`Tunnel: ${seeds / 4} seeds without faults: every byte arrives, and every FIN behind it (first seed ${first})`, async () => {
  for (let index = 0; index < Math.max(1, seeds / 4); index++) await seeded(runInOrder, (first + index) >>> 0);
});
