import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createRemoteJwtKeys, type RemoteJwtKeysOptions } from "../../../src/policy/authentication/remote_jwt_keys.ts";
import type { TestScope } from "../../support/process.ts";
import { until, within } from "../../support/deadline.ts";
import { isSilent, says, Service, type Answer } from "./service.ts";
import { Signer } from "./tokens.ts";

const [first, second] = [new Signer("ES256"), new Signer("ES256")];
const withKid = (signer: Signer, kid: string) => ({ ...signer.jwk, kid });

async function begin(t: TestScope, answer: Answer, options: Partial<RemoteJwtKeysOptions> = {}) {
  const service = await Service.start(t, answer);
  const clock = { now: 0 };
  const keys = createRemoteJwtKeys({ url: service.url, timeoutMs: 5_000, refreshMs: 60_000, staleMs: 600_000, pauseMs: 10_000, now: () => clock.now, ...options });
  return {
    service,
    clock,
    async find(kid: string): Promise<string> {
      const found = await within(10_000, keys.find({ alg: "ES256", kid }), "the key");
      if ("key" in found) return "found";
      return "refused" in found ? "refused" : found.unavailable;
    },
  };
}

describe("createRemoteJwtKeys", () => {
  test("fetches when the first token comes, once for all who wait", async (t) => {
    const { service, find } = await begin(t, says(200, { keys: [withKid(first, "1")] }));
    assert.equal(service.asked.length, 0);
    assert.deepEqual(await Promise.all([find("1"), find("1"), find("1")]), ["found", "found", "found"]);
    assert.deepEqual(service.asked.map(({ method, body }) => [method, body]), [["GET", ""]]);
  });

  test("a key that nobody knows is asked for, and no flood of them asks more often than the pause allows", async (t) => {
    const { service, clock, find } = await begin(t, says(200, { keys: [withKid(first, "1")] }));
    await find("1");
    service.answer = says(200, { keys: [withKid(first, "1"), withKid(second, "2")] });
    assert.equal(await find("2"), "refused", "it is too early");
    clock.now = 10_000;
    assert.equal(await find("2"), "found");
    assert.equal(service.asked.length, 2);
    clock.now = 19_999;
    await Promise.all(Array.from({ length: 500 }, (_, index) => find(`x${index}`)));
    assert.equal(service.asked.length, 2);
    clock.now = 20_000;
    await Promise.all(Array.from({ length: 500 }, (_, index) => find(`x${index}`)));
    assert.equal(service.asked.length, 3);
  });

  test("old keys are used while newer ones are fetched, and a key that was taken back is gone", async (t) => {
    const { service, clock, find } = await begin(t, says(200, { keys: [withKid(first, "1")] }));
    await find("1");
    service.answer = says(200, { keys: [withKid(second, "2")] });
    clock.now = 60_000;
    assert.equal(await find("1"), "found");
    await until(async () => (await find("1")) === "refused", 5_000, "the key to be gone");
    assert.equal(await find("2"), "found");
    assert.equal(service.asked.length, 2);
  });

  test("while the service is down, old keys are good for a while, and then nobody can be checked", async (t) => {
    const { service, clock, find } = await begin(t, says(200, { keys: [withKid(first, "1")] }));
    await find("1");
    service.answer = says(500);
    for (const now of [60_000, 300_000, 599_999]) {
      clock.now = now;
      assert.equal(await find("1"), "found");
    }
    for (const now of [700_000, 705_000]) {
      clock.now = now; // the first may still wait for the request of before
      assert.equal(await find("1"), "the keys: the service says 500");
    }
    service.answer = says(200, { keys: [withKid(first, "1")] });
    assert.equal(await find("1"), "the keys: the service says 500", "the pause holds");
    clock.now = 715_000;
    assert.equal(await find("1"), "found");
  });

  const useless: [what: string, answer: Answer, reason: RegExp][] = [
    ["no JSON", says(200, "keys"), /no key set: expected a JSON object/],
    ["no keys", says(200, { keys: [] }), /no key set: expected at least one/],
    ["a redirect", (response) => response.writeHead(302, { location: "/" }).end(), /says 302/],
    ["silence", isSilent, /no answer in time/],
    ["a megabyte and more", says(200, " ".repeat(1_048_577)), /longer than 1048576 bytes/],
  ];
  for (const [what, answer, reason] of useless) {
    test(`A3: ${what} is no key`, async (t) => {
      const { find } = await begin(t, answer, { timeoutMs: what === "silence" ? 150 : 5_000 });
      assert.match(await find("1"), reason);
    });
  }
});
