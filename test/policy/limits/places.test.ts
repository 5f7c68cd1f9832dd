import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Place, Places } from "../../../src/policy/limits/places.ts";
import { seeded } from "../../support/seed.ts";

describe("Places", () => {
  test("R3: so many inside, a few over it to be told, and the door is shut", () => {
    const places = new Places({ insideMax: 2, overMax: 1 });
    const [first, second, third, fourth] = Array.from({ length: 4 }, () => places.enter("a"));
    assert.deepEqual([first!.claim(), second!.claim(), third!.claim(), fourth], [true, true, false, undefined]);
    assert.equal(places.enter("b")?.claim(), true, "another key");
    third!.leave();
    assert.equal(places.enter("a")?.claim(), false, "there is room to be told again");
  });

  test("who came over the limit may stay when somebody has left before its CONNECT", () => {
    const places = new Places({ insideMax: 1, overMax: 5 });
    const inside = places.enter("a") as Place;
    const [next, last] = [places.enter("a") as Place, places.enter("a") as Place];
    inside.leave();
    assert.equal(next.claim(), true);
    assert.equal(last.claim(), false);
  });

  test("those who come together do not shut each other out: the first has the place, whatever comes behind it", () => {
    const places = new Places({ insideMax: 1, overMax: 5 });
    const all = [1, 2, 3].map(() => places.enter("a") as Place);
    assert.deepEqual(all.reverse().map((place) => place.claim()), [false, false, true]);
  });

  test("never more inside than may be, nothing left when all have gone, whatever the order", () => seeded((random) => {
    const places = new Places({ insideMax: random.integer(1, 5), overMax: random.integer(0, 3) });
    const there: { readonly key: string; readonly place: Place; isIn: boolean }[] = [];
    const count = (key: string, isIn: boolean) => there.filter((one) => one.key === key && one.isIn === isIn).length;
    for (let step = 0; step < 2_000; step++) {
      const key = random.pick(["a", "b", "c", `${step}`]);
      const one = there.length > 0 ? random.pick(there) : undefined;
      if (random.chance(0.45)) {
        const hadRoom = count(key, true) < places.limits.insideMax;
        const place = places.enter(key);
        if (place !== undefined) there.push({ key, place, isIn: hadRoom });
        else assert.ok(!hadRoom && count(key, false) >= places.limits.overMax);
      } else if (one !== undefined && random.chance(0.3)) {
        const expected = one.isIn || count(one.key, true) < places.limits.insideMax;
        assert.equal(one.place.claim(), expected);
        one.isIn = expected;
      } else if (one !== undefined) {
        one.place.leave();
        if (random.chance(0.2)) one.place.leave();
        there.splice(there.indexOf(one), 1);
      }
      assert.equal(places.size, new Set(there.map((each) => each.key)).size, "keys of those who are there, and no others");
    }
    for (const { place } of there) place.leave();
    assert.equal(places.size, 0);
  }));
});
