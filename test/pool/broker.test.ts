import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CHANGES_MAX } from "../../src/pool/broker_state.ts";
import { REST_MS } from "../../src/pool/broker.ts";
import { WARM_LEAST } from "../../src/pool/settings.ts";
import { seeded } from "../support/seed.ts";
import { brokersOf, createBroker, createPool } from "./pools.ts";

describe("Broker's states", () => {
  test("what clients meet is its health: down, checking while one tries, up; each with its moment and cause", () => {
    const broker = createBroker();
    broker.failed(100, "connection refused");
    broker.failed(150, "connection refused");
    broker.takeTrial(100 + REST_MS);
    assert.equal(broker.state.health, "checking");
    broker.failed(10_200, "no answer");
    broker.takeTrial(20_200);
    assert.equal(broker.succeeded(20_300), true);
    assert.deepEqual(broker.state.changes, [
      { at: 100, from: "up", to: "down", cause: "connection refused" },
      { at: 10_100, from: "down", to: "checking", cause: "a client tries it again" },
      { at: 10_200, from: "checking", to: "down", cause: "no answer" },
      { at: 20_200, from: "down", to: "checking", cause: "a client tries it again" },
      { at: 20_300, from: "checking", to: "up", cause: "it answered a client" },
    ]);
    assert.equal(broker.state.goodSince, 20_300);
  });

  test("the probes' verdict stands beside what clients meet: a client does not overrule it, and its up clears their failures", () => {
    const broker = createBroker();
    assert.equal(broker.probed("down", 1, "3 probes failed"), true);
    assert.equal(broker.failed(2), false, "no news");
    assert.equal(broker.succeeded(3), false);
    assert.equal(broker.state.health, "down");
    assert.equal(broker.isDown(REST_MS * 5), true, "no rest ends it");
    broker.failed(4);
    assert.equal(broker.probed("up", 5, "2 probes answered"), true);
    assert.deepEqual([broker.state.health, broker.failures, broker.isDown(5), broker.isOrdinary], ["up", 0, false, true]);
  });

  test("the operator's state and the health change independently; good is ready and up", () => {
    const { state } = createBroker();
    assert.equal(state.setAdmin("drain", 1, "sluice broker drain"), true);
    assert.equal(state.setAdmin("drain", 2, "again"), false);
    state.setHealth("down", 3, "x");
    state.setAdmin("ready", 4, "x");
    assert.equal(state.isGood, false);
    state.setHealth("up", 5, "x");
    assert.deepEqual([state.isGood, state.goodSince, state.admin, state.health], [true, 5, "ready", "up"]);
  });

  test("the history is bounded: the newest changes are kept", () => {
    const broker = createBroker();
    for (let at = 0; at < 1_000; at++) broker.setAdmin(at % 2 === 0 ? "drain" : "ready", at, `change ${at}`);
    assert.equal(broker.state.changes.length, CHANGES_MAX);
    assert.equal(broker.state.changes.at(-1)?.cause, "change 999");
  });

  test("below failuresMax failures do not count, a success in between clears them, and there are three of them where everybody moves", () => {
    const broker = createBroker("a", 1, { failuresMax: 2 });
    assert.equal(broker.failed(0), false);
    broker.succeeded(1);
    assert.equal(broker.failed(2), false);
    assert.equal(broker.isDown(3), false);
    assert.equal(broker.failed(3), true);
    assert.equal(broker.isDown(4), true);
    const all = createBroker("a", 1, { failOver: "all" });
    assert.deepEqual([all.failed(0), all.failed(0), all.failed(0)], [false, false, true]);
  });

  test("a weight must be above 0", () => {
    for (const weight of [0, -1, NaN, Infinity]) assert.throws(() => createBroker().setWeight(weight, 0), /set the weight of a to/);
  });
});

describe("Broker's slow start", () => {
  test("after down and after maint the weight grows from a tenth to what is set; after drain it is whole at once", () => {
    const broker = createBroker("a", 4, { slowStartMs: 10_000 });
    const weightAt = (now: number) => {
      broker.refresh(now);
      return broker.weight;
    };
    assert.equal(weightAt(0), 4, "it begins warm");
    broker.probed("down", 0, "test");
    broker.probed("up", 1_000, "test");
    assert.deepEqual([1_000, 1_500, 6_000, 10_999].map(weightAt), [4 * WARM_LEAST, 4 * WARM_LEAST, 2, 3.9996]);
    broker.setWeight(8, 6_000);
    assert.equal(weightAt(6_000), 4, "a new weight warms up too");
    assert.equal(broker.isOrdinary, false);
    assert.equal(weightAt(11_000), 8);
    assert.equal(broker.isOrdinary, true);
    broker.setAdmin("drain", 20_000, "test");
    broker.setAdmin("ready", 20_000, "test");
    assert.equal(weightAt(20_000), 8);
    broker.setAdmin("maint", 30_000, "test");
    broker.setAdmin("ready", 30_000, "test");
    assert.equal(weightAt(35_000), 4);
  });

  test("least_connections does not flood a broker that came back", () => {
    const pool = createPool("least_connections", { a: 1, b: 1 }, { slowStartMs: 10_000 });
    const { a, b } = brokersOf(pool);
    b!.probed("down", 0, "test");
    a!.sessions = 1_000;
    b!.probed("up", 0, "test");
    for (let count = 0; count < 500; count++) pool.order({ key: "k", random: Math.random }, 1)[0]!.sessions++;
    assert.ok(b!.sessions > 100 && b!.sessions < 150, `${b!.sessions} at once, the tenth of a share is 100`);
  });

  test("client_id: clients come back one way only, to the one that warms up", () => seeded((random) => {
    const pool = createPool("client_id", { a: 1, b: 1, c: 1 }, { slowStartMs: 10_000 });
    const { c } = brokersOf(pool);
    c!.probed("down", 0, "test");
    const homes = (now: number) => Array.from({ length: 2_000 }, (_, index) => pool.order({ key: `client-${index}`, random: random.next }, now)[0]!);
    let before = homes(0);
    c!.probed("up", 0, "test");
    for (const now of [1, 3_000, 6_000, 10_000]) {
      const after = homes(now);
      for (const [index, home] of after.entries()) assert.ok(home === before[index] || home === c);
      before = after;
    }
    assert.ok(before.filter((home) => home === c).length > 550);
  }));
});

describe("Broker.setWeight", () => {
  test("client_id: a larger weight draws clients to it and moves no others", () => seeded((random) => {
    const pool = createPool("client_id", { a: 1, b: 1, c: 1 });
    const { b } = brokersOf(pool);
    const homes = () => Array.from({ length: 3_000 }, (_, index) => pool.order({ key: `client-${index}`, random: random.next }, 0)[0]!);
    const before = homes();
    b!.setWeight(2, 0);
    const after = homes();
    for (const [index, home] of after.entries()) assert.ok(home === before[index] || home === b);
    assert.ok(Math.abs(after.filter((home) => home === b).length - 1_500) < 150);
  }));
});
