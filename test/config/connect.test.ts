import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ConfigProblem } from "../../src/config/problem.ts";
import { loadConfiguration } from "../../src/config/load.ts";
import { filesWith } from "./files.ts";

async function load(connect: string, broker = "mqtt://10.0.0.5") {
  const toml = `[pools.default]\nbrokers = ["${broker}"]\n[pools.default.connect]\n${connect}\n`;
  return loadConfiguration(filesWith({ "sluice.toml": toml }), { file: "sluice.toml", overlay: () => new Map() });
}

async function problemsOf(connect: string, broker?: string): Promise<readonly ConfigProblem[]> {
  const loaded = await load(connect, broker);
  assert.ok(!("configuration" in loaded), "expected problems");
  return loaded;
}

describe("[pools.x.connect]", () => {
  test("a template that is none is an error with its place, its key and a suggestion", async () => {
    const problems = await problemsOf('client_id = "${clientid}"\nusername = "${"\n  will_topic_prefix = "a/#/"\nuser_properties = { a = "ok", "x-ip" = "${adress}", "b\\n" = "" }');
    assert.deepEqual(problems.map(({ place, reason, suggestion }) => [place, reason.replace(/: .*/, ""), suggestion]).sort(), [
      ["sluice.toml:4:1", "cannot use pools.default.connect.client_id", "did you mean ${client.id}?"],
      ["sluice.toml:5:1", "cannot use pools.default.connect.username", "write $${ for the characters ${"],
      ["sluice.toml:6:3", "cannot use pools.default.connect.will_topic_prefix", undefined],
      ["sluice.toml:7:31", "cannot use pools.default.connect.user_properties.x-ip", "did you mean ${address}?"],
      ["sluice.toml:7:53", "cannot use pools.default.connect.user_properties.\"b \"", undefined],
    ]);
  });

  test("a value that no client can have is an error, unless it has a default", async () => {
    for (const [variable, expected] of [["claims.sub", /expected a check of type jwt/], ["tls.cn", /expected a listener with tls/], ["sni", /expected a listener with tls/]] as const) {
      const [problem, ...more] = await problemsOf(`client_id = "a-\${${variable}}"\nusername = "\${${variable}:-x}"`);
      assert.deepEqual([problem?.place, problem?.suggestion, more.length], ["sluice.toml:4:1", `write \${${variable}:-something} for a default`, 0]);
      assert.match(problem?.reason ?? "", expected);
    }
  });

  test("no password is in an error", async () => assert.doesNotMatch(JSON.stringify(await problemsOf('password = "hunter2${"')), /hunter/));

  test("a user name or password beside those of a broker's URL is an error; what leaves credentials alone is none", async () => {
    const withUser = "mqtt://gate:pw@10.0.0.5";
    for (const key of ["username", "password"]) {
      for (const value of ['"x"', "false"]) {
        const [problem, ...more] = await problemsOf(`${key} = ${value}`, withUser);
        assert.deepEqual([problem?.place, more.length], ["sluice.toml:4:1", 0]);
        assert.match(problem?.reason ?? "", /beside a user in the URL of broker "10.0.0.5:1883"/);
      }
    }
    assert.ok("configuration" in (await load('client_id = "dev-${client.id}"', withUser)));
  });

  test("a session expiry is whole seconds, and an empty table is an error", async () => {
    assert.match((await problemsOf('session_expiry_max = "1500ms"'))[0]?.reason ?? "", /whole seconds/);
    assert.match((await problemsOf(""))[0]?.reason ?? "", /is empty/);
  });

  test("what is right comes parsed", async () => {
    const loaded = await load('client_id = "dev-${client.id}"\nusername = false\nsession_expiry_max = "2m"');
    assert.ok("configuration" in loaded);
    const rule = loaded.configuration.pools[0]?.connect;
    assert.deepEqual(rule?.clientId?.parts, ["dev-", { name: "client.id", fallback: undefined }]);
    assert.deepEqual([rule?.username, rule?.password, rule?.sessionExpiryMaxSeconds, rule?.willTopicPrefix], [null, undefined, 120, undefined]);
  });
});
