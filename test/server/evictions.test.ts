import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { TICK_MS, TimerWheel } from "../../src/lib/timer_wheel.ts";
import type { Fault } from "../../src/mqtt/fault.ts";
import type { Broker } from "../../src/pool/broker.ts";
import type { Pool } from "../../src/pool/pool.ts";
import type { PoolSettings } from "../../src/pool/settings.ts";
import { Evictions, LOOK_EVERY_MS } from "../../src/server/evictions.ts";
import type { Session } from "../../src/session/session.ts";
import { brokersOf, createPool } from "../pool/pools.ts";
import { type SeededRandom, seeded } from "../support/seed.ts";

/** What evictions see of a session or a tunnel. */
abstract class Guest {
  readonly pool: Pool;
  chosen: Broker | undefined;
  isOpen = true;
  why: Fault | undefined = undefined;

  constructor(pool: Pool, chosen: Broker) {
    this.pool = pool;
    this.chosen = chosen;
  }

  protected leave(why: Fault): void {
    assert.ok(this.isOpen, "nobody is sent away who has left");
    this.why = why;
    this.close();
  }

  close(): void {
    this.isOpen = false;
    this.chosen = undefined;
  }
}

class FakeSession extends Guest {
  readonly machine = {};

  step({ type, fault }: { readonly type: string; readonly fault: Fault }): void {
    assert.equal(type, "leave");
    this.leave(fault);
  }
}

class FakeTunnel extends Guest {
  end(why: Fault): void {
    this.leave(why);
  }
}

const STEP_MAX_MS = 180;
/** The wheel keeps a deadline to two ticks, and is turned when this world gets to it. */
const LAG_MS = 2 * TICK_MS + STEP_MAX_MS;

/** A pool of two brokers whose guests are really evicted, in virtual time. */
class World {
  readonly pool: Pool;
  readonly a: Broker;
  readonly b: Broker;
  readonly windowMs: number;
  readonly evictions: Evictions;
  readonly guests: Guest[] = [];
  readonly #wheel = new TimerWheel(0);
  readonly #random: SeededRandom;

