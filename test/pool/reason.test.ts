import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Choice } from "../../src/pool/balance/types.ts";
import type { Pool } from "../../src/pool/pool.ts";
import { brokersOf, createPool } from "./pools.ts";

const choice = (key: string, more: Partial<Choice> = {}): Choice => ({ key, random: () => 0.5, ...more });

/** Of the order that is made now. */
function reasonOf(pool: Pool, asked: Choice, now = 0): string {
  const [first] = pool.order(asked, now);
  assert.ok(first, "there is an order");
  return pool.reasonFor(first, asked, now);
}

describe("Pool.reasonFor", () => {
  test("is the algorithm's name where it decides", () => {
    for (const balance of ["round_robin", "least_connections", "random", "client_id", "username", "address", "first"] as const) {
      assert.equal(reasonOf(createPool(balance, { a: 1, b: 1 }), choice("x")), balance);
    }
  });

  test("tells the only broker, the one that holds the session, and the one of everybody", () => {
    assert.equal(reasonOf(createPool("random", { a: 1 }), choice("x")), "only_broker");
    const pool = createPool("round_robin", { a: 1, b: 1 });
    assert.equal(reasonOf(pool, choice("x", { preferred: brokersOf(pool)["b"] })), "affinity");
    assert.equal(reasonOf(createPool("client_id", { a: 1, b: 1 }, { failOver: "all" }), choice("x")), "elected");
  });

  test("tells a backup from a primary, and the last resort from both", () => {
    const pool = createPool("round_robin", { a: 1, b: { backup: true } });
    const { a, b } = brokersOf(pool);
    assert.equal(reasonOf(pool, choice("x")), "round_robin");
    a?.failed(0);
    assert.equal(reasonOf(pool, choice("x"), 1), "backup");
    b?.failed(1);
    assert.equal(reasonOf(pool, choice("x"), 2), "last_resort");
  });

  test("tells a broker that stands in for one with too much from the hash's own", () => {
    const pool = createPool("client_id", { a: 1, b: 1 }, { loadMax: 1.1 });
    const [own, other] = pool.order(choice("x"), 0);
    assert.equal(reasonOf(pool, choice("x")), "client_id");
    own!.sessions = 100;
    assert.equal(pool.order(choice("x"), 0)[0], other);
    assert.equal(reasonOf(pool, choice("x")), "load_max");
    own!.sessions = 0;
    own!.failed(0);
    assert.equal(reasonOf(pool, choice("x"), 1), "client_id", "of those that are up it is the hash's own");
  });
});
