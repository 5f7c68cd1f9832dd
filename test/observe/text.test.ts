import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { printable } from "../../src/lib/text.ts";

describe("printable", () => {
  const cases: [name: string, text: string, expected: string][] = [
    ["plain text stays", "sensor-7", "sensor-7"],
    ["letters of any script stay", "Zürich 東京 🚀", "Zürich 東京 🚀"],
    ["colours go, with their numbers", "\x1b[31mred\x1b[0m", "red"],
    ["8-bit control sequences go", "\x9b31mred\x9b2J", "red"],
    ["a terminal's title goes, ended by bell or by string terminator", "\x1b]0;owned\x07a\x1b]0;owned\x1b\\b", "ab"],
    ["an unended sequence goes", "a\x1b[", "a"],
    ["a bare escape goes", "a\x1b", "a"],
    ["cursor moves and clear screen go", "a\x1b[2J\x1b[1;1Hb\x1bc", "ab"],
    ["line breaks become a space", "a\r\nlevel=error\u2028b\u2029c\u0085d\te", "a level=error b c d e"],
    ["NUL, backspace, DEL and C1 go", "a\0b\bc\x7fd\x80e", "abcde"],
    ["bidi marks and overrides go", "\u202eabc\u202c\u2066d\u2069\u200e\u200f\u061c", "abcd"],
    ["invisible characters go", "a\u200bb\ufeffc\u{e0041}", "abc"],
    ["half a surrogate pair goes", "a\ud800b\udc00", "ab"],
    ["one colour inside another's remains", "\x1b\x1b[31m[31mx", "[31mx"],
  ];
  for (const [name, text, expected] of cases) test(name, () => assert.equal(printable(text), expected));

  test("caps the length, never inside a character", () => {
    assert.equal(printable("x".repeat(256)), "x".repeat(256));
    assert.equal(printable("x".repeat(257)), `${"x".repeat(255)}…`);
    const rockets = printable("🚀".repeat(40_000));
    assert.ok(rockets.length <= 256 && rockets.endsWith("🚀…"));
    assert.ok(printable("\x1b[31m".repeat(20_000)).length <= 256);
  });

  test("leaves nothing that a terminal would act on, whatever the bytes", () => {
    let seed = 7;
    const random = () => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648;
    const alphabet = ["\x1b", "[", "]", "\x9b", "\x07", "0", ";", "m", "\\", "\n", "\u202e", "\u2028", "é", "\ud83d", "\ude80", "P"];
    for (let round = 0; round < 2_000; round++) {
      const text = Array.from({ length: 40 }, () => alphabet[Math.floor(random() * alphabet.length)]).join("");
      assert.doesNotMatch(printable(text), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u, JSON.stringify(text));
    }
  });
});
