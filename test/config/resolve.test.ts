import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { resolveConfiguration, resolveDocument } from "../../src/config/resolve.ts";

const minimal = { pools: { default: { brokers: ["broker"] } } };

function problemsOf(document: unknown) {
  const { problems } = resolveDocument(document);
  assert.ok(problems, "expected problems");
  return problems;
}

describe("resolveConfiguration", () => {
  test("fills in every default", () => {
    const { configuration } = resolveConfiguration(minimal);
    assert.deepEqual(configuration?.listeners.map(({ name, scheme, host, port, tls, pool }) => ({ name, scheme, host, port, tls, pool })), [
      { name: "mqtt://:1883", scheme: "mqtt", host: undefined, port: 1883, tls: undefined, pool: "default" },
    ]);
    assert.deepEqual(configuration?.limits, {
      connectionsMax: 10_000,
      connectTimeoutMs: 10_000,
      connectSizeMax: 65_536,
      packetSizeMax: 268_435_460,
      handshakeTimeoutMs: 10_000,
      dialTimeoutMs: 5_000,
      answerTimeoutMs: 15_000,
      bufferSizeMax: 65_536,
      stallTimeoutMs: 60_000,
      drainTimeoutMs: 10_000,
    });
    assert.deepEqual(configuration?.log, { level: "info", format: "auto", color: "auto" });
    const [pool] = configuration?.pools ?? [];
    assert.equal(pool?.balance, "round_robin");
    assert.equal(pool?.brokers[0]?.name, "broker:1883");
    assert.equal(pool?.brokers[0]?.weight, 1);
  });

  test("a listener without a pool goes to the only one", () => {
    const { configuration } = resolveConfiguration({ pools: { factory: { brokers: ["b"] } } });
    assert.equal(configuration?.listeners[0]?.pool, "factory");
  });

  test("two listeners on port 0 with names are two, and so are two addresses of one port", () => {
    const listeners = [
      { name: "a", listen: "mqtt://127.0.0.1:0" },
      { name: "b", listen: "mqtt://127.0.0.1:0" },
      { listen: "mqtt://127.0.0.1:1883" },
      { listen: "mqtt://[::1]:1883" },
    ];
    assert.equal(resolveConfiguration({ ...minimal, listeners }).configuration?.listeners.length, 4);
  });

  test("addresses that include each other are one, those that do not or may not are two", () => {
    const pairs: readonly (readonly [one: string, other: string, areTwins: boolean])[] = [
      ["127.0.0.1", "", true],
      ["", "[::1]", true],
      ["0.0.0.0", "", true],
      ["0.0.0.0", "10.0.0.1", true],
      ["[::]", "10.0.0.1", true],
      ["[::]", "0.0.0.0", true],
      ["0.0.0.0", "[::1]", false],
      ["127.0.0.1", "[::1]", false],
      ["127.0.0.1", "127.0.0.2", false],
      ["localhost", "", false],
      ["localhost", "127.0.0.1", false],
    ];
    for (const [one, other, areTwins] of pairs) {
      for (const [first, second] of [[one, other], [other, one]]) {
        const { problems } = resolveConfiguration({ pools: minimal.pools, listeners: [{ listen: `mqtt://${first}:21800` }, { listen: `ws://${second}:21800` }] });
        assert.equal(problems?.length ?? 0, areTwins ? 1 : 0, `${first} and ${second}`);
        if (areTwins) assert.match(problems?.[0].reason ?? "", /cannot be had together/);
      }
    }
    assert.equal(resolveConfiguration({ pools: minimal.pools, listeners: [{ listen: "mqtt://127.0.0.1:1" }, { listen: ":2" }, { listen: "unix:///a" }, { listen: "unix:///b" }] }).problems, undefined);
    assert.match(resolveConfiguration({ pools: minimal.pools, listeners: [{ listen: "unix:///a" }, { listen: "ws+unix:///a" }] }).problems?.[0].reason ?? "", /"unix:\/a" is used by two/);
  });

  test("names the object in its problems", () => {
    assert.equal(resolveConfiguration({}).problems?.[0].place, "configuration");
  });
});

