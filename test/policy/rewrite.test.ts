import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseRewrite, type RewriteProblem, type RewriteRule, type RewriteTexts } from "../../src/config/rewrite_rule.ts";
import { type Connect, readConnect } from "../../src/mqtt/connect.ts";
import type { Fault } from "../../src/mqtt/fault.ts";
import { type ConnectChanges, rewriteConnect } from "../../src/mqtt/rewrite.ts";
import { changesFor } from "../../src/policy/rewrite.ts";
import type { TemplateClient } from "../../src/policy/template.ts";
import * as m from "../support/mqtt_bytes.ts";
import { clientWith } from "./template_client.ts";

function ruleOf(texts: RewriteTexts): RewriteRule {
  const rule = parseRewrite(texts);
  assert.ok("clientId" in rule, JSON.stringify(rule));
  return rule;
}

const read = (fields: m.ConnectFields): Connect => readConnect(m.connect(fields)) as Connect;
const decide = (texts: RewriteTexts, fields: m.ConnectFields, client: Partial<TemplateClient> = {}): ConnectChanges | Fault =>
  changesFor(ruleOf(texts), clientWith(client), read(fields));

function forwarded(texts: RewriteTexts, fields: m.ConnectFields, client: Partial<TemplateClient> = {}): Uint8Array {
  const changes = decide(texts, fields, client);
  assert.ok(!("code" in changes), JSON.stringify(changes));
  return rewriteConnect(read(fields), changes, { sizeMax: 65_536 }) as Uint8Array;
}

function refusal(texts: RewriteTexts, fields: m.ConnectFields, client: Partial<TemplateClient> = {}): string {
  const changes = decide(texts, fields, client);
  assert.ok("code" in changes, `taken: ${JSON.stringify(changes)}`);
  return `${changes.code}: ${changes.detail}`;
}

test("the identifier that a client was told when it came without one is its own when it comes again, and nobody else's", () => {
  const texts = { clientId: "${username}/${client.id:-main}" };
  const told = (clientId: string, username: string) => {
    const changes = decide(texts, { clientId }, { clientId, username });
    return "code" in changes ? changes.code : changes.clientId;
  };
  assert.equal(told("", "u"), "u/main");
  assert.equal(told("u/main", "u"), undefined, "as it is");
  assert.equal(told("u/main", "v"), "not_authorized");
  assert.equal(told("u/other", "u"), "not_authorized");
  assert.equal(told("main", "u"), "u/main");
});

describe("parseRewrite", () => {
  test("answers every problem, with its key", () => {
    const problems = parseRewrite({
      clientId: "${clientid}",
      username: "",
      password: "${",
      willTopicPrefix: "a/#/",
      userProperties: [["a\n", "x"], ["b", "${nope}"], ["c", ""], ["c", ""]],
    }) as readonly RewriteProblem[];
    assert.deepEqual(problems.map(({ key, property }) => [key, property]), [
      ["userProperties", "a\n"], ["clientId", undefined], ["username", undefined], ["password", undefined], ["willTopicPrefix", undefined], ["userProperties", "b"],
    ]);
    assert.equal(problems[1]?.suggestion, "did you mean ${client.id}?");
  });

  test("no secret is in a problem", () => assert.doesNotMatch(JSON.stringify(parseRewrite({ password: "hunter2${" })), /hunter/));
});

