import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { NETWORKS_MAX, NetworkRates } from "../../../src/policy/limits/network_rates.ts";

describe("NetworkRates", () => {
  test("each network has a bucket of its own", () => {
    const rates = new NetworkRates({ count: 1, perMs: 1_000 });
    assert.equal(rates.has("192.0.2.1", 0), true);
    rates.take("192.0.2.1", 0);
    assert.equal(rates.has("192.0.2.1", 999), false);
    assert.equal(rates.has("192.0.2.2", 999), true);
    assert.equal(rates.has("192.0.2.1", 1_000), true);
  });

  test("asking takes nothing and remembers nobody", () => {
    const rates = new NetworkRates({ count: 1, perMs: 1_000 });
    for (let count = 0; count < 10; count++) assert.equal(rates.has("192.0.2.1", 0), true);
    assert.equal(rates.size, 0);
  });

  test("R14: random networks do not make it grow, nor slow, and one that keeps coming is not forgotten", () => {
    const rates = new NetworkRates({ count: 1, perMs: 1e9 });
    rates.take("192.0.2.1", 0);
    const begin = performance.now();
    for (let count = 0; count < 20 * NETWORKS_MAX; count++) {
      rates.take(`2001:db8:${(count >> 16).toString(16)}:${(count & 0xffff).toString(16)}::/64`, count);
      if (count % 1_000 === 0) assert.equal(rates.has("192.0.2.1", count), false, "it was asked about a moment ago");
    }
    assert.equal(rates.size, NETWORKS_MAX);
    assert.ok(performance.now() - begin < 5_000, "a scan for each would take minutes");
  });
});
