import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Choice } from "../../src/pool/balance/types.ts";
import { seeded } from "../support/seed.ts";
import { brokersOf, createBroker, createPool } from "./pools.ts";

const choice = (more: Partial<Choice> = {}): Choice => ({ key: "k", random: () => 0.5, ...more });
const RATE = { count: 1, perMs: 1_000 };

describe("connect_rate of a broker", () => {
  test("Broker.take counts a dial, and refuses it when the rate or the room is used up", () => {
    const broker = createBroker("a", { connectRate: { count: 2, perMs: 1_000 }, sessionsMax: 5 });
    assert.deepEqual([broker.take(0), broker.take(0), broker.take(0), broker.take(500)], [true, true, false, true]);
    broker.sessions = 5;
    assert.equal(broker.take(10_000), false);
    broker.sessions = 4;
    assert.deepEqual([broker.take(10_000), broker.take(10_000)], [true, true], "no token was taken where there was no room");
  });

  for (const balance of ["round_robin", "least_connections", "random", "client_id", "first"] as const) {
    test(`${balance}: a broker that had its rate is passed over until it has refilled; standing in an order takes nothing`, () => {
      const pool = createPool(balance, { a: { connectRate: RATE }, b: { connectRate: RATE } });
      const { a, b } = brokersOf(pool);
      for (let count = 0; count < 10; count++) assert.equal(pool.order(choice(), 0).length, 2);
      assert.equal(a!.take(0), true);
      assert.deepEqual(pool.order(choice(), 0), [b]);
      assert.equal(pool.accepts(a!, choice(), 0), false);
      assert.equal(b!.take(0), true);
      assert.deepEqual(pool.order(choice(), 0), []);
      assert.equal(pool.whyNone(choice(), 0), "rate");
      assert.equal(pool.order(choice(), 1_000).length, 2);
    });
  }

  test("whyNone: the rate only where a broker that is up has room; one that is down or full does not count", () => {
    const pool = createPool("first", { a: { connectRate: RATE, sessionsMax: 1 }, b: { sessionsMax: 1 } });
    const { a, b } = brokersOf(pool);
    a!.take(0);
    b!.sessions = 1;
    assert.equal(pool.whyNone(choice(), 0), "rate");
    a!.sessions = 1;
    assert.equal(pool.whyNone(choice(), 0), "full");
    a!.sessions = 0;
    a!.probed("down", 0, "for the test");
    assert.deepEqual(pool.order(choice(), 0), []);
    assert.equal(pool.whyNone(choice(), 0), "full");
  });

  test("the same for a single broker, and where one serves everybody", () => {
    const single = createPool("first", { a: { connectRate: RATE } });
    assert.equal(brokersOf(single)["a"]!.take(0), true);
    assert.deepEqual([single.order(choice(), 0), single.whyNone(choice(), 0)], [[], "rate"]);
    const all = createPool("first", { a: { connectRate: RATE }, b: {} }, { failOver: "all" });
    assert.equal(brokersOf(all)["a"]!.take(0), true);
    assert.deepEqual(all.order(choice(), 0), [], "nobody goes elsewhere because the one for everybody is slow to take them");
    assert.equal(all.whyNone(choice(), 0), "rate");
  });

  test("whatever comes, no broker is dialed more often than its rate allows, and whoever may be is", () => seeded((random) => {
    const pool = createPool("round_robin", { a: { connectRate: { count: 5, perMs: 1_000 } }, b: { connectRate: { count: 20, perMs: 1_000 } } });
    const dials = new Map(pool.brokers.map((broker) => [broker, 0]));
    let now = 0;
    for (; now < 20_000; now += random.integer(0, 40)) {
      const order = pool.order(choice(), now);
      for (const broker of order.slice(0, random.integer(1, 2))) {
        assert.equal(broker.take(now), true, `${broker.name} in an order can take`);
        dials.set(broker, dials.get(broker)! + 1);
      }
    }
    for (const broker of pool.brokers) {
      const { count, perMs } = broker.config.connectRate!;
      const most = count + (now * count) / perMs;
      assert.ok(dials.get(broker)! <= most + 0.01 && dials.get(broker)! >= most * 0.7, `${dials.get(broker)} of ${most} at ${broker.name}`);
    }
  }));
});
