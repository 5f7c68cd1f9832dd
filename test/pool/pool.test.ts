import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { REST_MS } from "../../src/pool/broker.ts";
import type { Pool } from "../../src/pool/pool.ts";
import { type SeededRandom, seeded } from "../support/seed.ts";
import { type Algorithm, createPool, namesOf } from "./pools.ts";

const first = (pool: Pool, random: SeededRandom, key: string, now = 0) => pool.order({ key, random: random.next }, now)[0]!;

/** Sends many clients, who stay, and answers each broker's share. */
function shares(pool: Pool, random: SeededRandom, clients: number): Record<string, number> {
  const count: Record<string, number> = {};
  for (let index = 0; index < clients; index++) {
    const broker = first(pool, random, `client-${random.integer(0, 1e9)}`);
    broker.sessions++;
    count[broker.name] = (count[broker.name] ?? 0) + 1 / clients;
  }
  return count;
}

/** Those that share clients out; `first` does not. */
const ALL: readonly Algorithm[] = ["round_robin", "least_connections", "random", "client_id", "username", "address"];

describe("balance", () => {
  for (const balance of ALL) {
    test(`${balance}: shares follow the weights within a tenth`, () => seeded((random) => {
      const share = shares(createPool(balance, { a: 1, b: 2, c: 5 }), random, 20_000);
      for (const [name, want] of [["a", 1 / 8], ["b", 2 / 8], ["c", 5 / 8]] as const) {
        assert.ok(Math.abs((share[name] ?? 0) - want) < want / 10, `${name}: ${share[name]}, expected about ${want}`);
      }
    }));

    test(`${balance}: every order names every broker once`, () => seeded((random) => {
      const pool = createPool(balance, { a: 1, b: 3, c: 2, d: 1 });
      for (let round = 0; round < 200; round++) {
        const names = pool.order({ key: `k${round}`, random: random.next }, 0).map((broker) => broker.name);
        assert.deepEqual([...names].sort(), ["a", "b", "c", "d"]);
      }
    }));
  }

  test("round_robin is smooth: 5, 1, 1 never picks the heavy one more than three times in a row", () => seeded((random) => {
    const pool = createPool("round_robin", { a: 5, b: 1, c: 1 });
    const picks = Array.from({ length: 14 }, () => first(pool, random, "k").name).join("");
    assert.equal(picks, "aabacaaaabacaa");
  }));

  test("client_id: the same client always goes the same way, in any process", () => seeded((random) => {
    const names = ["sensor-1", "sensor-2", "sensor-3", "λ", ""].map((key) => first(createPool("client_id", { "10.0.0.1:1883": 1, "10.0.0.2:1883": 1, "10.0.0.3:1883": 1 }), random, key).name);
    assert.deepEqual(names, FIXED_CHOICE, "a change here moves every client of every user");
  }));

  test("client_id: when a broker goes, only its clients move; when it comes back, they return (U13)", () => seeded((random) => {
    const three = createPool("client_id", { a: 1, b: 1, c: 1 });
    const two = createPool("client_id", { a: 1, b: 1 });
    for (let index = 0; index < 5_000; index++) {
      const before = first(three, random, `client-${index}`).name;
      if (before !== "c") assert.equal(first(two, random, `client-${index}`).name, before);
    }
  }));

  for (const balance of ["username", "address"] as const) {
    test(`${balance}: whoever shares it shares a broker; without it a client goes by its key`, () => seeded((random) => {
      const pool = createPool(balance, { a: 1, b: 1, c: 1 });
      const go = (key: string, value: string | undefined) => pool.order({ key, [balance]: value, random: random.next }, 0)[0];
      for (let index = 0; index < 300; index++) {
        assert.equal(go(`client-${index}`, `shared-${index % 7}`), go("another", `shared-${index % 7}`));
        assert.equal(go(`client-${index}`, undefined), go(`client-${index}`, ""), "an empty one is none");
      }
      assert.equal(new Set(Array.from({ length: 50 }, (_, index) => go(`client-${index}`, undefined))).size, 3, "those without are not all together");
    }));
  }

  test("first: as configured, whatever the weights", () => {
    assert.equal(namesOf(createPool("first", { b: 1, a: 9, c: 3 }).order({ key: "k", random: Math.random }, 0)), "bac");
  });

  test("client_id: near-equal ids spread", () => seeded((random) => {
    const pool = createPool("client_id", { a: 1, b: 1, c: 1, d: 1 });
    const count: Record<string, number> = {};
    for (let index = 0; index < 4_000; index++) {
      const { name } = first(pool, random, `device-${String(index).padStart(5, "0")}`);
      count[name] = (count[name] ?? 0) + 1;
    }
    for (const name of ["a", "b", "c", "d"]) assert.ok(Math.abs((count[name] ?? 0) - 1000) < 120, `${name}: ${count[name]}`);
  }));
});

const FIXED_CHOICE = ["10.0.0.2:1883", "10.0.0.1:1883", "10.0.0.3:1883", "10.0.0.3:1883", "10.0.0.2:1883"];

describe("Pool.order", () => {
  for (const balance of ALL) {
    test(`${balance}: a broker that just failed comes last, is tried by one client after its rest, and is back after success`, () => seeded((random) => {
      const pool = createPool(balance, { a: 1, b: 1, c: 1 });
      const bad = pool.brokers[0]!;
      assert.equal(bad.failed(0), true);
      assert.equal(bad.failed(0), false, "news only once");
      const lastIsBad = (now: number) => pool.order({ key: "k", random: random.next }, now).at(-1) === bad;
      for (let round = 0; round < 50; round++) assert.ok(lastIsBad(round));
      let trials = 0;
      for (let index = 0; index < 300; index++) {
        if (first(pool, random, `client-${index}`, REST_MS + 1) === bad) trials++;
      }
      assert.equal(trials, 1);
      assert.equal(bad.succeeded(), true);
      let picks = 0;
      for (let index = 0; index < 300; index++) if (first(pool, random, `client-${index}`, REST_MS + 2) === bad) picks++;
      assert.ok(picks > 50);
    }));
  }

  test("one client cannot mark a broker that answers others; two different ones in a row, or a failed dial, do", () => {
    const [broker] = createPool("round_robin", { a: 1, b: 1 }).brokers;
    assert.ok(broker);
    for (let round = 0; round < 5; round++) assert.equal(broker.suspected("poison", 0), false);
    assert.equal(broker.succeeded(), false, "it never counted as failed");
    assert.equal(broker.suspected("other", 0), false, "a success in between clears it");
    assert.equal(broker.suspected("third", 0), true);
    assert.equal(broker.isResting(1), true);
    assert.equal(broker.succeeded(), true);
    assert.equal(broker.failed(0), true);
  });

  test("all brokers resting: all are still tried", () => {
    const pool = createPool("round_robin", { a: 1, b: 1 });
    for (const broker of pool.brokers) broker.failed(0);
    assert.equal(pool.order({ key: "k", random: Math.random }, 1).length, 2);
  });
});
