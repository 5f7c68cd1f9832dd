import { strict as assert } from "node:assert";
import process from "node:process";
import { test } from "node:test";

const onBun = process.versions["bun"] !== undefined;

test("a storm of dials to one name asks the resolver once; a failure is not kept", { skip: onBun ? false : "Bun's own look-up" }, async () => {
  const { lookUp } = await import("../../src/runtime/bun_lookup.ts");
  const first = lookUp("localhost");
  assert.equal(lookUp("localhost"), first);
  assert.ok((await first).length > 0);
  assert.equal(lookUp("localhost"), first);

  // An empty label is refused by the resolver itself: no query leaves the machine.
  const failing = lookUp("no..such..name");
  assert.equal(lookUp("no..such..name"), failing);
  await assert.rejects(failing);
  const again = lookUp("no..such..name");
  assert.notEqual(again, failing);
  await assert.rejects(again);
});
