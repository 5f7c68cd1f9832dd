import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { resolveConfiguration } from "../../src/config/resolve.ts";
import type { ConfigInput } from "../../src/config/schema.ts";
import { Routes, type RouteConnect, type RouteKey } from "../../src/policy/routes.ts";

type RouteInput = NonNullable<ConfigInput["routes"]>[number];

/** What decides for a client, by the name of the route. */
function decide(routes: readonly RouteInput[], key: Partial<Omit<RouteKey, "connect">> & { connect?: Partial<RouteConnect> | undefined }): string | undefined {
  const resolved = resolveConfiguration({
    listeners: [{ name: "front", listen: "any://:1", tls: "auto" }, { name: "side", listen: ":2" }],
    pools: { default: { brokers: ["a"] }, other: { brokers: ["b"] } },
    routes: [...routes],
  });
  assert.equal(resolved.problems, undefined);
  const connect = { clientId: "c", username: undefined, version: 5, commonName: undefined, alternativeNames: [], userProperties: () => [], ...key.connect } as const;
  const whole = { listener: "front", address: "10.0.0.1", serverName: undefined, alpn: [], ...key, connect: "connect" in key && key.connect === undefined ? undefined : connect };
  return new Routes(resolved.configuration?.routes ?? []).find(whole)?.name;
}

describe("Routes", () => {
  const cases: [string, Omit<RouteInput, "pool">, Parameters<typeof decide>[1], Parameters<typeof decide>[1]][] = [
    ["listener", { listener: "side" }, { listener: "side" }, { listener: "front" }],
    ["server name", { sni: ["a.example", "*.b.example"] }, { serverName: "x.b.example" }, { serverName: "x.y.b.example" }],
    ["no server name", { sni: "a.example" }, { serverName: "a.example" }, {}],
    ["protocol", { alpn: "mqtt" }, { alpn: ["http/1.1", "mqtt"] }, { alpn: ["http/1.1"] }],
    ["address", { address: ["10.0.0.0/8", "::1"] }, { address: "10.9.9.9" }, { address: "11.0.0.1" }],
    ["client id", { client_id: ["a-*", "b-??"] }, { connect: { clientId: "b-12" } }, { connect: { clientId: "b-1" } }],
    ["client id with the signs of a regular expression", { client_id: "a.*" }, { connect: { clientId: "a.b" } }, { connect: { clientId: "ab" } }],
    ["user name", { username: "*" }, { connect: { username: "" } }, { connect: { username: undefined } }],
    ["version", { version: ["3.1", "3.1.1"] }, { connect: { version: 4 } }, { connect: { version: 5 } }],
    ["common name", { common_name: "s-*" }, { connect: { commonName: "s-1" } }, { connect: { commonName: undefined } }],
    ["alternative name", { alternative_name: "*.d" }, { connect: { alternativeNames: ["x", "y.d"] } }, { connect: { alternativeNames: ["x"] } }],
    ["user property", { user_property: { region: "eu-*", kind: "?" } },
      { connect: { userProperties: () => [["kind", "a"], ["region", "us"], ["region", "eu-1"]] } },
      { connect: { userProperties: () => [["region", "eu-1"]] } }],
  ];
  for (const [name, route, fitting, other] of cases) {
    test(`goes by ${name}`, () => {
      assert.equal(decide([{ ...route, pool: "other" }], fitting), "routes[0]");
      assert.equal(decide([{ ...route, pool: "other" }], other), undefined);
    });
  }

  test("I5: a condition with the key of a prototype is refused, not dropped", () => {
    for (const key of ["constructor", "prototype"]) {
      const { problems } = resolveConfiguration({ pools: { default: { brokers: ["a"] } }, routes: [{ user_property: { [key]: "x" }, pool: "default" }] });
      assert.match(problems?.[0].reason ?? "", new RegExp(`unknown key routes\\[0\\]\\.user_property\\.${key}`));
    }
  });

  test("the first that fits decides, and all that a rule names must fit", () => {
    const routes: RouteInput[] = [
      { name: "both", client_id: "a*", username: "u", pool: "other" },
      { name: "one", client_id: "a*", refuse: "banned" },
      { pool: "default" },
    ];
    assert.equal(decide(routes, { connect: { clientId: "ab", username: "u" } }), "both");
    assert.equal(decide(routes, { connect: { clientId: "ab" } }), "one");
    assert.equal(decide(routes, {}), "routes[2]");
  });

  test("of TLS that is passed through nothing in CONNECT is known: rules that ask for it do not fit", () => {
    assert.equal(decide([{ client_id: "*", pool: "other" }, { sni: "a.example", pool: "other" }], { connect: undefined, serverName: "a.example" }), "routes[1]");
  });

  test("I9: patterns against 65 kB that nearly fit take no time", () => {
    const begin = performance.now();
    assert.equal(decide([{ client_id: "*a*a*a*a*a*b", pool: "other" }], { connect: { clientId: "a".repeat(65_535) } }), undefined);
    assert.ok(performance.now() - begin < 1_000);
  });
});
