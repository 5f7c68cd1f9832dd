import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { brokersOf, createPool, namesOf } from "./pools.ts";

const RETURN = 60_000;
const pair = () => createPool("round_robin", { spare: { backup: true }, a: 1, b: 1 }, { failOver: "all", returnAfterMs: RETURN });
const choice = (key = "k") => ({ key, random: Math.random });

describe('fail_over = "all"', () => {
  test("everybody goes to one broker, whatever the algorithm: the first that is no backup", () => {
    const pool = pair();
    for (let index = 0; index < 20; index++) assert.equal(namesOf(pool.order(choice(`k${index}`), index)), "a");
    assert.equal(pool.elected(20)?.name, "a");
  });

  test("when it goes down or is taken out all move at once to the next; back only after it was good for the quiet time", () => {
    const pool = pair();
    const { a, b } = brokersOf(pool);
    a!.probed("down", 1_000, "test");
    assert.equal(namesOf(pool.order(choice(), 1_000)), "b");
    a!.probed("up", 5_000, "test");
    assert.equal(pool.elected(5_000 + RETURN - 1)?.name, "b");
    assert.equal(pool.elected(5_000 + RETURN)?.name, "a");
    a!.setAdmin("drain", 100_000, "test");
    assert.equal(pool.elected(100_000)?.name, "b");
    b!.setAdmin("maint", 100_000, "test");
    assert.equal(pool.elected(100_001)?.name, "spare");
    b!.setAdmin("ready", 100_002, "test");
    assert.equal(pool.elected(100_003)?.name, "spare", "also a backup is not left before the quiet time");
    assert.equal(pool.elected(100_002 + RETURN)?.name, "b");
  });

  test("one that flaps does not get everybody back", () => {
    const pool = pair();
    const { a } = brokersOf(pool);
    for (let now = 0; now < 20 * RETURN; now += RETURN / 2) {
      a!.probed("down", now, "test");
      assert.equal(pool.elected(now)?.name, "b");
      a!.probed("up", now + 1, "test");
      assert.equal(pool.elected(now + 1)?.name, "b");
    }
  });

  test("single failures of clients do not move everybody; three in a row do", () => {
    const pool = pair();
    const { a } = brokersOf(pool);
    for (let now = 0; now < 20; now += 2) {
      a!.failed(now);
      assert.equal(namesOf(pool.order(choice(), now)), "a");
      if (now % 4 === 0) a!.succeeded(now + 1);
    }
    a!.succeeded(30);
    a!.failed(31);
    a!.failed(32);
    a!.failed(33);
    assert.equal(namesOf(pool.order(choice(), 33)), "b");
  });

  test("full, it moves nobody; none good: all are tried with it first, and it stays elected", () => {
    const pool = pair();
    const { a, b, spare } = brokersOf(pool);
    a!.sessionsMax = 0;
    assert.deepEqual(pool.order(choice(), 0), []);
    assert.equal(pool.whyNone(choice(), 0), "full");
    a!.sessionsMax = 10;
    for (const broker of [spare!, b!, a!]) broker.probed("down", 1, "test");
    assert.equal(namesOf(pool.order(choice(), 2)), "abspare");
    assert.equal(pool.accepts(b!, choice(), 2), true);
    a!.probed("up", 3, "test");
    assert.equal(pool.accepts(b!, choice(), 3), false, "an order from before is too old");
    assert.equal(pool.accepts(a!, choice(), 3), true);
  });

  test("of brokers that are all down the one that answers a client first is elected", () => {
    const pool = pair();
    const { a, b } = brokersOf(pool);
    for (const broker of pool.brokers) for (let count = 0; count < 3; count++) broker.failed(0);
    assert.equal(pool.order(choice(), 1).length, 3);
    b!.succeeded(2);
    assert.equal(namesOf(pool.order(choice(), 3)), "b");
    assert.ok(!a!.state.isGood);
  });
});
