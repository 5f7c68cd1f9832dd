import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { TICK_MS, type Timed, TimerWheel } from "../../src/lib/timer_wheel.ts";
import { seeded } from "../support/seed.ts";

class Entry implements Timed {
  timerSlot: Timed["timerSlot"] = undefined;
  timerNext: Timed | undefined = undefined;
  timerPrevious: Timed | undefined = undefined;
  timerTick = 0;
  due: number | undefined = undefined;
  fired: () => void;
  constructor(fired: (entry: Entry) => void) {
    this.fired = () => fired(this);
  }
  expired(): void {
    this.fired();
  }
}

describe("TimerWheel", () => {
  test("expires each entry once, never early and at most two ticks late, whatever is set, moved and cleared", () => seeded((random) => {
    let now = 1_000;
    const wheel = new TimerWheel(now);
    const entries = Array.from({ length: 200 }, () => new Entry((entry) => {
      assert.ok(entry.due !== undefined, "expired without being set");
      assert.ok(now >= entry.due, `early by ${entry.due - now} ms`);
      assert.ok(now - entry.due <= 2 * TICK_MS + 50, `late by ${now - entry.due} ms`);
      entry.due = undefined;
      if (random.chance(0.5)) set(entry);
    }));
    const set = (entry: Entry) => {
      const milliseconds = random.pick([0, 10, 500, 5_000, 120_000]);
      entry.due = wheel.now + milliseconds;
      wheel.set(entry, milliseconds);
    };
    for (let step = 0; step < 20_000; step++) {
      now += random.integer(1, 50);
      if (random.chance(0.7)) set(random.pick(entries));
      else {
        const entry = random.pick(entries);
        entry.due = undefined;
        wheel.clear(entry);
      }
      wheel.advance(now);
      if (step % 100 === 0) assert.equal(wheel.size, entries.filter((entry) => entry.due !== undefined).length);
    }
    for (const entry of entries) assert.ok(entry.due === undefined || entry.due > now - 2 * TICK_MS - 50, "forgotten");
  }));

  test("after a long sleep everything that is due expires, and nothing else", () => {
    const wheel = new TimerWheel(0);
    const fired: number[] = [];
    for (const milliseconds of [100, 60_000, 3_600_000, 90_000_000]) wheel.set(new Entry(() => fired.push(milliseconds)), milliseconds);
    wheel.advance(7_200_000);
    assert.deepEqual(fired.sort((a, b) => a - b), [100, 60_000, 3_600_000]);
    assert.equal(wheel.size, 1);
  });

  test("an entry that is cleared by another in the same tick does not expire", () => {
    const wheel = new TimerWheel(0);
    let fired = 0;
    const pair: Entry[] = [];
    for (let index = 0; index < 2; index++) pair.push(new Entry((entry) => { fired++; wheel.clear(pair[1 - pair.indexOf(entry)]!); }));
    for (const entry of pair) wheel.set(entry, 100);
    wheel.advance(10_000);
    assert.equal(fired, 1);
  });
});
