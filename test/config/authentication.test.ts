import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { anchorFiles } from "../../src/config/file.ts";
import { readMaterial } from "../../src/config/material.ts";
import { printToml } from "../../src/config/print.ts";
import { resolveDocument } from "../../src/config/resolve.ts";
import { readMaterial as readAndJudge } from "../../src/server/read_material.ts";
import { filesWith } from "./files.ts";

const TLS = { cert: "c", key: "k", ca: "ca" };
const LISTENERS = [
  { name: "plain", listen: "mqtt://:1883" },
  { name: "tls", listen: "mqtts://:8883", tls: TLS },
];

function resolve(authentication: unknown, listeners: unknown = LISTENERS) {
  return resolveDocument({ listeners, authentication, pools: { default: { brokers: ["b"] } } });
}

function configured(authentication: unknown) {
  const { configuration, problems } = resolve(authentication);
  assert.ok(configuration, JSON.stringify(problems));
  return configuration;
}

function onlyProblem(authentication: unknown, listeners?: unknown) {
  const { problems } = resolve(authentication, listeners);
  assert.equal(problems?.length, 1, JSON.stringify(problems));
  return problems[0]!;
}

describe("[authentication]", () => {
  test("absent: there is none", () => {
    assert.equal(configured(undefined).authentication, undefined);
  });

  test("fills in what each type of check has by default, for all listeners", () => {
    const checks = [
      { type: "password_file", file: "users" },
      { type: "certificate" },
      { type: "jwt", keys_file: "keys" },
      { type: "jwt", keys_url: "https://keys.example" },
      { type: "http", url: "https://auth.example", cache: "1m" },
    ];
    const rules = { algorithms: undefined, issuers: [], audiences: [], leewayMs: 30_000, tokenIn: "password", usernameClaim: "sub" };
    assert.deepEqual(configured({ checks, bans: { failures_max: 3 } }).authentication, {
      anonymous: false,
      listeners: ["plain", "tls"],
      checks: [
        { type: "password_file", file: "users", cacheMs: 300_000 },
        { type: "certificate", field: "common_name" },
        { type: "jwt", keys: { file: "keys" }, ...rules },
        { type: "jwt", keys: { url: "https://keys.example", timeoutMs: 3_000, refreshMs: 300_000, staleMs: 86_400_000 }, ...rules },
        { type: "http", url: "https://auth.example", headers: {}, timeoutMs: 3_000, cacheMs: 60_000, staleMs: 60_000 },
      ],
      bans: { addresses: [], usernames: [], clientIds: [], automatic: { failuresMax: 3, windowMs: 60_000, banMs: 600_000 } },
    });
  });

  const users = { type: "password_file", file: "users" };
  const refusals: readonly [what: string, authentication: unknown, reason: RegExp, path: readonly (string | number)[]][] = [
    ["nothing to check", {}, /neither checks nor bans/, ["authentication"]],
    ["anonymous without checks", { anonymous: true, bans: { usernames: "x" } }, /does nothing without checks/, ["authentication", "anonymous"]],
    ["a key of another type", { checks: [{ ...users, url: "https://x" }] }, /checks\[0\]\.url is no key of the type "password_file": expected file, cache/, ["authentication", "checks", 0, "url"]],
    ["a key that is missing", { checks: [{ type: "http" }] }, /url is missing: the type "http" needs it/, ["authentication", "checks", 0, "url"]],
    ["no keys", { checks: [{ type: "jwt" }] }, /neither keys_file nor keys_url/, ["authentication", "checks", 0]],
    ["keys twice", { checks: [{ type: "jwt", keys_file: "a", keys_url: "b" }] }, /both keys_file and keys_url/, ["authentication", "checks", 0]],
    ["a cache of a file of keys", { checks: [{ type: "jwt", keys_file: "a", cache: "1m" }] }, /is for keys_url/, ["authentication", "checks", 0, "cache"]],
    ["stale shorter than cache", { checks: [{ type: "http", url: "u", cache: "2m", stale: "1m" }] }, /shorter than cache/, ["authentication", "checks", 0, "stale"]],
    ["an unknown type", { checks: [{ type: "ldap" }] }, /expected one of password_file, certificate, jwt, http/, ["authentication", "checks", 0, "type"]],
    ["an unknown listener", { listeners: "tsl", checks: [users] }, /expected the name of a listener/, ["authentication", "listeners"]],
    ["certificates that nobody asks for", { listeners: "plain", checks: [{ type: "certificate" }] }, /never fits/, ["authentication", "checks", 0]],
    ["no network", { bans: { addresses: ["10.0.0.0/33"] } }, /as authentication\.bans\.addresses: expected/, ["authentication", "bans", "addresses"]],
    ["bans that ban nobody", { bans: {} }, /bans nobody/, ["authentication", "bans"]],
    ["a window of nothing", { bans: { usernames: "x", window: "1m" } }, /without failures_max/, ["authentication", "bans", "window"]],
  ];
  for (const [what, authentication, reason, path] of refusals) {
    test(`${what} is refused`, () => {
      const problem = onlyProblem(authentication);
      assert.match(problem.reason, reason);
      assert.deepEqual(problem.path, path);
    });
  }

  test("a listener that passes TLS through cannot be guarded, and is not taken for guarded", () => {
    const through = [{ name: "a", listen: "mqtt://:1883" }, { name: "b", listen: "mqtts://:8883", tls: "passthrough" }];
    assert.match(onlyProblem({ checks: [users] }, through).reason, /"b" passes TLS through/);
    assert.ok(resolve({ listeners: "a", checks: [users] }, through).configuration);
  });

  test("files are meant from the configuration's folder, and headers are no files", () => {
    const { checks } = anchorFiles({ checks: [{ file: "users" }, { keys_file: "keys" }, { headers: { file: "x" } }] }, "/etc/sluice");
    assert.deepEqual(checks, [{ file: "/etc/sluice/users" }, { keys_file: "/etc/sluice/keys" }, { headers: { file: "x" } }]);
  });

  test("is part of what --print-config prints", () => {
    assert.match(printToml({ authentication: { anonymous: true }, pools: {} }), /\[authentication\]\nanonymous = true/);
  });
});

