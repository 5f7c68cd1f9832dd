import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import process from "node:process";
import { test } from "node:test";

const onBun = process.versions["bun"] !== undefined;

test("SLUICE_RUNTIME=net on Bun takes the node:net adapter", { skip: onBun ? false : "the variable is for Bun" }, () => {
  const print = 'const { runtime } = await import("./src/runtime/bun.ts"); console.log(runtime.name, runtime.listen.name)';
  const run = (env: Record<string, string>) =>
    spawnSync(process.execPath, ["-e", print], { env: { ...process.env, ...env }, encoding: "utf8" }).stdout.trim();
  assert.equal(run({}), "bun listenOnBun");
  assert.equal(run({ SLUICE_RUNTIME: "net" }), "bun listenOnNet");
});
