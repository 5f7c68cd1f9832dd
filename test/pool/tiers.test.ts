import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Choice } from "../../src/pool/balance/types.ts";
import { REST_MS } from "../../src/pool/broker.ts";
import { seeded } from "../support/seed.ts";
import { type Algorithm, brokersOf, createPool, namesOf } from "./pools.ts";

const ALL: readonly Algorithm[] = ["round_robin", "least_connections", "random", "client_id", "username", "address", "first"];
const choice = (key: string, more: Partial<Choice> = {}): Choice => ({ key, random: Math.random, ...more });
const sorted = (word: string) => [...word].sort().join("");

describe("Pool.order leaves out whom it must", () => {
  for (const balance of ALL) {
    test(`${balance}: a broker in maint or drain gets nobody, and is back when it is ready`, () => {
      const pool = createPool(balance, { a: 1, b: 1, c: 1 });
      const { a, b } = brokersOf(pool);
      a!.setAdmin("maint", 0, "test");
      b!.setAdmin("drain", 0, "test");
      for (let index = 0; index < 50; index++) assert.equal(namesOf(pool.order(choice(`k${index}`), 1)), "c");
      a!.setAdmin("ready", 2, "test");
      b!.setAdmin("ready", 2, "test");
      assert.equal(sorted(namesOf(pool.order(choice("k"), 3))), "abc");
    });

    test(`${balance}: a full broker is passed over; all full: nobody, and whyNone says so (U11)`, () => {
      const pool = createPool(balance, { a: { sessionsMax: 2 }, b: { sessionsMax: 3 } });
      for (let index = 0; index < 5; index++) {
        const [broker] = pool.order(choice(`k${index}`), 0);
        broker!.sessions++;
      }
      assert.deepEqual(pool.brokers.map(({ sessions }) => sessions), [2, 3]);
      assert.deepEqual(pool.order(choice("k"), 0), []);
      assert.equal(pool.whyNone(choice("k"), 0), "full");
      pool.brokers[1]!.sessions--;
      assert.equal(namesOf(pool.order(choice("k"), 0)), "b");
    });

    test(`${balance}: backups come behind all others, and alone when none of those will do`, () => {
      const pool = createPool(balance, { spare: { backup: true, weight: 9 }, a: 1, b: 1 });
      const { a, b } = brokersOf(pool);
      for (let index = 0; index < 50; index++) assert.equal(pool.order(choice(`k${index}`), 0).at(-1)?.name, "spare");
      a!.probed("down", 0, "test");
      assert.equal(namesOf(pool.order(choice("k"), 0)), "bspare", "one that is left is enough");
      b!.failed(0);
      assert.equal(namesOf(pool.order(choice("k"), 1)), "spareb", "one that just failed comes behind the backup");
      b!.setAdmin("maint", 1, "test");
      assert.equal(namesOf(pool.order(choice("k"), 1)), "spare");
    });

    test(`${balance}: brokers that the probes found down are out; when all are down all are tried`, () => {
      const pool = createPool(balance, { a: 1, b: 1, c: 1 });
      const [a, b, c] = pool.brokers;
      a!.probed("down", 0, "test");
      for (let index = 0; index < 50; index++) assert.equal(sorted(namesOf(pool.order(choice(`k${index}`), 1))), "bc");
      b!.probed("down", 1, "test");
      c!.failed(1);
      assert.equal(sorted(namesOf(pool.order(choice("k"), 2))), "abc");
      a!.probed("checking", 2, "test");
      assert.equal(sorted(namesOf(pool.order(choice("k"), 3))), "abc", "one that is being checked is not up");
      a!.probed("up", 3, "test");
      assert.equal(namesOf(pool.order(choice("k"), 4)), "ac", "c rests, b is out");
    });
  }

  test("with one that is up but full, clients wait for it and do not go where it is down", () => {
    const pool = createPool("round_robin", { a: { sessionsMax: 1 }, b: 1 });
    const { a, b } = brokersOf(pool);
    a!.sessions = 1;
    b!.probed("down", 0, "test");
    assert.deepEqual(pool.order(choice("k"), 1), []);
    assert.equal(pool.whyNone(choice("k"), 0), "full");
  });

  test("all taken out: nobody, and whyNone says so; the same for a single broker", () => {
    for (const names of ["a", "ab"]) {
      const pool = createPool("first", Object.fromEntries([...names].map((name) => [name, 1])));
      for (const broker of pool.brokers) broker.setAdmin("maint", 0, "test");
      assert.deepEqual(pool.order(choice("k"), 0), []);
      assert.equal(pool.whyNone(choice("k"), 0), "taken_out");
    }
  });

  test("a single broker that is down is tried all the same", () => {
    const pool = createPool("round_robin", { a: 1 });
    pool.brokers[0]!.failed(0);
    pool.brokers[0]!.probed("down", 0, "test");
    assert.equal(pool.order(choice("k"), 1), pool.brokers, "the very list: nothing is allocated");
  });

  test("round_robin keeps the shares of those that are left", () => {
    const pool = createPool("round_robin", { a: 1, b: 1, c: 1 });
    brokersOf(pool)["c"]!.probed("down", 0, "test");
    const picks = Array.from({ length: 12 }, () => pool.order(choice("k"), 1)[0]!.name).join("");
    assert.equal(picks, "abababababab");
  });
});

