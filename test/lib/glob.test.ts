import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { matchesGlob } from "../../src/lib/glob.ts";
import { seeded } from "../support/seed.ts";

describe("matchesGlob", () => {
  const cases: [pattern: string, fits: readonly string[], others: readonly string[]][] = [
    ["", [""], ["a", " "]],
    ["sensor-1", ["sensor-1"], ["Sensor-1", "sensor-10", "sensor-", "xsensor-1"]],
    ["*", ["", "a", "a/b", "*", "\u0000", "😀", "\n"], []],
    ["sensor-*", ["sensor-", "sensor-1", "sensor-*"], ["sensor", "xsensor-1"]],
    ["*-east", ["-east", "a-east", "-east-east"], ["east", "-east1"]],
    ["a*b*c", ["abc", "aXbYc", "abbcc", "abcbc"], ["ab", "acb", "abcd", "bac"]],
    ["?", ["a", "*", "?", "😀", "é"], ["", "ab", "e\u0301"]],
    ["a?c", ["abc", "a?c", "a😀c"], ["ac", "abbc"]],
    ["**a**", ["a", "ba", "ab"], ["", "b"]],
    ["*?", ["a", "ab"], [""]],
    ["a.c", ["a.c"], ["abc"]],
    ["[ab]|(c)^$\\d+{2}", ["[ab]|(c)^$\\d+{2}"], ["a", "c1"]],
    ["#", ["#"], ["a", "a/b"]],
    ["+/x", ["+/x"], ["a/x"]],
  ];
  for (const [pattern, fits, others] of cases) {
    test(`${JSON.stringify(pattern)} fits what it says and nothing else`, () => {
      for (const text of fits) assert.ok(matchesGlob(pattern, text), JSON.stringify(text));
      for (const text of others) assert.ok(!matchesGlob(pattern, text), JSON.stringify(text));
    });
  }

  test("says what a regular expression says, for patterns and texts of few letters", () =>
    seeded((random) => {
      for (let round = 0; round < 20_000; round++) {
        const write = (letters: string, lengthMax: number): string => Array.from({ length: random.integer(0, lengthMax) }, () => random.pick([...letters])).join("");
        const [pattern, text] = [write("ab?*", 8), write("ab", 12)];
        const expected = new RegExp(`^${pattern.replace(/\*+/g, ".*").replaceAll("?", ".")}$`).test(text);
        assert.equal(matchesGlob(pattern, text), expected, `${pattern} ${text}`);
      }
    }));

  test("takes a text of 64 KiB in its stride, whatever the pattern (no backtracking into earlier stars)", () => {
    const text = "a".repeat(65_535);
    const started = performance.now();
    for (const pattern of [`${"*a".repeat(100)}*b`, `${"a*".repeat(100)}b`, `*${"a".repeat(100)}b`, `${"?*".repeat(100)}b`]) assert.ok(!matchesGlob(pattern, text));
    assert.ok(performance.now() - started < 5_000, "a regular expression would take longer than anybody lives");
  });
});
