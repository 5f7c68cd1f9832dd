import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { resolveConfiguration } from "../../src/config/resolve.ts";
import type { ConfigInput } from "../../src/config/schema.ts";
import { warningsOf } from "../../src/config/warnings.ts";

const LISTENERS: NonNullable<ConfigInput["listeners"]> = [{ name: "front", listen: ":1" }, { name: "back", listen: ":2", pool: "other" }];
const CHECKS = [{ type: "password_file" as const, file: "users.txt" }];
const GUARD = { listeners: ["front"], checks: CHECKS };

function warnings({ connect, ...input }: Partial<ConfigInput> & { connect?: object }): string[] {
  const pools = { default: { brokers: ["a"], ...(connect && { connect }) }, other: { brokers: ["b"] } };
  const { configuration, problems } = resolveConfiguration({ listeners: LISTENERS, pools, ...input });
  assert.ok(configuration, JSON.stringify(problems));
  return warningsOf(configuration);
}

describe("warningsOf an unguarded way to a pool that trusts its clients", () => {
  const ROUTE = { client_id: "x*", pool: "default" };
  const cases: readonly (readonly [what: string, input: Parameters<typeof warnings>[0], expected: RegExp | undefined])[] = [
    ["a password for everybody, by a route", { authentication: GUARD, routes: [ROUTE], connect: { password: "p" } }, /^listener "back" is not checked, and its clients get the password of pool "default" under whatever user name they say$/],
    ["the same with the name in it", { authentication: GUARD, routes: [ROUTE], connect: { username: "${username}", password: "p" } }, /under whatever user name they say$/],
    ["one login for everybody", { authentication: GUARD, routes: [ROUTE], connect: { username: "gate", password: "p" } }, /get the password of pool "default"$/],
    ["a name that is believed", { authentication: GUARD, routes: [ROUTE], connect: { will_topic_prefix: "t/${username}/" } }, /^listener "back" is not checked, and in \[pools\.default\.connect\] whatever user name its clients say stands for \$\{username\}$/],
    ["its own pool", { authentication: { listeners: ["back"], checks: CHECKS }, connect: { password: "p" } }, /^listener "front" is not checked/],
    ["a route of the guarded listener", { authentication: GUARD, routes: [{ ...ROUTE, listener: "front" }], connect: { password: "p" } }, undefined],
    ["no route", { authentication: GUARD, connect: { password: "p" } }, undefined],
    ["a rule that trusts nobody", { authentication: GUARD, routes: [ROUTE], connect: { client_id: "${address}-${client.id}" } }, undefined],
    ["every listener checked", { authentication: { checks: CHECKS }, routes: [ROUTE], connect: { password: "p" } }, undefined],
    ["nobody checked", { routes: [ROUTE], connect: { password: "p" } }, undefined],
  ];
  for (const [what, input, expected] of cases) {
    test(what, () => {
      const found = warnings(input);
      assert.equal(found.length, expected === undefined ? 0 : 1, found.join("\n"));
      if (expected) assert.match(found[0] ?? "", expected);
    });
  }
});

test("warningsOf rules behind one that takes everybody, and pools that nobody names", () => {
  const all = { name: "all", pool: "default" };
  assert.deepEqual(warnings({ routes: [{ client_id: "x", pool: "default" }, { pool: "other" }, { client_id: "y", pool: "default" }] }), ["routes[1] takes everybody: routes[2] is never asked"]);
  assert.deepEqual(warnings({ routes: [all, { pool: "other" }, { client_id: "y", refuse: "banned" }] }), ["all takes everybody: routes[1] and those behind it are never asked"]);
  assert.deepEqual(warnings({ routes: [{ listener: "front", pool: "default" }, { version: "5", pool: "other" }, all] }), []);
  assert.deepEqual(warnings({ listeners: [{ listen: ":1" }] }), ['pool "other" is used by no listener and no route']);
  assert.deepEqual(warnings({ listeners: [{ listen: ":1" }], routes: [{ client_id: "x", pool: "other" }] }), []);
});
