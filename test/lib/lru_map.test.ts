import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LruMap } from "../../src/lib/lru_map.ts";
import { seeded } from "../support/seed.ts";

/** Oldest first. */
function keysOf<Key>(map: LruMap<Key, unknown>): Key[] {
  const keys: Key[] = [];
  for (let key = map.oldestKey; key !== undefined; key = map.oldestKey) {
    keys.push(key);
    map.delete(key);
  }
  return keys;
}

function filled(...keys: string[]): LruMap<string, string> {
  const map = new LruMap<string, string>(3);
  for (const key of keys) map.set(key, key.toUpperCase());
  return map;
}

describe("LruMap", () => {
  test("who was not looked at for longest goes first, and only when there is one too many", () => {
    assert.deepEqual(keysOf(filled("a", "b", "c")), ["a", "b", "c"]);
    assert.deepEqual(keysOf(filled("a", "b", "c", "d")), ["b", "c", "d"]);
  });

  test("looking at one and setting it anew both make it the newest, wherever it stood", () => {
    for (const [key, order] of [["a", "bca"], ["b", "acb"], ["c", "abc"]] as const) {
      for (const use of [(map: LruMap<string, string>) => map.get(key), (map: LruMap<string, string>) => map.set(key, "again")]) {
        const map = filled("a", "b", "c");
        use(map);
        assert.deepEqual(keysOf(map), [...order]);
      }
    }
  });

  test("values are those that were set last; of who is not there nothing is known", () => {
    const map = filled("a", "b");
    map.set("a", "2");
    assert.deepEqual([map.get("a"), map.get("b"), map.get("c"), map.size], ["2", "B", undefined, 2]);
  });

  test("from wherever one is deleted, the others keep their order", () => {
    for (const [key, order] of [["a", "bc"], ["b", "ac"], ["c", "ab"]] as const) {
      const map = filled("a", "b", "c");
      assert.deepEqual([map.delete(key), map.delete(key), map.size], [true, false, 2]);
      assert.deepEqual(keysOf(map), [...order]);
      assert.deepEqual([map.size, map.oldestKey], [0, undefined]);
    }
  });

  test("does what a Map with its keys put in order again does", () => seeded((random) => {
    const map = new LruMap<number, number>(8);
    const plain = new Map<number, number>();
    const usePlain = (key: number, value: number | undefined) => {
      plain.delete(key);
      if (value !== undefined) plain.set(key, value);
      if (plain.size > 8) plain.delete(plain.keys().next().value as number);
    };
    for (let step = 0; step < 5_000; step++) {
      const key = random.integer(0, 15);
      const known = plain.get(key);
      switch (random.integer(0, 2)) {
        case 0:
          assert.equal(map.delete(key), known !== undefined);
          usePlain(key, undefined);
          break;
        case 1:
          assert.equal(map.get(key), known);
          usePlain(key, known);
          break;
        default:
          map.set(key, step);
          usePlain(key, step);
      }
      assert.deepEqual([map.size, map.oldestKey], [plain.size, plain.keys().next().value]);
    }
    assert.deepEqual(keysOf(map), [...plain.keys()]);
  }));
});
