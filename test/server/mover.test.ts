import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { PoolConfig } from "../../src/config/types.ts";
import type { Fault } from "../../src/mqtt/fault.ts";
import type { Broker } from "../../src/pool/broker.ts";
import type { Pool } from "../../src/pool/pool.ts";
import { Mover } from "../../src/server/mover.ts";
import type { Session } from "../../src/session/session.ts";
import { type Algorithm, createPool, type Given } from "../pool/pools.ts";
import type { SeededRandom } from "../support/seed.ts";
import { seeded } from "../support/seed.ts";

/** As much of an open session as a mover looks at. */
class Guest {
  readonly connect;
  readonly address: string;
  readonly username: string | undefined = undefined;
  readonly machine = { state: "relaying" };
  readonly upstream = { isAtBoundary: true, finished: false };
  readonly downstream = { isAtBoundary: true, finished: false };
  readonly client = { bufferedBytes: 0 };
  readonly broker = { bufferedBytes: 0 };
  clientStalledAt = 0;
  brokerStalledAt = 0;
  sessionExpirySeconds = 0;
  heardAt = 0;
  chosen: Broker | undefined = undefined;
  movedFrom: Broker | undefined = undefined;
  why: Fault | undefined = undefined;

  readonly clientId: string;
  constructor(clientId: string) {
    this.clientId = clientId;
    this.connect = { clientId, username: undefined };
    this.address = "10.0.0.1";
  }

  step({ fault }: { readonly fault: Fault }): void {
    this.why = fault;
    this.machine.state = "closing";
  }
}

const RATE = { count: 10, perMs: 1_000 };

/** Clients in a pool that is rebalanced, a second at a time. */
class World {
  readonly pool: Pool;
  readonly guests = new Set<Guest>();
  readonly mover: Mover;
  now = 100_000;
  #away: { guest: Guest; at: number }[] = [];
  readonly #random: () => number;
  /** How long a client takes to close. */
  closingMs = 0;
  readonly #closing: { guest: Guest; at: number }[] = [];

  constructor(balance: Algorithm, brokers: Readonly<Record<string, Given>>, more: Partial<PoolConfig> = {}, random: () => number = Math.random) {
    this.#random = random;
    this.pool = createPool(balance, brokers, { rebalance: { rate: RATE, absolute: 5, relative: 1.1 }, ...more } as object);
    this.mover = new Mover({ pool: this.pool, sessions: this.guests as unknown as Iterable<Session>, random });
  }

