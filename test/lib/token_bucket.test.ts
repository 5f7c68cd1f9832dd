import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { TokenBucket } from "../../src/lib/token_bucket.ts";
import { seeded } from "../support/seed.ts";

describe("TokenBucket", () => {
  test("as many at once as it holds, and the next when one has come back", () => {
    const bucket = new TokenBucket({ count: 3, perMs: 900 });
    assert.deepEqual([0, 0, 0, 0, 299].map((now) => bucket.take(5_000 + now)), [true, true, true, false, false]);
    assert.equal(bucket.has(5_300), true);
    assert.equal(bucket.take(5_300), true);
    assert.equal(bucket.take(5_300), false, "one at a time");
    assert.equal(bucket.take(5_600), true);
  });

  test("after a quiet time it is full, and never more than that", () => {
    const bucket = new TokenBucket({ count: 2, perMs: 1_000 });
    for (let count = 0; count < 2; count++) assert.equal(bucket.take(0), true);
    assert.deepEqual([0, 1, 2].map(() => bucket.take(1_000_000)), [true, true, false]);
  });

  for (const count of [1, 3, 7, 10, 1_000]) {
    test(`${count} at once are ${count}, whatever the clock shows`, () => seeded((random) => {
      for (const now of [0, random.integer(1, 1_000_000_000) / 3, 3e11]) {
        const bucket = new TokenBucket({ count, perMs: random.pick([1_000, 60_000, 3_600_000]) });
        let taken = 0;
        while (taken <= count && bucket.take(now)) taken++;
        assert.equal(taken, count);
      }
    }));
  }

  test("over any window no more than the count and what has come back in it, and no less when it is asked all the time", () => seeded((random) => {
    const rate = { count: random.integer(1, 20), perMs: random.pick([100, 1_000, 60_000]) };
    const bucket = new TokenBucket(rate);
    const taken: number[] = [];
    let now = random.integer(0, 1_000_000);
    const begin = now;
    for (let step = 0; step < 3_000; step++) {
      now += random.integer(0, (2 * rate.perMs) / rate.count / 10);
      const had = bucket.has(now);
      assert.equal(bucket.take(now), had);
      if (had) taken.push(now);
    }
    for (let first = 0; first < taken.length; first += 7) {
      for (let last = first; last < taken.length; last += 5) {
        const most = rate.count + ((taken[last]! - taken[first]!) * rate.count) / rate.perMs;
        assert.ok(last - first + 1 <= most + 0.01, `${last - first + 1} in ${taken[last]! - taken[first]!} ms`);
      }
    }
    const least = Math.floor(rate.count + ((now - begin) * rate.count) / rate.perMs);
    assert.ok(taken.length >= Math.min(least, 3_000) * 0.8, `${taken.length} of ${least}`);
  }));
});
