import assert from "node:assert/strict";
import { test } from "node:test";
import { DURATION_EXPECTED, nearestForm, parseDuration, parseSize, RATE_EXPECTED, SIZE_EXPECTED } from "../../src/config/units.ts";

test("parseDuration reads every unit, and nothing else", () => {
  assert.deepEqual(["500ms", "10s", "1.5s", "2m", "1h"].map(parseDuration), [500, 10_000, 1_500, 120_000, 3_600_000]);
  for (const text of ["", "10", "10 s", "-1s", "1e3s", "10S", "s", "10sec", "٣s"]) assert.ok(Number.isNaN(parseDuration(text)), text);
});

test("parseSize reads every unit, and nothing else", () => {
  assert.deepEqual(["512B", "64KiB", "1MB", "16MiB", "2kB"].map(parseSize), [512, 65_536, 1_000_000, 16_777_216, 2_000]);
  for (const text of ["", "64", "64K", "64kib", "1.5MiB", "-1B", "0x10B"]) assert.ok(Number.isNaN(parseSize(text)), text);
});

test("nearestForm knows what was meant, and does not guess further", () => {
  const forms = (expected: string, ...texts: string[]) => texts.map((text) => nearestForm(text, expected));
  assert.deepEqual(forms(DURATION_EXPECTED, "60", "10 s", "10S", "2 minutes", "1.5Sec", "500 MS"), ["60s", "10s", "10s", "2m", "1.5s", "500ms"]);
  assert.deepEqual(forms(SIZE_EXPECTED, "64 kib", "64kb", "512", "1mb", "64K", "16 M"), ["64KiB", "64kB", "512B", "1MB", "64KiB", "16MiB"]);
  assert.deepEqual(forms(RATE_EXPECTED, "100/sec", "100", "100 / s", "30/min", "5/hour"), ["100/s", "100/s", "100/s", "30/m", "5/h"]);
  for (const text of ["", "soon", "-1s", "1d", "1 s 2"]) assert.equal(nearestForm(text, DURATION_EXPECTED), undefined, text);
  assert.deepEqual([...forms(SIZE_EXPECTED, "1.5MiB", "1GiB", "10s"), ...forms(RATE_EXPECTED, "0/s", "1.5/s", "10MB"), nearestForm("10", "text")], Array(7).fill(undefined));
});
