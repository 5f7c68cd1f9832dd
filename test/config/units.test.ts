import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDuration, parseSize } from "../../src/config/units.ts";

test("parseDuration reads every unit, and nothing else", () => {
  assert.deepEqual(["500ms", "10s", "1.5s", "2m", "1h"].map(parseDuration), [500, 10_000, 1_500, 120_000, 3_600_000]);
  for (const text of ["", "10", "10 s", "-1s", "1e3s", "10S", "s", "10sec", "٣s"]) assert.ok(Number.isNaN(parseDuration(text)), text);
});

test("parseSize reads every unit, and nothing else", () => {
  assert.deepEqual(["512B", "64KiB", "1MB", "16MiB", "2kB"].map(parseSize), [512, 65_536, 1_000_000, 16_777_216, 2_000]);
  for (const text of ["", "64", "64K", "64kib", "1.5MiB", "-1B", "0x10B"]) assert.ok(Number.isNaN(parseSize(text)), text);
});
