import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { acceptOf, isKey } from "../../../src/transport/websocket/accept_key.ts";
import { sha1 } from "../../../src/transport/websocket/sha1.ts";
import { seeded } from "../../support/seed.ts";
import { ACCEPT, KEY } from "./heads.ts";

test("RFC 6455 1.3: acceptOf answers the example key", () => assert.equal(acceptOf(KEY), ACCEPT));

test("sha1 is what everyone else takes for SHA-1, at every length around its blocks", () => seeded((random) => {
  for (let length = 0; length < 200; length++) {
    const message = random.bytes(length);
    assert.equal(Buffer.from(sha1(message)).toString("hex"), createHash("sha1").update(message).digest("hex"));
  }
}));

test("isKey takes sixteen bytes in base64 and nothing else", () => {
  assert.equal(isKey(KEY), true);
  for (const text of [undefined, "", KEY.slice(1), `${KEY}=`, KEY.replace("d", "-"), ` ${KEY}`, `${KEY}\n`, "=".repeat(24)]) assert.equal(isKey(text), false, text);
});
