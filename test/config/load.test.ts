import assert from "node:assert/strict";
import { resolve } from "node:path";
import { describe, test } from "node:test";
import { loadConfiguration } from "../../src/config/load.ts";
import { filesWith } from "./files.ts";

async function problemsOf(toml: string | Uint8Array) {
  const loaded = await loadConfiguration(filesWith({ "sluice.toml": toml }), { file: "sluice.toml", overlay: () => new Map() });
  assert.ok(!("configuration" in loaded), "expected problems");
  return loaded;
}

describe("loadConfiguration", () => {
  test("gives every problem its line and column", async () => {
    const problems = await problemsOf(`[log]
levle = "info"
  color = "blue"

[[listeners]]
listen = "mqtt://:1883"

[[listeners]]
tls = { cert = "a", kee = "b" }
listen = "http://x"

[pools.default]
brokers = [
  "good",
  { url = "b", weight = 0 },
]
"quoted key" = 1
`);
    assert.deepEqual(problems.map(({ place, exit }) => [place, exit]), [
      ["sluice.toml:2:1", 78],
      ["sluice.toml:9:21", 78],
      ["sluice.toml:17:1", 78],
      ["sluice.toml:3:3", 78],
      ["sluice.toml:10:1", 78],
      ["sluice.toml:15:16", 78],
    ]);
  });

  test("problems of meaning have places too, missing keys that of their table", async () => {
    const problems = await problemsOf(`[[listeners]]
listen = ":1"
pool = "nowhere"
[[listeners]]
listen = "mqtts://:2"
[limits]
packet_size_max = "1KiB"
connect_size_max = "2KiB"
[pools.a]
brokers = ["x"]
[pools.b]
brokers = ["x", "x"]
`);
    assert.deepEqual(problems.map((problem) => problem.place), ["sluice.toml:8:1", "sluice.toml:12:17", "sluice.toml:3:1", "sluice.toml:4:1", "sluice.toml:5:1"]);
    const [missing] = await problemsOf("[pools.default]\nbalance = 'random'\n");
    assert.equal(missing?.place, "sluice.toml:1:1");
  });

  test("a table that is unknown has the line of its header, or of the first below it", async () => {
    const places = async (toml: string) => (await problemsOf(toml)).map(({ place, reason }) => [place, reason]);
    assert.deepEqual((await places("\n[pool.default]\nbrokers = ['b']\n"))[0], ["sluice.toml:2:1", "unknown key pool"]);
    assert.deepEqual((await places("[log]\n\n[[listener]]\nlisten = ':1'\n"))[0], ["sluice.toml:3:1", "unknown key listener"]);
  });

  test("a file that is not TOML: line and column, and nothing of its text", async () => {
    const [problem] = await problemsOf('[pools.default]\nbrokers = ["mqtt://u:secret@b" "x"]\n');
    assert.match(problem?.place ?? "", /^sluice\.toml:2:\d+$/);
    assert.match(problem?.reason ?? "", /as TOML/);
    assert.ok(!JSON.stringify(problem).includes("secret"));
    assert.equal(problem?.exit, 78);
  });

  test("text without quotes is told that it needs them, and nothing else is", async () => {
    for (const line of ["level = info", "level = debug", "level=warn # loud", "dial_timeout = 5s", "brokers = 10.0.0.5", "brokers = [mqtt://b]", "tls = { cert = c.pem }"]) {
      assert.match((await problemsOf(`[x]\n${line}\n`))[0]?.suggestion ?? "", /^text needs quotes/, line);
    }
    for (const line of ["level =", 'level = "info" x', "level", "level = 'a", "[y"]) assert.equal((await problemsOf(`[x]\n${line}\n`))[0]?.suggestion, undefined, line);
  });

  test("a key given twice, a number too large, bytes that are not UTF-8", async () => {
    assert.match((await problemsOf("[log]\nlevel = 'info'\nlevel = 'warn'\n"))[0]?.place ?? "", /sluice\.toml:3:/);
    assert.match((await problemsOf("[limits]\nconnections_max = 99999999999999999999\n"))[0]?.place ?? "", /sluice\.toml:2:/);
    assert.match((await problemsOf(new Uint8Array([0x61, 0xff])))[0]?.reason ?? "", /UTF-8/);
  });

  test("a missing file is exit 66 with its path as it was typed", async () => {
    const loaded = await loadConfiguration(filesWith({}), { file: "no/such.toml", overlay: () => new Map() });
    assert.deepEqual(loaded, [{ place: "no/such.toml", path: undefined, reason: "cannot read the configuration: no such file", suggestion: undefined, exit: 66 }]);
  });

  test("files are meant from the folder of the TOML file", async () => {
    const toml = '[[listeners]]\nlisten = "mqtts://:1"\ntls = { cert = "c.pem", key = "/k.pem" }\n[pools.default]\nbrokers = ["mqtts://b"]\ntls.ca = "../ca.pem"\n';
    const loaded = await loadConfiguration(filesWith({ "etc/sluice/sluice.toml": toml }), { file: "etc/sluice/sluice.toml", overlay: () => new Map() });
    assert.ok("configuration" in loaded);
    const { tls } = loaded.configuration.listeners[0] ?? {};
    assert.ok(typeof tls === "object");
    assert.equal(tls.certificates[0]?.certFile, resolve("etc/sluice/c.pem"));
    assert.equal(tls.certificates[0]?.keyFile, resolve("/k.pem"));
    assert.equal(loaded.configuration.pools[0]?.tls.caFile, resolve("etc/ca.pem"));
  });

  test("a value from a flag has the flag as its place", async () => {
    const loaded = await loadConfiguration(filesWith({ "sluice.toml": '[pools.default]\nbrokers = ["b"]\n' }), {
      file: "sluice.toml",
      overlay: (document) => {
        document["log"] = { level: "loud" };
        return new Map([["log.level", "--log-level"]]);
      },
    });
    assert.ok(!("configuration" in loaded));
    assert.deepEqual(loaded.map(({ place, exit }) => [place, exit]), [["--log-level", 64]]);
  });

  test("keys that mean something to JavaScript are unknown keys like any other", async () => {
    const problems = await problemsOf('__proto__ = 1\nconstructor = 2\n[pools.default]\nbrokers = ["b"]\ntoString = 3\n');
    assert.deepEqual(problems.map((problem) => problem.place), ["sluice.toml:1:1", "sluice.toml:2:1", "sluice.toml:5:1"]);
  });
});
