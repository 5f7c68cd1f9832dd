import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { dueAtRate, dueWithin } from "../../src/pool/pacing.ts";
import { idlest, passTurn, planMoves, planReturns } from "../../src/pool/rebalance.ts";
import { seeded } from "../support/seed.ts";
import { createPool, type Given } from "./pools.ts";

const THRESHOLDS = { absolute: 10, relative: 1.1 };

/** Brokers with sessions: their plan in words. */
function plan(sessions: readonly number[], brokers: Readonly<Record<string, Given>>, prepare: (pool: ReturnType<typeof createPool>) => void = () => {}) {
  const pool = createPool("least_connections", brokers);
  for (const [index, broker] of pool.brokers.entries()) broker.sessions = sessions[index] as number;
  prepare(pool);
  return planMoves(pool.brokers, THRESHOLDS).map(({ from, sessions: count }) => `${from.name} ${count}`).join(", ");
}

describe("planMoves", () => {
  test("a broker that came back empty gets its share from those that have more than theirs, down to the threshold", () => {
    assert.equal(plan([600, 600, 0], { a: 1, b: 1, c: 1 }), "a 160, b 160");
    assert.equal(plan([900, 300, 0], { a: 2, b: 1, c: 1 }), "a 240", "300 is b's fair share");
  });

  test("within either threshold nothing moves", () => {
    assert.equal(plan([440, 360], { a: 1, b: 1 }), "", "a tenth above its share");
    assert.equal(plan([441, 359], { a: 1, b: 1 }), "a 1");
    assert.equal(plan([20, 0], { a: 1, b: 1 }), "", "ten above its share");
    assert.equal(plan([21, 0], { a: 1, b: 1 }), "a 1");
    assert.equal(plan([0, 0], { a: 1, b: 1 }), "");
  });

  test("no more moves than others have room for", () => {
    assert.equal(plan([1000, 0], { a: 1, b: { sessionsMax: 30 } }), "a 30");
    assert.equal(plan([1000, 40], { a: 1, b: { sessionsMax: 30 } }), "");
  });

  test("brokers that are down, drained or out neither give nor take", () => {
    assert.equal(plan([1000, 0], { a: 1, b: 1 }, ({ brokers }) => brokers[1]!.probed("down", 0, "test")), "");
    assert.equal(plan([1000, 0, 0], { a: 1, b: 1, c: 1 }, ({ brokers }) => brokers[1]!.setAdmin("drain", 0, "test")), "a 450");
    assert.equal(plan([1000, 0, 0], { a: 1, b: 1, c: 1 }, ({ brokers }) => brokers[0]!.setAdmin("maint", 0, "test")), "");
  });

  test("a backup gives back all that it has, and keeps it while no other can serve", () => {
    assert.equal(plan([0, 30], { a: 1, b: { backup: true } }), "b 30");
    assert.equal(plan([0, 30], { a: 1, b: { backup: true } }, ({ brokers }) => brokers[0]!.failed(0)), "");
  });

  test("carried out it ends: every broker is within the thresholds and the next plan is empty", () => seeded((random) => {
    for (let round = 0; round < 300; round++) {
      const count = random.integer(1, 6);
      const given = Object.fromEntries(Array.from({ length: count }, (_, index) => [`b${index}`, { weight: random.integer(1, 4), backup: random.chance(0.2) }]));
      const pool = createPool("least_connections", given);
      for (const broker of pool.brokers) broker.sessions = random.integer(0, 2_000);
      const total = pool.brokers.reduce((sum, { sessions }) => sum + sessions, 0);
      let moved = 0;
      for (const { from, sessions } of planMoves(pool.brokers, THRESHOLDS)) {
        from.sessions -= sessions;
        moved += sessions;
      }
      for (; moved > 0; moved--) pool.order({ key: "k", random: random.next }, 0)[0]!.sessions++;
      assert.equal(pool.brokers.reduce((sum, { sessions }) => sum + sessions, 0), total);
      assert.equal(planMoves(pool.brokers, THRESHOLDS).length, 0);
    }
  }));
});

