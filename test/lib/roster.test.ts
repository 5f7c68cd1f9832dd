import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Listed, Roster } from "../../src/lib/roster.ts";
import { seeded } from "../support/seed.ts";

class Guest implements Listed {
  rosterPlace = -1;
}

describe("Roster", () => {
  test("has who came and did not leave, beside a Set, whatever comes and goes", () => seeded((random) => {
    const roster = new Roster<Guest>();
    const model = new Set<Guest>();
    const guests = Array.from({ length: 30 }, () => new Guest());
    for (let step = 0; step < 2_000; step++) {
      const guest = random.pick(guests);
      if (random.chance(0.5)) {
        if (!model.has(guest)) roster.add(guest);
        model.add(guest);
      } else {
        roster.delete(guest);
        model.delete(guest);
      }
      assert.equal(roster.size, model.size);
      assert.deepEqual(new Set(roster), model);
      assert.equal([...roster].length, model.size, "each once");
    }
  }));

  test("a round over all reaches who was there at its begin, also when they leave and others come meanwhile", () => {
    const roster = new Roster<Guest>();
    const guests = Array.from({ length: 5 }, () => new Guest());
    for (const guest of guests) roster.add(guest);
    const reached: Guest[] = [];
    for (const guest of roster) {
      reached.push(guest);
      for (const other of guests) roster.delete(other);
      roster.add(new Guest());
    }
    assert.deepEqual(reached, guests);
    assert.equal(roster.size, 5);
  });
});