  come(guest: Guest): Broker {
    const chosen = this.pool.order({ key: guest.clientId, random: this.#random }, this.now)[0] as Broker;
    chosen.sessions++;
    Object.assign(guest, { chosen, why: undefined });
    guest.machine.state = "relaying";
    this.guests.add(guest);
    this.mover.opened(guest as unknown as Session);
    return chosen;
  }

  /** Answers those who were moved; they come again within `awayMs`. */
  second(awayMs = 900): Guest[] {
    this.now += 1_000;
    for (const { guest, at } of this.#away) if (at <= this.now) this.come(new Guest(guest.clientId));
    this.#away = this.#away.filter(({ at }) => at > this.now);
    this.mover.look(this.now);
    const moved = [...this.guests].filter(({ why }) => why !== undefined);
    for (const guest of moved) {
      Object.assign(guest, { why: undefined, movedFrom: guest.chosen });
      this.#closing.push({ guest, at: this.now + this.closingMs });
    }
    while ((this.#closing[0]?.at ?? Infinity) <= this.now) this.#close((this.#closing.shift() as { guest: Guest }).guest, awayMs);
    return moved;
  }

  #close(guest: Guest, awayMs: number): void {
    (guest.chosen as Broker).sessions--;
    guest.chosen = undefined;
    this.guests.delete(guest);
    this.#away.push({ guest, at: this.now + this.#random() * awayMs });
  }

  get away(): number {
    return this.#away.length;
  }

  get shares(): number[] {
    return this.pool.brokers.map(({ sessions }) => sessions);
  }
}

function fill(world: World, count: number): Guest[] {
  return Array.from({ length: count }, (_, index) => {
    const guest = new Guest(`client-${index}`);
    world.come(guest);
    return guest;
  });
}

/** The third broker was down while all came, and is back. */
function comeBack(balance: Algorithm, random: SeededRandom, count = 600, more: Partial<PoolConfig> = {}): World {
  const world = new World(balance, { a: 1, b: 1, c: 1 }, more, random.next);
  world.pool.brokers[2]!.probed("down", world.now, "test");
  fill(world, count);
  assert.equal(world.shares[2], 0);
  world.pool.brokers[2]!.probed("up", world.now, "test");
  return world;
}

describe("Mover", () => {
  for (const balance of ["round_robin", "least_connections", "random"] as const) {
    test(`${balance}: a broker that is back fills up at the rate, to the threshold, and then nobody moves`, () => seeded((random) => {
      const world = comeBack(balance, random);
      let moves = 0;
      for (let second = 0; second < 120; second++) {
        const moved = world.second(random.pick([0, 500, 3_000])).length;
        assert.ok(moved <= 10, `${moved} in one second`);
        if (second < 3) assert.equal(moved, 0, "the broker that is back has to settle first");
        moves += moved;
      }
      for (const share of world.shares) assert.ok(share <= 220 + 1, `shares of 600: ${world.shares}`);
      assert.ok(moves >= 160 && moves <= (balance === "random" ? 600 : 190), `${moves} moves for the 160 that are needed`);
      assert.equal(world.away, 0);
    }));
  }

  test("the idlest go first", () => seeded((random) => {
    const world = comeBack("least_connections", random);
    for (const guest of world.guests) guest.heardAt = random.integer(1, 1_000_000);
    let moved: Guest[] = [];
    while (moved.length === 0) moved = world.second();
    const from = moved[0]!.movedFrom;
    const latest = Math.max(...moved.map(({ heardAt }) => heardAt));
    for (const guest of world.guests) if (guest.chosen === from) assert.ok(guest.heardAt >= latest);
  }));

  test("those who take their time to close are not counted twice: no more move than have to", () => seeded((random) => {
    const world = comeBack("least_connections", random, 60, { rebalance: { rate: { count: 5, perMs: 1_000 }, absolute: 1, relative: 1 } });
    world.closingMs = 5_000;
    let moves = 0;
    for (let second = 0; second < 60; second++) moves += world.second(0).length;
    assert.equal(moves, 18);
    assert.deepEqual(world.shares, [21, 21, 18]);
  }));

  test("nobody is moved who has something on its way, or whose broker keeps its session", () => seeded((random) => {
    const world = comeBack("least_connections", random, 400, { affinity: "session" });
    const busy: ((guest: Guest) => void)[] = [
      (guest) => { guest.upstream.isAtBoundary = false; },
      (guest) => { guest.downstream.isAtBoundary = false; },
      (guest) => { guest.downstream.finished = true; },
      (guest) => { guest.client.bufferedBytes = 1; },
      (guest) => { guest.broker.bufferedBytes = 1; },
      (guest) => { guest.clientStalledAt = 1; },
      (guest) => { guest.brokerStalledAt = 1; },
      (guest) => { guest.machine.state = "closing"; },
      (guest) => { guest.sessionExpirySeconds = 60; },
    ];
    const free = new Set(random.shuffle([...world.guests]).slice(0, 7));
    for (const guest of world.guests) if (!free.has(guest)) random.pick(busy)(guest);
    const moved = new Set<Guest>();
    for (let second = 0; second < 60; second++) for (const guest of world.second()) moved.add(guest);
    assert.deepEqual(moved, free);
  }));

  test("without affinity sessions that are kept move too: the brokers share them, or nobody asked", () => seeded((random) => {
    const world = comeBack("least_connections", random);
    for (const guest of world.guests) guest.sessionExpirySeconds = 60;
    for (let second = 0; second < 60; second++) world.second();
    assert.ok((world.shares[2] as number) >= 155);
  }));

  test("affinity is forgotten: a client that is moved does not come straight back", () => seeded((random) => {
    const world = comeBack("least_connections", random, 100, { affinity: "session" });
    const affinity = world.pool.affinity!;
    for (const guest of world.guests) affinity.opened({ clientId: guest.clientId, broker: guest.chosen as Broker, cleanStart: false, expiryMs: 0, holder: guest }, world.now);
    for (let second = 0; second < 10; second++) for (const guest of world.second()) assert.equal(affinity.find(guest.clientId, world.now), undefined);
  }));

  test("client_id: only those move whose broker it is, each once, and never away from their own", () => seeded((random) => {
    const world = comeBack("client_id", random);
    const own = (guest: Guest) => world.pool.home({ key: guest.clientId, random: random.next }, world.now);
    const moved = new Set<string>();
    for (let second = 0; second < 90; second++) {
      for (const guest of world.second()) {
        assert.equal(own(guest), world.pool.brokers[2]);
        assert.ok(!moved.has(guest.clientId), "moved twice");
        moved.add(guest.clientId);
      }
    }
    assert.ok(moved.size > 100, `${moved.size} moved`);
  }));

  test("a client without an id of its own hashes by its address, and is not moved for the id that its broker gave it", () => {
    const world = new World("client_id", { a: 1, b: 1 });
    for (let index = 0; index < 100; index++) {
      const guest = new Guest(`assigned-${index}`);
      Object.assign(guest, { connect: { clientId: "" } });
      const home = world.pool.home({ key: guest.address, random: Math.random }, world.now) as Broker;
      home.sessions++;
      Object.assign(guest, { chosen: home });
      world.guests.add(guest);
      world.mover.opened(guest as unknown as Session);
    }
    for (let second = 0; second < 10; second++) assert.equal(world.second().length, 0);
  });

  test("first: everybody goes back to the first broker, and stays", () => seeded((random) => {
    const world = new World("first", { a: 1, b: 1 }, {}, random.next);
    world.pool.brokers[0]!.probed("down", world.now, "test");
    fill(world, 50);
    world.pool.brokers[0]!.probed("up", world.now, "test");
    for (let second = 0; second < 30; second++) world.second();
    assert.deepEqual(world.shares, [50, 0]);
    for (let second = 0; second < 30; second++) assert.equal(world.second().length, 0);
  }));

  test("nobody is moved while a broker flaps, or one is down; one that the operator took out holds nothing up", () => seeded((random) => {
    const world = comeBack("least_connections", random);
    const back = world.pool.brokers[2]!;
    for (let second = 0; second < 60; second++) {
      back.probed(second % 3 === 2 ? "down" : "up", world.now, "test");
      assert.equal(world.second().length, 0);
    }
    back.probed("up", world.now, "test");
    world.pool.brokers[0]!.setAdmin("drain", world.now, "test");
    let moved = 0;
    for (let second = 0; second < 60; second++) for (const guest of world.second()) {
      assert.equal(guest.movedFrom, world.pool.brokers[1]);
      moved++;
    }
    assert.ok(moved > 100);
  }));

  test("a rate of less than one a second is kept too, and what was not used is not made up for", () => seeded((random) => {
    const world = comeBack("least_connections", random, 600, { rebalance: { rate: { count: 1, perMs: 10_000 }, absolute: 5, relative: 1.1 } });
    for (const guest of world.guests) guest.clientStalledAt = 1;
    for (let second = 0; second < 100; second++) assert.equal(world.second().length, 0);
    for (const guest of world.guests) guest.clientStalledAt = 0;
    let moved = 0;
    for (let second = 0; second < 100; second++) {
      const now = world.second().length;
      assert.ok(now <= 1);
      moved += now;
    }
    assert.ok(moved >= 8 && moved <= 11, `${moved} in 100 s`);
  }));
});
