import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseNetwork, type Network } from "../../../src/lib/network.ts";
import { Bans, type AutomaticBans } from "../../../src/policy/authentication/bans.ts";
import { sourceNetwork } from "../../../src/policy/authentication/source_network.ts";
import { seeded } from "../../support/seed.ts";
import { client, STRANGE_NAMES } from "./identities.ts";

const AUTOMATIC: AutomaticBans = { failuresMax: 5, windowMs: 60_000, banMs: 300_000 };

function bansOf(rules: { networks?: string[]; usernames?: string[]; clientIds?: string[] } = {}, automatic?: AutomaticBans): Bans {
  const { networks = [], usernames = [], clientIds = [] } = rules;
  return new Bans({ networks: networks.map((text) => parseNetwork(text) as Network), usernames, clientIds }, automatic);
}

describe("Bans by rule", () => {
  const bans = bansOf({ networks: ["203.0.113.0/24", "2001:db8:bad::/48"], usernames: ["mallory", "test*"], clientIds: ["probe-??", "a.c"] });
  const detail = (shown: Parameters<typeof client>[0]) => bans.judge(client(shown), 0)?.detail;

  test("addresses by network, IPv4 in an IPv6 coat too", () => {
    for (const address of ["203.0.113.9", "::ffff:203.0.113.9", "2001:db8:bad:1::1"]) assert.equal(detail({ address }), "the address is banned", address);
    for (const address of ["203.0.114.9", "2001:db8:bae::1", "unix", ""]) assert.equal(detail({ address }), undefined, address);
  });

  test("user names and client ids by glob, everything else in them for itself", () => {
    for (const username of ["mallory", "test", "test-1"]) assert.equal(detail({ username }), "the user name is banned", username);
    for (const username of ["Mallory", "mallory ", "mallory2", "atest", undefined, ""]) assert.equal(detail({ username }), undefined, String(username));
    for (const clientId of ["probe-01", "probe-😀x", "a.c"]) assert.equal(detail({ clientId }), "the client id is banned", clientId);
    for (const clientId of ["probe-1", "probe-001", "abc", ""]) assert.equal(detail({ clientId }), undefined, clientId);
  });

  test("A2: strange names are names", () => {
    for (const name of STRANGE_NAMES) assert.equal(bans.judge(client({ username: name, clientId: name }), 0), undefined, JSON.stringify(name));
  });
});

describe("Bans by failure", () => {
  test("the last of so many failures in a window bans, for its time and no longer", () => {
    const bans = bansOf({}, AUTOMATIC);
    const address = "198.51.100.7";
    for (let count = 1; count < 5; count++) assert.equal(bans.failed(address, count * 1_000), undefined);
    assert.equal(bans.judgeAddress(address, 4_000), undefined);
    assert.equal(bans.failed(address, 5_000), address);
    assert.deepEqual(bans.judgeAddress(address, 5_000), { kind: "refused", code: "banned", detail: "198.51.100.7 is banned for 300 s: too many failures" });
    assert.equal(bans.judgeAddress("198.51.100.8", 5_000), undefined);
    assert.equal(bans.judgeAddress(address, 304_999)?.code, "banned");
    assert.equal(bans.judgeAddress(address, 305_000), undefined);
    assert.equal(bans.failed(address, 305_000), undefined, "it begins anew");
  });

  test("a window begins with its first failure and ends by itself", () => {
    const bans = bansOf({}, AUTOMATIC);
    for (const at of [0, 1, 2, 59_999]) assert.equal(bans.failed("192.0.2.1", at), undefined);
    for (const at of [60_000, 60_001, 60_002, 60_003]) assert.equal(bans.failed("192.0.2.1", at), undefined);
    assert.equal(bans.failed("192.0.2.1", 60_004), "192.0.2.1");
  });

  test("IPv6 counts by /64, whatever the host part; IPv4-mapped is IPv4", () => {
    const bans = bansOf({}, AUTOMATIC);
    const news = ["2001:db8::1", "2001:db8::2:3", "2001:db8:0:0:ffff::", "2001:DB8::4%eth0", "2001:db8::5"].map((address) => bans.failed(address, 0));
    assert.deepEqual(news, [undefined, undefined, undefined, undefined, "2001:db8::/64"]);
    assert.equal(bans.judgeAddress("2001:db8::abcd", 0)?.code, "banned");
    assert.equal(bans.judgeAddress("2001:db8:0:1::1", 0), undefined);
    assert.equal(sourceNetwork("::ffff:192.0.2.1"), "192.0.2.1");
  });

  test("nobody behind a unix socket locks out the others, and what is no address counts for nobody", () => {
    const bans = bansOf({}, { ...AUTOMATIC, failuresMax: 1 });
    for (const address of ["unix", "", "nonsense", "1.2.3", "__proto__"]) {
      assert.equal(bans.failed(address, 0), undefined);
      assert.equal(bans.judgeAddress(address, 0), undefined);
    }
  });

  test("a ban is news once, and is prolonged by what was under way", () => {
    const bans = bansOf({}, { ...AUTOMATIC, failuresMax: 1 });
    assert.equal(bans.failed("192.0.2.1", 0), "192.0.2.1");
    assert.equal(bans.failed("192.0.2.1", 10), undefined);
    assert.equal(bans.judgeAddress("192.0.2.1", 300_005)?.code, "banned");
    assert.equal(bans.judgeAddress("192.0.2.1", 300_010), undefined);
  });

  test("without numbers nothing is counted", () => {
    const bans = bansOf();
    for (let count = 0; count < 1_000; count++) assert.equal(bans.failed("192.0.2.1", 0), undefined);
    assert.equal(bans.judgeAddress("192.0.2.1", 0), undefined);
  });

  test("R14: failures of 50,000 strangers leave a bounded table, and every ban in it", () =>
    seeded((random) => {
      const bans = bansOf({}, AUTOMATIC);
      for (let count = 0; count < 5; count++) bans.failed("203.0.113.1", 0);
      const started = performance.now();
      for (let count = 0; count < 50_000; count++) {
        const address = Array.from(random.bytes(8), (byte) => byte.toString(16).padStart(2, "0")).join("").replace(/(....)(?!$)/g, "$1:");
        bans.failed(`${address}::1`, count / 25);
      }
      assert.ok(performance.now() - started < 20_000, "no search through the table");
      assert.equal(bans.judgeAddress("203.0.113.1", 2_000)?.code, "banned");
    }));

  test("R14: of too many bans the one that nobody asked for goes first", () => {
    const bans = bansOf({}, { ...AUTOMATIC, failuresMax: 1 });
    const addressAt = (index: number): string => `10.${index >> 16}.${(index >> 8) & 0xff}.${index & 0xff}`;
    for (let index = 0; index < 10_000; index++) bans.failed(addressAt(index), 0);
    assert.equal(bans.judgeAddress(addressAt(0), 0)?.code, "banned");
    for (let index = 10_000; index < 10_100; index++) bans.failed(addressAt(index), 0);
    assert.equal(bans.judgeAddress(addressAt(0), 0)?.code, "banned");
    assert.equal(bans.judgeAddress(addressAt(1), 0), undefined);
    const banned = Array.from({ length: 10_100 }, (_, index) => bans.judgeAddress(addressAt(index), 0)).filter((refused) => refused !== undefined);
    assert.equal(banned.length, 10_000);
  });
});