describe("resolveDocument", () => {
  test("reports every unknown key, with what was meant", () => {
    const problems = problemsOf({ ...minimal, lgo: {}, log: { colour: "auto", lvel: "info" }, limits: { dail_timeout: "1s" } });
    assert.deepEqual(problems.map(({ reason, suggestion }) => [reason, suggestion]), [
      ["unknown key lgo", 'did you mean "log"?'],
      ["unknown key log.colour", 'did you mean "color"?'],
      ["unknown key log.lvel", 'did you mean "level"?'],
      ["unknown key limits.dail_timeout", 'did you mean "dial_timeout"?'],
    ]);
  });

  test("an unknown key inside a broker's table is found too", () => {
    const [problem] = problemsOf({ pools: { default: { brokers: [{ url: "mqtt://u@b", password: "hunter2" }] } } });
    assert.equal(problem.reason, "unknown key pools.default.brokers[0].password");
    assert.equal(problem.suggestion, 'did you mean "password_file"?');
    assert.ok(!JSON.stringify(problem).includes("hunter2"));
  });

  const refusals: [name: string, document: object, reason: RegExp, suggestion?: RegExp][] = [
    ["a plain number as a duration", { limits: { dial_timeout: 10 } }, /^cannot use 10 as limits\.dial_timeout: expected a duration with its unit/, /write "10s"/],
    ["a plain number as a size", { limits: { buffer_size_max: 512 } }, /^cannot use 512 as limits\.buffer_size_max: expected a size/, /write "512B"/],
    ["a duration without unit", { limits: { dial_timeout: "10" } }, /cannot use "10" as limits\.dial_timeout/, /^write "10s"$/],
    ["a duration with a blank", { limits: { dial_timeout: "10 s" } }, /cannot use "10 s"/, /^write "10s"$/],
    ["a size in small letters", { limits: { buffer_size_max: "64 kib" } }, /cannot use "64 kib"/, /^write "64KiB"$/],
    ["a rate by the second", { limits: { connect_rate_per_address: "100/sec" } }, /cannot use "100\/sec"/, /^write "100\/s"$/],
    ["a scheme with a letter missing", { listeners: [{ listen: "mqt://" }] }, /unix:\/\/ in front \(did you mean mqtt:\/\/\?\)/],
    ["a duration of nothing", { limits: { dial_timeout: "0s" } }, /expected at least "1ms"/],
    ["a duration of days", { limits: { dial_timeout: "25h" } }, /cannot use "25h" .* at most "24h"/],
    ["a size of nothing", { limits: { connect_size_max: "0B" } }, /expected at least "16B"/],
    ["a fraction of connections", { limits: { connections_max: 1.5 } }, /cannot use 1\.5 .* a whole number/],
    ["no connections", { limits: { connections_max: 0 } }, /a whole number from 1/],
    ["a CONNECT larger than any packet", { limits: { packet_size_max: "1KiB" } }, /connect_size_max is 65536 bytes: expected no more than .* 1024/],
    ["a level that is none", { log: { level: "inof" } }, /cannot use "inof" as log\.level: expected one of/, /"info"/],
    ["a table where a list belongs", { listeners: { listen: ":1" } }, /cannot use a table as listeners: expected a list/],
    ["no listener", { listeners: [] }, /list of listeners is empty/],
    ["a listener without address", { listeners: [{ name: "x" }] }, /listeners\[0\]\.listen is missing/],
    ["credentials in a listener", { listeners: [{ listen: "mqtt://user:secret@:1883" }] }, /"mqtt:\/\/user:\*\*\*@:1883".*no user or password/],
    ["mqtts without certificate", { listeners: [{ listen: "mqtts://:8883" }] }, /has no certificate/, /--cert/],
    ["mqtt with certificate", { listeners: [{ listen: "mqtt://:8883", tls: { cert: "c", key: "k" } }] }, /has tls, but its URL says mqtt/, /mqtts:\/\/:8883/],
    ["a certificate without key", { listeners: [{ listen: "mqtts://:8883", tls: { cert: "c" } }] }, /listeners\[0\]\.tls has cert without key/],
    ["a pool that does not exist", { listeners: [{ listen: ":1", pool: "defualt" }] }, /cannot use "defualt" as listeners\[0\]\.pool/, /"default"/],
    ["one address twice", { listeners: [{ listen: "mqtt://:1883" }, { name: "b", listen: ":1883" }] }, /address ":1883" is used by two/],
    ["one name twice", { listeners: [{ name: "a", listen: ":1" }, { name: "a", listen: ":2" }] }, /listener "a" exists twice/],
    ["no broker", { pools: { default: { brokers: [] } } }, /expected at least one broker/],
    ["no brokers key", { pools: { default: {} } }, /pools\.default\.brokers is missing/],
    ["text for a list of brokers", { pools: { default: { brokers: "mqtt://u:secret@b" } } }, /cannot use "mqtt:\/\/u:\*\*\*@b" as pools\.default\.brokers: expected a list/],
    ["one broker twice", { pools: { default: { brokers: ["B", "mqtt://b:1883"] } } }, /"b:1883" is in pools\.default twice/],
    ["a weight of 0", { pools: { default: { brokers: [{ url: "b", weight: 0 }] } } }, /weight: expected a whole number from 1 to 1000/],
    ["a weight of 1001", { pools: { default: { brokers: [{ url: "b", weight: 1001 }] } } }, /from 1 to 1000/],
    ["a broker's table without url", { pools: { default: { brokers: [{ weight: 1 }] } } }, /brokers\[0\]\.url is missing/],
    ["a broker that is a number", { pools: { default: { brokers: [1883] } } }, /cannot use 1883 as pools\.default\.brokers\[0\]: expected a URL in quotes, or a table/],
    ["a broker without host", { pools: { default: { brokers: [":1883"] } } }, /expected a host in the URL of a broker/],
    ["a password file without user", { pools: { default: { brokers: [{ url: "b", password_file: "p" }] } } }, /without a user/],
    ["two passwords", { pools: { default: { brokers: [{ url: "u:secret@b", password_file: "p" }] } } }, /beside a password in the URL/],
    ["a colon in the user of an HTTP proxy", { pools: { default: { brokers: ["b"], via: "http://a%3Ab:c@p:1" } } }, /no colon in the user name/],
    ["a control character for a proxy", { pools: { default: { brokers: ["b"], via: "socks5://a%0D:c@p" } } }, /no control characters/],
    ["an empty password for SOCKS", { pools: { default: { brokers: ["b"], via: "socks5://a:@p" } } }, /1 to 255 bytes/],
    ["socks5h", { pools: { default: { brokers: ["b"], via: "socks5h://p" } } }, /the proxy resolves every name/],
    ["a scheme that is no proxy's", { pools: { default: { brokers: ["b"], via: "ftp://p" } } }, /http:\/\/ or socks5/],
    ["a mode without a unix socket", { listeners: [{ listen: ":1", mode: "0660" }] }, /is no unix socket/],
    ["a path on plain MQTT", { listeners: [{ listen: "mqtt://:1/mqtt" }] }, /no path/],
    ["passthrough with WebSocket", { listeners: [{ listen: "wss://:1", tls: "passthrough" }] }, /cannot pass TLS through/],
    ["passthrough to a broker over TLS", { listeners: [{ listen: "mqtts://:1", tls: "passthrough" }], pools: { default: { brokers: ["mqtt://a", "mqtts://b"] } } }, /passes TLS through to broker "b:8883"/],
    ["auto beside a certificate", { listeners: [{ listen: "mqtts://:1", tls: { auto: true, cert: "c", key: "k" } }] }, /auto beside cert/],
    ["client certificates without authority", { listeners: [{ listen: "mqtts://:1", tls: { cert: "c", key: "k", client_certificates: "require" } }] }, /without ca/],
    ["an authority nobody is judged by", { listeners: [{ listen: "mqtts://:1", tls: { cert: "c", key: "k", client_certificates: "none", ca: "a" } }] }, /has ca or crl/],
    ["no certificate for accept", { listeners: [{ listen: "any://:1", accept: ["mqtts"] }] }, /cannot accept mqtts without tls/],
    ["accept on one transport", { listeners: [{ listen: "mqtt://:1", accept: ["mqtt"] }] }, /for any:\/\/ listeners/],
    ["websocket on MQTT", { listeners: [{ listen: "mqtt://:1", websocket: {} }] }, /does not accept it/],
    ["an origin with a path", { listeners: [{ listen: "ws://:1", websocket: { origins: ["https://a/b"] } }] }, /as an origin/],
    ["a network that is none", { listeners: [{ listen: ":1", proxy_protocol: { from: "10.0.0.0/33" } }] }, /prefix of 0 to 32/],
    ["a server name that is none", { listeners: [{ listen: "mqtts://:1", tls: { certificates: [{ cert: "c", key: "k", names: "a b" }] } }] }, /expected a host name/],
    ["a route for no listener", { routes: [{ listener: "x", pool: "default" }] }, /name of a listener/],
    ["a route by SNI without TLS", { routes: [{ sni: "a", pool: "default" }] }, /never fits/],
    ["a route to nowhere", { routes: [{ pool: "x" }] }, /expected a pool that exists/],
    ["a broker's key without its certificate", { pools: { default: { brokers: ["mqtts://b"], tls: { key: "k" } } } }, /key without cert/],
    ["headers without WebSocket", { pools: { default: { brokers: ["b"], websocket: { headers: { A: "b" } } } } }, /has no effect/],
    ["a header that sluice sets", { pools: { default: { brokers: ["ws://b"], websocket: { headers: { Host: "b" } } } } }, /sets this header itself/],
    ["a header with a line break", { pools: { default: { brokers: ["ws://b"], websocket: { headers: { A: "b\r\nC: d" } } } } }, /printable ASCII/],
    ["a load bound without hashing", { pools: { default: { brokers: ["b"], load_max: 1.25 } } }, /no effect with balance/],
    ["a load bound that nobody could keep", { pools: { default: { brokers: ["b"], balance: "client_id", load_max: 1 } } }, /a number above 1/],
    ["affinity where one broker has everybody", { pools: { default: { brokers: ["b"], fail_over: "all", affinity: "session", health: { probe: "mqtt" } } } }, /no effect with fail_over/],
    ["rebalance where one broker has everybody", { pools: { default: { brokers: ["a", "b"], fail_over: "all", rebalance: {}, health: { probe: "mqtt" } } } }, /rebalance has no effect with fail_over/],
    ["one broker for everybody, and nobody who asks whether it is well", { pools: { default: { brokers: ["b"], fail_over: "all" } } }, /expected health with probe/],
    ["a login for a TCP probe", { pools: { default: { brokers: ["b"], health: { username: "u" } } } }, /only probe = "mqtt" can ask/],
    ["a loop below a wildcard", { pools: { default: { brokers: ["b"], health: { probe: "mqtt", loop_topic: "a/#" } } } }, /a topic without/],
    ["a probe's password without a user", { pools: { default: { brokers: ["b"], health: { probe: "mqtt", password_file: "p" } } } }, /without username/],
    ["room for no session", { pools: { default: { brokers: [{ url: "b", connections_max: 0 }] } } }, /a whole number from 1/],
    ["TLS for brokers without TLS", { pools: { default: { brokers: ["b"], tls: { insecure: true } } } }, /has no effect/],
    ["a list for a table", { limits: [{ connections_max: 3 }] }, /cannot use a list as limits: expected a table/, /write \[limits\], and not \[\[limits\]\]/],
    ["an empty list for a table", { authentication: { bans: [] } }, /cannot use a list as authentication\.bans: expected a table/],
    ["a list for a listener's tls", { listeners: [{ listen: "mqtts://:1", tls: [] }] }, /cannot use a list as listeners\[0\]\.tls: expected a table/],
    ["a list of pools", { pools: [{ brokers: ["b"] }] }, /cannot use a list as pools: expected a table/],
    ["a list for a pool", { pools: { default: [{}] } }, /cannot use a list as pools\.default: expected a table/],
    ["brokers without a pool", { pools: { brokers: ["b"] } }, /every pool has a name/, /\[pools\.default\] in place of \[pools\]/],
    ["its own listener as a broker", { pools: { default: { brokers: ["b", "127.0.0.1"] } } }, /broker "127\.0\.0\.1:1883" is this proxy's own listener "mqtt:\/\/:1883"/, /mqtt:\/\/:1884/],
    ["its own listener by name", { listeners: [{ listen: "mqtt://[::1]:7" }], pools: { default: { brokers: ["localhost:7"] } } }, /own listener/],
    ["its own listener by the same address", { listeners: [{ listen: "ws://10.0.0.1:7" }], pools: { default: { brokers: ["10.0.0.1:7"] } } }, /own listener/],
    ["its own unix socket as a broker", { listeners: [{ listen: "unix:///run/s" }], pools: { default: { brokers: ["unix:///run/s"] } } }, /own listener/],
    ["certificates at one door of two", { listeners: [{ listen: "any://:1", tls: { cert: "c", key: "k", ca: "a" } }] }, /requires client certificates, and lets in mqtt and ws/, /accept = \["mqtts", "wss"\]/],
    ["a port for a listener's address", { listeners: [{ listen: "21800" }] }, /a colon in front of a port, such as mqtt:\/\/:21800/],
    ["a port for a broker", { pools: { default: { brokers: ["1883"] } } }, /a host in front of a port, such as localhost:1883/],
    ["a version of MQTT that is none", { routes: [{ version: "6", pool: "default" }] }, /3\.1, 3\.1\.1 or 5/],
    ["a pool's name with a space", { pools: { "a b": { brokers: ["b"] } } }, /as the name of a pool/],
  ];
  for (const [name, document, reason, suggestion] of refusals) {
    test(`refuses ${name}`, () => {
      const problems = problemsOf({ ...minimal, ...document });
      assert.equal(problems.length, 1, JSON.stringify(problems));
      assert.match(problems[0].reason, reason);
      if (suggestion) assert.match(problems[0].suggestion ?? "", suggestion);
      assert.ok(!JSON.stringify(problems).includes("secret"), "a secret is in the message");
      assert.ok(!problems[0].reason.endsWith("."));
    });
  }

  test("what looks like a loop or an open door and is none", () => {
    const ca = { cert: "c", key: "k", ca: "a" };
    for (const document of [
      { listeners: [{ listen: "10.0.0.1:1883" }], pools: { default: { brokers: ["127.0.0.1"] } } },
      { listeners: [{ listen: "127.0.0.2:1883" }], pools: { default: { brokers: ["127.0.0.1"] } } },
      { listeners: [{ listen: "[::1]:1883" }], pools: { default: { brokers: ["127.0.0.1"] } } },
      { listeners: [{ listen: "0.0.0.0:1883" }], pools: { default: { brokers: ["[::1]"] } } },
      { listeners: [{ listen: ":1884" }], pools: { default: { brokers: ["127.0.0.1"] } } },
      { pools: { default: { brokers: ["127.0.0.1"], via: "http://p" } } },
      { listeners: [{ listen: "any://:1", accept: ["mqtt", "mqtts", "ws", "wss"], tls: ca }] },
      { listeners: [{ listen: "any://:1", tls: { ...ca, client_certificates: "request" } }] },
      { routes: [{ version: "5", pool: "default" }] },
    ]) assert.equal(resolveDocument({ ...minimal, ...document }).problems, undefined, JSON.stringify(document));
  });

  test("another number is no misspelling", () => {
    assert.equal(problemsOf({ pools: { default: { brokers: ["b"], proxy_protocol: "v3" } } })[0].suggestion, undefined);
  });

  test("refuses what is no table at all", () => {
    for (const document of [undefined, null, 5, "x", []]) assert.equal(problemsOf(document)[0].exit, 78);
  });

  test("a misspelt key that is required is reported once", () => {
    const problems = problemsOf({ ...minimal, listeners: [{ lisen: "mqtt://:1883" }] });
    assert.deepEqual(problems.map((problem) => problem.reason), ["unknown key listeners[0].lisen"]);
  });
});