  constructor(random: SeededRandom, windowMs: number, settings: PoolSettings = {}) {
    this.#random = random;
    this.windowMs = windowMs;
    this.pool = createPool("first", { a: 1, b: 1 }, { ...settings, evictWithinMs: windowMs });
    const { a, b } = brokersOf(this.pool);
    [this.a, this.b] = [a as Broker, b as Broker];
    this.evictions = new Evictions({ pools: [this.pool], guests: () => this.guests as unknown as Session[], wheel: this.#wheel });
  }

  get now(): number {
    return this.#wheel.now;
  }

  /** So many come to a broker. */
  come(count: number, broker: Broker): void {
    for (let index = 0; index < count; index++) this.guests.push(new (this.#random.chance(0.8) ? FakeSession : FakeTunnel)(this.pool, broker));
  }

  /** How many have been sent away. */
  get gone(): number {
    return this.guests.filter(({ why }) => why !== undefined).length;
  }

  at(broker: Broker): number {
    return this.guests.filter(({ chosen }) => chosen === broker).length;
  }

  takeDown(broker: Broker): void {
    broker.probed("down", this.now, "test");
    this.evictions.empty(broker);
  }

  bringUp(broker: Broker): void {
    broker.probed("up", this.now, "test");
  }

  /** Time goes on in steps of any length; `look` is called after each. */
  pass(milliseconds: number, look = () => {}): void {
    const end = this.now + milliseconds;
    while (this.now < end) {
      this.#wheel.advance(Math.min(end, this.now + this.#random.integer(1, STEP_MAX_MS)));
      look();
    }
  }

  /** For each moment of a window that begins now: as many of `total` are gone as are due, give or take what the clock's ticks make of it. */
  checkSpread(total: number, milliseconds = this.windowMs): void {
    const [since, before] = [this.now, this.gone];
    const dueAfter = (elapsed: number) => Math.min(total, (total * Math.max(0, elapsed)) / this.windowMs);
    this.pass(milliseconds, () => {
      const [elapsed, gone] = [this.now - since, this.gone - before];
      const [most, least] = [Math.ceil(dueAfter(elapsed) + 1e-6), Math.floor(dueAfter(elapsed - LAG_MS))];
      assert.ok(gone <= most, `${gone} of ${total} are gone after ${elapsed} of ${this.windowMs} ms, and ${most} are due`);
      assert.ok(gone >= least, `only ${gone} of ${total} are gone after ${elapsed} of ${this.windowMs} ms, and ${least} were due`);
    });
  }
}

const codesOf = (world: World) => [...new Set(world.guests.map(({ why }) => why?.code))];

describe("Evictions", () => {
  test("those of a broker that is down leave evenly over the window, and all are gone at its end", () => seeded((random) => {
    for (const total of [1, 2, 10, 100, random.integer(3, 2_000)]) {
      for (const windowMs of [1_000, 20_000, random.integer(500, 60_000)]) {
        const world = new World(random, windowMs);
        world.come(total, world.a);
        world.come(10, world.b);
        world.pass(random.integer(0, 3_000));
        world.takeDown(world.a);
        world.checkSpread(total, windowMs + LAG_MS);
        assert.deepEqual([world.at(world.a), world.at(world.b)], [0, 10]);
        assert.deepEqual(codesOf(world), ["broker_down", undefined]);
      }
    }
  }));

  test("without a window they leave at once; who left by itself is not asked, and makes nobody else leave sooner", () => seeded((random) => {
    const sudden = new World(random, 0);
    sudden.come(100, sudden.a);
    sudden.takeDown(sudden.a);
    sudden.pass(LAG_MS);
    assert.equal(sudden.gone, 100);

    const world = new World(random, 10_000);
    world.come(100, world.a);
    world.takeDown(world.a);
    for (const guest of world.guests.filter((_, index) => index % 2 === 0)) guest.close();
    world.checkSpread(50, 10_000 + LAG_MS);
    assert.equal(world.gone, 50);
  }));

  test("when the broker is up again the others stay, also while it is tried; when it falls again all leave within the window", () => seeded((random) => {
    const world = new World(random, 20_000);
    world.come(100, world.a);
    world.takeDown(world.a);
    world.checkSpread(100, 4_000);
    world.a.probed("checking", world.now, "test");
    world.pass(1_000);
    assert.ok(world.gone >= 23 && world.gone <= 25, `${world.gone} after a quarter of the window: one that is tried is not up`);
    world.bringUp(world.a);
    const { gone } = world;
    world.pass(random.integer(0, 40_000));
    assert.equal(world.gone, gone);
    world.takeDown(world.a);
    const since = world.now;
    // Those whose turn has not come yet keep it, the others have a new one: that may be as many again in a time.
    const most = () => 1 + Math.ceil((2 * 100 * (world.now - since)) / 20_000);
    world.pass(20_000 + LAG_MS, () => assert.ok(world.gone - gone <= most(), `${world.gone - gone} more after ${world.now - since} ms, and ${most()} are due`));
    assert.equal(world.gone, 100);
  }));

  test("maint: it is put back in the middle; those who come too late have a window of their own; a broker that is down meanwhile is not well", () => seeded((random) => {
    const world = new World(random, 10_000);
    world.come(100, world.a);
    world.a.setAdmin("maint", world.now, "test");
    world.evictions.empty(world.a);
    world.pass(5_000);
    const { gone } = world;
    assert.ok(gone >= 45 && gone <= 50, String(gone));
    world.a.setAdmin("ready", world.now, "test");
    world.pass(10_000);
    assert.equal(world.gone, gone);

    world.a.setAdmin("maint", world.now, "test");
    world.evictions.empty(world.a);
    world.pass(9_000);
    world.come(2, world.a);
    world.evictions.empty(world.a);
    world.pass(1_000 + LAG_MS);
    assert.equal(world.at(world.a), 1, "the second of the two");
    world.takeDown(world.a);
    world.a.setAdmin("ready", world.now, "test");
    world.pass(10_000);
    assert.equal(world.at(world.a), 0);
    assert.deepEqual(codesOf(world), ["broker_maintenance", "broker_down"]);
  }));
});

describe('Evictions where fail_over = "all"', () => {
  const shared = (random: SeededRandom, returnAfterMs: number) => new World(random, 10_000, { failOver: "all", returnAfterMs });

  test("who is on the one before leaves over the window, though that is up again in the middle of it", () => seeded((random) => {
    const world = shared(random, 60_000);
    world.come(200, world.a);
    world.takeDown(world.a);
    world.pass(random.integer(LOOK_EVERY_MS + LAG_MS, 9_000)); // the other one is elected
    world.bringUp(world.a);
    world.pass(10_000 + LAG_MS - world.now);
    assert.equal(world.at(world.a), 0, "none is left, and none began anew");
  }));

  test("back to the better one after return_after: over the window, seen with the next look, and also who comes late", () => seeded((random) => {
    const world = shared(random, 5_000);
    world.takeDown(world.a);
    world.pass(1_000);
    world.come(100, world.b);
    world.bringUp(world.a);
    world.pass(4_900);
    assert.equal(world.gone, 0, "not before its time");
    const [lookMs, since] = [LOOK_EVERY_MS + LAG_MS, world.now];
    world.pass(2_500, () => assert.ok(world.gone <= Math.ceil((world.now - since) / 100), `${world.gone} of 100 after ${world.now - since} ms`));
    assert.ok(world.gone >= Math.floor((2_500 - 100 - lookMs - LAG_MS) / 100), `${world.gone} of 100 after a quarter`);
    world.pass(7_600 + lookMs);
    assert.equal(world.at(world.b), 0);
    assert.deepEqual(codesOf(world), ["broker_moved"]);
    world.come(3, world.b);
    world.pass(10_000 + lookMs + LAG_MS);
    assert.equal(world.at(world.b), 0);
  }));

  test("who is not yet on the way when their broker is elected again stays there", () => seeded((random) => {
    const world = shared(random, 0);
    world.come(100, world.a);
    world.a.setAdmin("drain", world.now, "test");
    world.pass(5_000);
    const { gone } = world;
    assert.ok(gone > 20 && gone <= 50, String(gone));
    world.a.setAdmin("ready", world.now, "test");
    world.pass(20_000);
    assert.equal(world.gone, gone);
  }));

  test("nobody moves while the elected one cannot take them", () => seeded((random) => {
    const world = shared(random, 0);
    for (const broker of [world.a, world.b]) world.takeDown(broker);
    world.come(10, world.b); // it took them all the same
    world.pass(20_000);
    assert.equal(world.at(world.b), 10);
  }));

  test("after close nobody leaves any more", () => seeded((random) => {
    const world = shared(random, 0);
    world.come(10, world.a);
    world.takeDown(world.a);
    world.evictions.close();
    world.pass(20_000);
    assert.equal(world.gone, 0);
  }));
});