describe("Pool.order with a preferred broker", () => {
  for (const balance of ALL) {
    test(`${balance}: it comes first, also while it drains or is a backup; not when it is down, full or out`, () => seeded((random) => {
      const pool = createPool(balance, { a: 1, b: 1, c: { backup: true, sessionsMax: 5 } });
      const preferred = random.pick(pool.brokers);
      const go = (now: number) => pool.order(choice(`k${random.integer(0, 1e6)}`, { preferred, random: random.next }), now);
      assert.equal(go(0)[0], preferred);
      assert.equal(go(0).length, 3, "and the others stand behind it");
      preferred.setAdmin("drain", 0, "test");
      assert.equal(go(0)[0], preferred);
      assert.equal(go(0).length, 3);
      preferred.setAdmin("maint", 0, "test");
      assert.ok(!go(0).includes(preferred));
      preferred.setAdmin("ready", 0, "test");
      preferred.failed(0);
      assert.equal(go(1).at(-1), preferred, "it rests: the last resort");
      preferred.succeeded(1);
      preferred.probed("down", 1, "test");
      assert.ok(!go(1).includes(preferred));
      preferred.probed("up", 2, "test");
      preferred.sessionsMax = 0;
      assert.ok(!go(2).includes(preferred));
    }));
  }
});

describe("Pool.accepts", () => {
  test("asks again when a later broker's turn comes: filled up, taken out or found down since", () => {
    const pool = createPool("first", { a: 1, b: { sessionsMax: 1 } });
    const { a, b } = brokersOf(pool);
    assert.equal(pool.accepts(b!, choice("k"), 0), true);
    b!.sessions = 1;
    assert.equal(pool.accepts(b!, choice("k"), 0), false);
    b!.sessions = 0;
    b!.setAdmin("drain", 0, "test");
    assert.equal(pool.accepts(b!, choice("k"), 0), false);
    assert.equal(pool.accepts(b!, choice("k", { preferred: b! }), 0), true);
    b!.setAdmin("ready", 0, "test");
    b!.probed("down", 0, "test");
    assert.equal(pool.accepts(b!, choice("k"), 0), false);
    a!.failed(0);
    assert.equal(pool.accepts(b!, choice("k"), 1), true, "all are down: all are tried");
    assert.equal(pool.accepts(b!, choice("k"), REST_MS), false, "a may be tried again");
  });
});

describe("Pool with a bound on the load", () => {
  test("a hot key spills over to the next in its order once its broker has 1.25 times its share, and no broker has more", () => seeded((random) => {
    const pool = createPool("username", { a: 1, b: 1, c: 2 }, { loadMax: 1.25 });
    const home = pool.order({ key: "k", username: "everybody", random: random.next }, 0);
    for (let count = 1; count <= 4_000; count++) {
      const order = pool.order({ key: `k${count}`, username: "everybody", random: random.next }, 0);
      assert.equal(order.length, 3);
      order[0]!.sessions++;
      for (const broker of pool.brokers) assert.ok(broker.sessions <= Math.ceil((1.25 * count * broker.weight) / 4), `${broker.name} has ${broker.sessions} of ${count}`);
    }
    const [first, second, third] = home;
    assert.ok(first!.sessions / first!.weight > 1_200 && third!.sessions / third!.weight < 1_000 && second!.sessions > 0);
  }));

  test("clients without a hot key stay with their hash", () => seeded((random) => {
    const bounded = createPool("client_id", { a: 1, b: 1, c: 1 }, { loadMax: 1.25 });
    const plain = createPool("client_id", { a: 1, b: 1, c: 1 });
    for (let index = 0; index < 3_000; index++) bounded.order(choice(`client-${index}`), 0)[0]!.sessions++;
    for (let index = 0; index < 3_000; index++) {
      const key = `client-${index}`;
      assert.equal(namesOf(bounded.order({ key, random: random.next }, 0)), namesOf(plain.order({ key, random: random.next }, 0)));
    }
  }));
});

describe("Pool.home", () => {
  test("is where a hash sends a client, costs no trial, and is nobody's for other algorithms", () => {
    const pool = createPool("client_id", { a: 1, b: 1 });
    const home = pool.home(choice("k"), 0);
    assert.equal(home, pool.order(choice("k"), 0)[0]);
    home!.failed(0);
    assert.notEqual(pool.home(choice("k"), 1), home);
    assert.equal(pool.home(choice("k"), REST_MS), home);
    assert.equal(pool.order(choice("k"), REST_MS)[0], home, "the trial is still to be had");
    assert.equal(createPool("round_robin", { a: 1, b: 1 }).home(choice("k"), 0), undefined);
  });
});
