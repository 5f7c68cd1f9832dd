import { strict as assert } from "node:assert";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { runtime } from "#runtime";
import { within } from "../support/deadline.ts";

const { system } = runtime;

test("readFile answers the bytes, or why there are none", async () => {
  const folder = mkdtempSync(join(tmpdir(), "sluice-"));
  try {
    const file = join(folder, "file");
    writeFileSync(file, Uint8Array.of(0, 255, 10));
    assert.deepEqual([...((await system.readFile(file)) as Uint8Array)], [0, 255, 10]);
    assert.deepEqual(await system.readFile(join(folder, "none")), { code: "missing", message: "no such file" });
    assert.equal(((await system.readFile(folder)) as { code: string }).code, "not_a_file");
    assert.equal(((await system.readFile(join(file, "below"))) as { code: string }).code, "missing");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("onSignal calls back on each arrival until it is told to stop", async () => {
  let arrivals = 0;
  let arrived = () => {};
  const stop = system.onSignal("SIGHUP", () => {
    arrivals += 1;
    arrived();
  });
  // Kept, because a signal that nobody waits for ends the process.
  const stopOther = system.onSignal("SIGHUP", () => {});
  for (let round = 1; round <= 2; round += 1) {
    const next = new Promise<void>((resolve) => (arrived = resolve));
    process.kill(process.pid, "SIGHUP");
    await within(5_000, next, "the signal");
    assert.equal(arrivals, round);
  }
  stop();
  const other = new Promise<void>((resolve) => {
    const stopLast = system.onSignal("SIGHUP", () => {
      stopLast();
      resolve();
    });
  });
  process.kill(process.pid, "SIGHUP");
  await within(5_000, other, "the last signal");
  stopOther();
  assert.equal(arrivals, 2);
});

test("descriptorsMax tells the limit on Linux and undefined elsewhere", async () => {
  const max = await system.descriptorsMax();
  if (process.platform === "linux") assert.ok(max !== undefined && max >= 64, String(max));
  else assert.equal(max, undefined);
});

test("the clocks: now never goes back, wallClock is the time of day, random is in [0, 1)", () => {
  const first = system.now();
  assert.ok(system.now() >= first);
  assert.ok(Math.abs(system.wallClock() - Date.now()) < 1000);
  for (let i = 0; i < 100; i += 1) {
    const drawn = system.random();
    assert.ok(drawn >= 0 && drawn < 1);
  }
});

test("env and the runtime's name and version", () => {
  assert.equal(system.env("PATH"), process.env["PATH"]);
  assert.equal(system.env("SLUICE_NO_SUCH_VARIABLE"), undefined);
  assert.match(runtime.version, /^\d+\.\d+\.\d+/);
});
