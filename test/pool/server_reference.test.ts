import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Pool } from "../../src/pool/pool.ts";
import { brokersNamed } from "../../src/pool/server_reference.ts";
import { resolveConfiguration } from "../../src/config/resolve.ts";

const BROKERS = ["mqtt://a.example.com", "mqtts://a.example.com", "mqtt://B.example.com:1884", "mqtt://[2001:db8::1]", "ws://w.example.com/mqtt", "unix:///run/broker.sock"];
const { configuration } = resolveConfiguration({ pools: { default: { brokers: BROKERS } } });
const { brokers } = new Pool(configuration!.pools[0]!);
const named = (reference: string) => [...brokersNamed(reference, brokers)].map(({ name }) => name);

describe("brokersNamed", () => {
  test("knows a broker by host and port, and by host where it has its scheme's port", () => {
    assert.deepEqual(named("a.example.com:1883"), ["a.example.com:1883"]);
    assert.deepEqual(named("a.example.com:8883"), ["a.example.com:8883"]);
    assert.deepEqual(named("b.example.com:1884"), ["b.example.com:1884"]);
    assert.deepEqual(named("b.example.com"), [], "its port is another one");
    assert.deepEqual(named("[2001:db8::1]"), ["[2001:db8::1]:1883"]);
    assert.deepEqual(named("[2001:db8::1]:1883"), ["[2001:db8::1]:1883"]);
    assert.deepEqual(named("w.example.com:80"), ["w.example.com:80"]);
  });

  test("goes by the order of the reference, without case, past what it does not know", () => {
    assert.deepEqual(named("x.example.com W.EXAMPLE.COM  b.example.com:1884"), ["w.example.com:80", "b.example.com:1884"]);
  });

  test("knows nothing else: no path, no scheme, no other port, no key of a prototype", () => {
    for (const text of ["", " ", "unix:/run/broker.sock", "/run/broker.sock", "mqtt://a.example.com", "a.example.com:1", "a.example.com.", "2001:db8::1", "__proto__", "constructor", ":1883", "a.example.com:01883"]) {
      assert.deepEqual(named(text), [], text);
    }
  });

  test("takes a reference of the largest size in linear time", () => {
    const began = performance.now();
    assert.deepEqual(named("x ".repeat(32_767)), []);
    assert.deepEqual(named(" ".repeat(65_535)), []);
    assert.ok(performance.now() - began < 2_000);
  });
});