describe("planReturns", () => {
  const returns = (sessions: readonly number[], brokers: Readonly<Record<string, Given>>, prepare: (pool: ReturnType<typeof createPool>) => void = () => {}) => {
    const pool = createPool("first", brokers);
    for (const [index, broker] of pool.brokers.entries()) broker.sessions = sessions[index] as number;
    prepare(pool);
    return planReturns(pool.brokers).map(({ from, sessions: count }) => `${from.name} ${count}`).join(", ");
  };

  test("everybody goes back to the first that is good, as far as it has room; backups are the last of all", () => {
    assert.equal(returns([5, 30, 20], { a: 1, b: 1, c: 1 }), "b 30, c 20");
    assert.equal(returns([5, 30, 20], { a: { sessionsMax: 40 }, b: 1, c: 1 }), "b 30, c 5");
    assert.equal(returns([50, 30], { a: { sessionsMax: 40 }, b: 1 }), "", "it has more than it may have");
    assert.equal(returns([7, 30], { a: { backup: true }, b: 1 }), "a 7");
    assert.equal(returns([0, 30, 20], { a: 1, b: 1, c: 1 }, ({ brokers }) => brokers[0]!.setAdmin("drain", 0, "test")), "c 20");
    assert.equal(returns([0], { a: 1 }), "");
  });
});

describe("passTurn", () => {
  test("clients that were moved go to the broker that lacks them, under round robin too, and the turns stay fair", () => {
    const pool = createPool("round_robin", { a: 1, b: 1, c: 1 });
    const [a, b, c] = pool.brokers as [typeof pool.brokers[0], typeof pool.brokers[0], typeof pool.brokers[0]];
    [a!.sessions, b!.sessions, c!.sessions] = [30, 30, 0];
    const next = () => pool.order({ key: "k", random: () => 0 }, 0)[0]!;
    for (let moved = 0; moved < 20; moved++) {
      const from = moved % 2 === 0 ? a! : b!;
      from.sessions--;
      passTurn(from, pool.brokers);
      if (moved % 3 === 2) for (let back = 0; back < 3; back++) next().sessions++; // they come again a while later
    }
    for (let back = 0; back < 2; back++) next().sessions++;
    assert.deepEqual([a!.sessions, b!.sessions, c!.sessions], [20, 20, 20]);
    for (let fresh = 0; fresh < 30; fresh++) next().sessions++;
    for (const { name, sessions } of pool.brokers) assert.ok(Math.abs(sessions - 30) <= 1, `${name} has ${sessions}`);
  });

  test("nobody gets a turn who cannot take a client", () => {
    const pool = createPool("round_robin", { a: 1, b: { sessionsMax: 0 }, c: { backup: true } });
    passTurn(pool.brokers[0]!, pool.brokers);
    assert.deepEqual(pool.brokers.map(({ current }) => current), [0, 0, 0]);
  });
});

describe("idlest", () => {
  test("the same as sorting all of them", () => seeded((random) => {
    for (let round = 0; round < 100; round++) {
      const idle = Array.from({ length: random.integer(0, 200) }, () => random.integer(0, 50));
      const count = random.integer(0, 30);
      const expected = [...idle].sort((a, b) => b - a).slice(0, count);
      assert.deepEqual(idlest(idle, count, (value) => value), expected);
    }
  }));
});

describe("pacing", () => {
  test("dueWithin spreads evenly and is done at the end of the window, however it is asked", () => seeded((random) => {
    for (let round = 0; round < 100; round++) {
      const [total, windowMs] = [random.integer(0, 5_000), random.pick([0, 1_000, 30_000])];
      let done = 0;
      for (let now = 100; now <= 100 + windowMs; now = now === 100 + windowMs ? Infinity : Math.min(100 + windowMs, now + random.integer(1, 900))) {
        done += dueWithin({ total, done, since: 100, windowMs }, now);
        if (windowMs > 0) assert.ok(Math.abs(done - (total * (now - 100)) / windowMs) <= 1);
      }
      assert.equal(done, total);
      assert.equal(dueWithin({ total, done, since: 100, windowMs }, 1e9), 0);
    }
  }));

  test("dueAtRate keeps a rate over ticks of any length, without drift", () => seeded((random) => {
    let done = 0;
    let now = 0;
    while (now < 60_000) done += dueAtRate({ perSecond: 7.5, done, since: 0 }, (now += random.integer(1, 700)));
    assert.equal(done, Math.floor(7.5 * now / 1000));
  }));
});
