import assert from "node:assert/strict";
import { test } from "node:test";
import { usernameKey } from "../../../src/policy/limits/username_key.ts";

test("usernameKey: a name of usual length is its own key, a long one has a short key of its own", () => {
  assert.equal(usernameKey("sensor-7"), "sensor-7");
  const [long, other] = ["a".repeat(65_535), `${"a".repeat(65_534)}b`];
  assert.ok(usernameKey(long).length < 64);
  assert.equal(usernameKey(long), usernameKey("a".repeat(65_535)));
  assert.notEqual(usernameKey(long), usernameKey(other));
  assert.equal(usernameKey(long)[0], "\0", "no name that a client may have");
});
