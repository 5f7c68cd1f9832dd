import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { play } from "./fake_runtime.ts";

const TOML = `
[[listeners]]
name = "front"
listen = "mqtts://:8883"
tls = { cert = "c.pem", key = "k.pem" }
[[routes]]
name = "banished"
client_id = "bad-*"
refuse = "banned"
[[routes]]
sni = "*.cloud.example"
user_property = { region = "eu" }
pool = "cloud"
[pools.default]
brokers = ["one", "two"]
balance = "client_id"
[pools.cloud]
brokers = ["three"]
`;

const route = (...words: string[]) => play(["route", "sluice.toml", ...words], { files: { "sluice.toml": TOML } });

describe("sluice route", () => {
  test("says listener, route, pool and the order of brokers; the same client gets the same order", async () => {
    const { code, out, calls } = await route("--client-id", "sensor-1");
    assert.equal(code, 0);
    assert.deepEqual(out.slice(0, 3), ["listener front", "route    none fits: the listener's pool", "pool     default, client_id"]);
    assert.match(out[3] ?? "", /^brokers  1\. (one|two):1883$/);
    assert.match(out[4] ?? "", /^ {9}2\. (one|two):1883$/);
    assert.deepEqual((await route("--client-id", "sensor-1")).out, out);
    assert.deepEqual(calls, [], "nothing is started");
  });

  test("names the rule that decides, its pool, or the refusal in the client's version", async () => {
    const there = await route("--sni", "A.cloud.example", "--user-property", "region=eu");
    assert.deepEqual(there.out.slice(1), ["route    routes[1]", "pool     cloud, round_robin", "brokers  1. three:1883"]);
    assert.deepEqual((await route("--client-id", "bad-1")).out.slice(1), ["route    banished", "refused  banned: CONNACK 0x8a"]);
    assert.deepEqual((await route("--client-id", "bad-1", "--mqtt", "3.1.1")).out.slice(2), ["refused  banned: CONNACK 5"]);
  });

  for (const [words, expected] of [
    [["--listener", "frnt"], /--listener: cannot use "frnt".*front/],
    [["--mqtt", "4"], /--mqtt: cannot use "4"/],
    [["--address", "somewhere"], /--address: cannot use "somewhere"/],
    [["--user-property", "region"], /--user-property: expected name=value/],
  ] as const) {
    test(`refuses ${words.join(" ")}`, async () => {
      const { code, error } = await route(...words);
      assert.equal(code, 64);
      assert.match(error[0] ?? "", expected);
    });
  }
});