describe("readMaterial of checks", () => {
  const plain = [LISTENERS[0]!];
  const read = (check: unknown, contents: Parameters<typeof filesWith>[0] = {}) => {
    const { configuration, problems } = resolve({ checks: [check] }, plain);
    assert.ok(configuration, JSON.stringify(problems));
    return readAndJudge(configuration, { ...filesWith(contents), now: () => 0 });
  };

  test("reads the files, by the number of the check", async () => {
    const { configuration } = resolve({ checks: [{ type: "http", url: "https://a.example" }, { type: "password_file", file: "users" }] }, plain);
    const answer = await readMaterial(configuration!, filesWith({ users: "u:x" }));
    assert.ok("material" in answer);
    assert.deepEqual(answer.material.checks, [undefined, new TextEncoder().encode("u:x")]);
  });

  const problems: readonly [what: string, check: unknown, contents: Parameters<typeof filesWith>[0], exit: number, key: string, reason: RegExp][] = [
    ["a file that is missing", { type: "password_file", file: "none" }, {}, 66, "file", /none" for authentication\.checks\[0\]\.file: no such file/],
    ["a broken line", { type: "password_file", file: "users" }, { users: "# all\n\nroot:secret\n" }, 78, "file", /"users" as a password file: line 3: /],
    ["bytes that are no text", { type: "password_file", file: "users" }, { users: Uint8Array.of(0xff) }, 78, "file", /expected text/],
    ["no key", { type: "jwt", keys_file: "keys" }, { keys: "hello" }, 78, "keys_file", /expected a public key as PEM text/],
    ["no key set", { type: "jwt", keys_file: "keys" }, { keys: "{}" }, 78, "keys_file", /a list "keys"/],
    ["a short secret", { type: "jwt", keys_file: "keys", algorithms: "HS256" }, { keys: "secret" }, 78, "keys_file", /at least 32 bytes/],
    ["an unknown algorithm", { type: "jwt", keys_file: "keys", algorithms: ["none"] }, { keys: "" }, 78, "algorithms", /"none" as an algorithm/],
    ["a secret that is public", { type: "jwt", keys_file: "keys", algorithms: ["RS256", "HS256"] }, { keys: "" }, 78, "algorithms", /HS256 beside other algorithms/],
    ["a secret from the network", { type: "jwt", keys_url: "https://k.example", algorithms: "HS256" }, {}, 78, "algorithms", /with keys_url/],
    ["a service without TLS", { type: "http", url: "http://auth.example/secret" }, {}, 78, "url", /expected https:\/\//],
    ["a header of two lines", { type: "http", url: "https://a.example", headers: { a: "secret\nb" } }, {}, 78, "headers", /header 1 is none/],
  ];
  for (const [what, check, contents, exit, key, reason] of problems) {
    test(`${what} is a problem with its place, and no secret`, async () => {
      const { problems: found = [] } = await read(check, contents);
      assert.equal(found.length, 1, JSON.stringify(found));
      assert.deepEqual([found[0]?.exit, found[0]?.path], [exit, ["authentication", "checks", 0, key]]);
      assert.match(found[0]!.reason, reason);
      assert.doesNotMatch(found[0]!.reason, /root|example\/secret|secret\nb/);
    });
  }
});
