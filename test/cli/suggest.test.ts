import assert from "node:assert/strict";
import { test } from "node:test";
import { editDistance, suggest } from "../../src/lib/suggest.ts";

test("editDistance counts insertions, deletions, replacements and swaps", () => {
  const cases: [string, string, number][] = [["", "", 0], ["", "ab", 2], ["chek", "check", 1], ["deom", "demo", 1], ["verison", "version", 1], ["kitten", "sitting", 3], ["ca", "abc", 3]];
  for (const [from, to, distance] of cases) {
    assert.equal(editDistance(from, to), distance, `${from} ${to}`);
    assert.equal(editDistance(to, from), distance, `${to} ${from}`);
  }
});

test("suggest names what is near, and nothing when nothing is", () => {
  const words = ["check", "schema", "demo", "version", "password_file", "cert"];
  assert.deepEqual(["chek", "shcema", "DEMO", "versoin", "password", "certificate"].map((word) => suggest(word, words)), ["check", "schema", "demo", "version", "password_file", "cert"]);
  for (const word of ["broker", "", "x", "localhost"]) assert.equal(suggest(word, words), undefined, word);
});
