import assert from "node:assert/strict";
import { test } from "node:test";
import { pause } from "../support/deadline.ts";

const onBun = process.versions["bun"] !== undefined;
const ENGINE = "../../src/runtime/bun_engine.ts"; // not where the import stands: the bundle for Node has no place for what is Bun's own

test("Bun's own collector takes what short connections leave behind as others come", { skip: onBun ? false : "Bun's own collector" }, async () => {
  const { connectionCame } = (await import(ENGINE)) as typeof import("../../src/runtime/bun_engine.ts");
  const left = Array.from({ length: 1_000 }, () => new WeakRef({}));
  await pause(0); // a WeakRef holds until its turn ends
  for (let count = 0; count < 32; count++) connectionCame();
  const there = left.filter((one) => one.deref() !== undefined).length;
  assert.ok(there < 100, `${there} of ${left.length} are still there`);
});