describe("changesFor", () => {
  test("devices' credentials end here, and the broker sees its own", () => {
    const texts = { clientId: "${tls.cn}", username: "gate-${listener}", password: "s$${cret}" };
    for (const version of [3, 4, 5] as const) {
      const want = m.connect({ version, clientId: "pump-7", username: "gate-front", password: "s${cret}" });
      for (const own of [{}, { username: "u" }, { username: "u", password: "p" }]) assert.deepEqual(forwarded(texts, { version, ...own }), want);
    }
  });

  test("null takes credentials away", () => {
    for (const version of [3, 4, 5] as const) {
      assert.deepEqual(forwarded({ username: null, password: null }, { version, username: "u", password: "p" }), m.connect({ version }));
      assert.deepEqual(forwarded({ password: null }, { version, username: "u", password: "p" }), m.connect({ version, username: "u" }));
    }
  });

  test("an empty rule changes nothing", () => {
    const fields = { version: 5, username: "u", password: "p", will: { topic: "t", payload: "" }, properties: m.PROPERTY.user("a", "b") } as const;
    assert.deepEqual(forwarded({}, fields), m.connect(fields));
  });

  test("the keep-alive is clamped in MQTT 5, where the client can be told, and 3.x is refused; none at all is too long", () => {
    const clamped = (keepAliveSeconds: number, version: m.Version = 5): number => (readConnect(forwarded({ keepAliveMaxSeconds: 300 }, { version, keepAliveSeconds })) as Connect).keepAliveSeconds;
    assert.deepEqual([0, 1, 299, 300, 301, 65_535].map((seconds) => clamped(seconds)), [300, 1, 299, 300, 300, 300]);
    for (const version of [3, 4] as const) {
      assert.deepEqual([1, 300].map((seconds) => clamped(seconds, version)), [1, 300]);
      for (const keepAliveSeconds of [0, 301]) assert.match(refusal({ keepAliveMaxSeconds: 300 }, { version, keepAliveSeconds }), /^keep_alive_too_long: .* the limit is 300 s$/);
    }
  });

  test("the session expiry is clamped, for ever included, and never made longer", () => {
    const clamped = (properties: Uint8Array, sessionExpiryMaxSeconds: number): number => (readConnect(forwarded({ sessionExpiryMaxSeconds }, { version: 5, properties })) as Connect).sessionExpirySeconds;
    const { sessionExpirySeconds } = m.PROPERTY;
    assert.equal(clamped(sessionExpirySeconds(4_294_967_295), 60), 60);
    assert.equal(clamped(sessionExpirySeconds(60), 0), 0);
    assert.equal(clamped(sessionExpirySeconds(59), 60), 59);
    assert.equal(clamped(new Uint8Array(0), 60), 0);
    for (const version of [3, 4] as const) assert.deepEqual(forwarded({ sessionExpiryMaxSeconds: 0 }, { version, clean: false }), m.connect({ version, clean: false }));
  });

  test("A6: the will goes to the tenant's topics; without a will its prefix is not asked for", () => {
    const texts = { willTopicPrefix: "t/${username}/" };
    const will = { topic: "gone/$x", payload: m.hex("00"), qos: 2, retain: true };
    for (const version of [3, 4, 5] as const) assert.deepEqual(forwarded(texts, { version, will }), m.connect({ version, will: { ...will, topic: "t/ada/gone/$x" } }));
    assert.deepEqual(forwarded(texts, {}, { username: undefined }), m.connect());
    assert.equal(refusal(texts, { will }, { username: undefined }), "not_authorized: will_topic_prefix: the client has no username");
    assert.match(refusal(texts, { will }, { username: "other/tenant" }), /^not_authorized: will_topic_prefix: the client's username has/);
  });

  test("I6: the proxy's own user properties replace forged ones; 3.x has none, and asks for none", () => {
    const texts = { userProperties: [["x-client-ip", "${address}"], ["x-empty", ""], ["x-cn", "${tls.cn:-none}"]] } as const;
    const properties = m.bytes(m.PROPERTY.user("x-client-ip", "127.0.0.1"), m.PROPERTY.user("a", "b"));
    const want = m.bytes(m.PROPERTY.user("a", "b"), m.PROPERTY.user("x-client-ip", "2001:db8::1"), m.PROPERTY.user("x-empty", ""), m.PROPERTY.user("x-cn", "none"));
    assert.deepEqual(forwarded(texts, { version: 5, properties }, { certificate: undefined }), m.connect({ version: 5, properties: want }));
    assert.deepEqual(forwarded({ userProperties: [["x", "${tls.cn}"]] }, { version: 4 }, { certificate: undefined }), m.connect({ version: 4 }));
    assert.match(refusal({ userProperties: [["x", "${tls.cn}"]] }, { version: 5 }, { certificate: undefined }), /user_properties: the client has no tls.cn/);
  });

  test("the first field without a text is the reason, and no value is in it", () => {
    assert.equal(refusal({ clientId: "${client.id}", username: "${claims.role}" }, {}), "not_authorized: username: the client has no claims.role");
    assert.doesNotMatch(refusal({ clientId: "${client.id}" }, {}, { clientId: "secret/x" }), /secret/);
  });

  test("A1: a password for a client of 3.x without a user name is a refusal, not a CONNECT without it", () => {
    for (const version of [3, 4] as const) {
      assert.match(refusal({ password: "p" }, { version }), /^not_authorized: password/);
      assert.match(refusal({ username: null, password: "p" }, { version, username: "u" }), /^not_authorized: password/);
      assert.deepEqual(forwarded({ password: "p" }, { version, username: "u" }), m.connect({ version, username: "u", password: "p" }));
    }
    assert.deepEqual(forwarded({ password: "p" }, { version: 5 }), m.connect({ version: 5, password: "p" }));
  });
});
