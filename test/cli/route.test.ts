import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { play } from "./fake_runtime.ts";

const TOML = `
[[listeners]]
name = "front"
listen = "mqtts://:8883"
tls = { cert = "c.pem", key = "k.pem" }
[[listeners]]
name = "plain"
listen = "mqtt://:1883"
[[listeners]]
name = "told"
listen = "mqtt://:1884"
proxy_protocol = { from = "10.0.0.0/8" }
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
    assert.equal(out[3], 'decided  client_id: the hash of the client id "sensor-1"');
    assert.match(out[4] ?? "", /^brokers  1\. (one|two):1883$/);
    assert.match(out[5] ?? "", /^ {9}2\. (one|two):1883$/);
    assert.deepEqual((await route("--client-id", "sensor-1")).out, out);
    assert.deepEqual(calls, [], "nothing is started");
  });

  test("names the rule that decides, its pool, or the refusal in the client's version", async () => {
    const there = await route("--sni", "A.cloud.example", "--user-property", "region=eu");
    assert.deepEqual(there.out.slice(1), ["route    routes[1]", "pool     cloud, round_robin", "decided  only_broker: there is no other one", "brokers  1. three:1883"]);
    assert.deepEqual((await route("--client-id", "bad-1")).out.slice(1), ["route    banished", "refused  banned: CONNACK 0x8a, turned away by banished"]);
    assert.deepEqual((await route("--client-id", "bad-1", "--mqtt", "3.1.1")).out.slice(2), ["refused  banned: CONNACK 5, turned away by banished"]);
  });

  test("goes by the key of the algorithm: user name, address, or what stands in for them", async () => {
    const decided = async (balance: string, ...words: string[]) => {
      const toml = `[pools.default]\nbrokers = ["one", "two", "three"]\nbalance = "${balance}"\n`;
      const { out } = await play(["route", "sluice.toml", ...words], { files: { "sluice.toml": toml } });
      return { decided: out.find((line) => line.startsWith("decided")), brokers: out.slice(-3).join() };
    };
    const anna = await decided("username", "--username", "anna", "--client-id", "a1");
    assert.equal(anna.decided, 'decided  username: the hash of the user name "anna"');
    assert.equal((await decided("username", "--username", "anna", "--client-id", "other")).brokers, anna.brokers);
    assert.equal((await decided("username", "--client-id", "a1")).decided, 'decided  username: the hash of the client id "a1", for it has no user name');
    assert.equal((await decided("address", "--client-id", "a1", "--address", "10.0.0.9")).decided, 'decided  address: the hash of the address "10.0.0.9"');
    assert.equal((await decided("client_id")).decided, 'decided  client_id: the hash of the address "127.0.0.1", for it has no client id');
    assert.match((await decided("first")).decided ?? "", /^decided {2}first: the first of the list/);
    assert.match((await decided("random")).decided ?? "", /^decided {2}random: two are drawn/);
  });

  test("knows backups, weights, states, fail_over and affinity", async () => {
    const toml = `
[pools.default]
affinity = "session"
brokers = [{ url = "one", weight = 3 }, { url = "two", backup = true }, { url = "three", state = "maint" }, { url = "four", state = "drain" }]
[pools.pair]
fail_over = "all"
brokers = ["five", "six"]
health = { probe = "mqtt" }
[pools.out]
brokers = [{ url = "seven", state = "maint" }, { url = "eight", state = "maint" }]
[[routes]]
client_id = "pair"
pool = "pair"
[[routes]]
client_id = "out"
pool = "out"
`;
    const answers = async (id: string) => (await play(["route", "sluice.toml", "--client-id", id], { files: { "sluice.toml": toml } })).out.slice(2);
    assert.deepEqual(await answers("x"), [
      "pool     default, round_robin; a client whose MQTT session a broker holds goes back to that one",
      "decided  round_robin: whose turn it is; a proxy that has just started begins so",
      "brokers  1. one:1883  weight 3",
      "         2. two:1883  backup",
      "left out three:1883  maint",
      "         four:1883  drain",
    ]);
    assert.deepEqual((await answers("pair")).slice(1), [
      'decided  elected: fail_over = "all": one broker serves everybody, the first of the list while it is well',
      "brokers  1. five:1883",
      "left out six:1883  while the first one is well",
    ]);
    assert.deepEqual((await answers("out")).slice(1), ["left out seven:1883  maint", "         eight:1883  maint", 'refused  server_unavailable: CONNACK 0x88, no broker of pool "out" takes clients now']);
  });

  test("says what authentication would ask, and who is banned whatever it finds", async () => {
    const toml = `
[pools.default]
brokers = ["one"]
[[authentication.checks]]
type = "password_file"
file = "users.txt"
[authentication.bans]
client_ids = ["bad-*"]
addresses = ["192.0.2.0/24"]
usernames = ["root"]
`;
    const ask = async (...words: string[]) => (await play(["route", "sluice.toml", ...words], { files: { "sluice.toml": toml } })).out;
    assert.equal((await ask("--client-id", "good"))[1], "checks   password_file; --username stands for the name that they find");
    for (const [words, why] of [[["--client-id", "bad-1"], "the client id"], [["--address", "192.0.2.7"], "the address"], [["--username", "root"], "the user name"]] as const) {
      assert.deepEqual((await ask(...words)).slice(2), [`refused  banned: CONNACK 0x8a, ${why} is banned`]);
    }
  });

  test("--json says the same to programs", async () => {
    const { out, code } = await route("--client-id", "bad-1", "--json");
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(out.join("")), { listener: "front", checks: [], route: "banished", refused: { reason: "banned", connack: 0x8a, detail: "turned away by banished" }, pool: null, decidedBy: null, brokers: [], leftOut: [] });
    const there = JSON.parse((await route("--sni", "a.cloud.example", "--user-property", "region=eu", "--json")).out.join(""));
    assert.deepEqual(there.brokers, [{ name: "three:1883", weight: 1, backup: false, state: "ready" }]);
    assert.deepEqual(there.decidedBy, { reason: "only_broker", detail: "there is no other one" });
  });

  test("a PROXY header may tell of TLS", async () => {
    assert.equal((await route("--listener", "told", "--sni", "a.cloud.example", "--common-name", "x")).code, 0);
  });

  for (const [words, expected] of [
    [["--listener", "frnt"], /--listener: cannot use "frnt".*front/],
    [["--mqtt", "4"], /--mqtt: cannot use "4"/],
    [["--address", "somewhere"], /--address: cannot use "somewhere"/],
    [["--user-property", "region"], /--user-property: expected name=value/],
    [["--mqtt", "3.1.1", "--user-property", "region=eu"], /--user-property: user properties are of MQTT 5: expected --mqtt 5/],
    ...["--sni", "--alpn", "--common-name", "--san"].map((flag) => [["--listener", "plain", flag, "x"], new RegExp(`${flag}: listener "plain" has no tls`)] as const),
  ] as const) {
    test(`refuses ${words.join(" ")}`, async () => {
      const { code, error } = await route(...words);
      assert.equal(code, 64);
      assert.match(error[0] ?? "", expected);
    });
  }
});
