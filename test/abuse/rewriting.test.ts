import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConfigInput } from "../../src/config/schema.ts";
import * as m from "../support/mqtt_bytes.ts";
import type { TestScope } from "../support/process.ts";
import { hexOf } from "./recording_broker.ts";
import { type Rig, startRig } from "./rig.ts";

/*
 * Rewritten CONNECTs between a running server and its broker: D4, D5, D6, I2, I6 and A6 of hostile input.
 */

type Rule = NonNullable<ConfigInput["pools"]>[string]["connect"];

const VERSIONS = [3, 4, 5] as const;

const startWith = (t: TestScope, connect: Rule, limits: ConfigInput["limits"] = {}): Promise<Rig> =>
  startRig(t, { limits, everyLine: true, configure: (urls) => ({ pools: { default: { brokers: [...urls], connect } } }) });

/** A client says this, and the broker gets that. */
async function becomes(rig: Rig, said: Uint8Array, want: Uint8Array): Promise<void> {
  const index = rig.broker.connections.length;
  const client = await rig.open();
  await client.send(said);
  const broker = await rig.broker.connection(index);
  await broker.untilReceived(want.length);
  const got = broker.received;
  assert.ok(got.length === want.length && got.every((byte, at) => byte === want[at]), `the broker received ${hexOf(got)}, not ${hexOf(want)}`);
  assert.equal((await client.takePacket()).body[1], 0);
  await client.close();
  await broker.untilEnded();
}

/** `connack`: empty where MQTT has none for it. */
async function isRefused(rig: Rig, said: Uint8Array, connack: Uint8Array): Promise<void> {
  const before = rig.broker.connections.length;
  const client = await rig.open();
  await client.send(said);
  if (connack.length > 0) await client.expect(connack);
  await client.expectEndWithoutData();
  assert.equal(rig.broker.connections.length, before, `a broker heard of ${hexOf(said)}`);
}

const notAuthorized = (version: m.Version): Uint8Array => (version === 5 ? m.connack({ version, code: 0x87 }) : m.connack({ code: 5 }));
const tooLarge = (version: m.Version): Uint8Array => (version === 5 ? m.connack({ version, code: 0x95 }) : new Uint8Array(0));

test("D4: the length is written anew in its shortest form on both sides of every edge", async (t) => {
  const rig = await startWith(t, { client_id: "dev-${client.id}" }, { connect_size_max: "1MiB" });
  for (const version of VERSIONS) {
    const empty = m.connect({ version, clientId: "dev-" }).length - 2; // the body of the shortest
    for (const edge of [128, 16_384]) {
      for (const length of [edge - 2, edge - 1, edge, edge + 1]) {
        const clientId = "i".repeat(length - empty);
        const want = m.connect({ version, clientId: `dev-${clientId}` });
        assert.equal(m.readPacket(want)?.body.length, length);
        await becomes(rig, m.connect({ version, clientId }), want);
      }
    }
  }
  await rig.settled();
});

test("D4: a text of more than 65,535 bytes is refused, the longest that fits is not", async (t) => {
  const rig = await startWith(t, { client_id: "dev-${client.id}" }, { connect_size_max: "70000B" });
  for (const version of VERSIONS) {
    const clientId = "i".repeat(65_531);
    await becomes(rig, m.connect({ version, clientId }), m.connect({ version, clientId: `dev-${clientId}` }));
    await isRefused(rig, m.connect({ version, clientId: `${clientId}i` }), tooLarge(version));
  }
  await rig.settled();
  assert.equal(rig.refusals("packet_too_large"), 3);
});

test("D4: a packet that grows over the limit is refused, one that reaches it is not", async (t) => {
  const rig = await startWith(t, { client_id: "dev-${client.id}" }, { connect_size_max: "50000B", packet_size_max: "50000B" });
  for (const version of VERSIONS) {
    const fields = { version, username: "u" } as const;
    const room = 50_000 - m.connect({ ...fields, clientId: "dev-ab", password: "" }).length - 2; // its length has one byte there, and three here
    for (const size of [49_999, 50_000]) {
      const password = "p".repeat(room + size - 50_000);
      const want = m.connect({ ...fields, clientId: "dev-ab", password });
      assert.equal(want.length, size);
      await becomes(rig, m.connect({ ...fields, clientId: "ab", password }), want);
    }
    await isRefused(rig, m.connect({ ...fields, clientId: "ab", password: "p".repeat(room + 1) }), tooLarge(version));
  }
  await rig.settled();
  assert.equal(rig.refusals("packet_too_large"), 3);
});

test("D5: wills with properties and binary payloads, repeated user properties, binary passwords stay as they are", async (t) => {
  const rig = await startWith(t, { client_id: "dev-${client.id}", will_topic_prefix: "t/${client.id}/" });
  const user = m.PROPERTY.user;
  const properties = m.bytes(user("b", "2"), m.PROPERTY.receiveMaximum(9), user("a", "1"), user("a", ""), user("", ""), user("a", "1"), m.PROPERTY.packetSizeMax(1_000));
  const ofWill = m.bytes(user("z", ""), m.bytes([0x18], m.uint32(9)), user("z", "2"), m.bytes([0x09], m.field([0, 255, 0])));
  const payload = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  for (const version of VERSIONS) {
    const fields = { version, username: "ü", password: payload, clean: false, keepAliveSeconds: 7, ...(version === 5 && { properties }), ...(version !== 5 && { bridge: true }) };
    const will = { payload, qos: 2, retain: true, ...(version === 5 && { properties: ofWill }) };
    await becomes(rig, m.connect({ ...fields, clientId: "a", will: { ...will, topic: "w/$x" } }), m.connect({ ...fields, clientId: "dev-a", will: { ...will, topic: "t/a/w/$x" } }));
  }
  await rig.settled();
});

test("D6: an empty property block stays one, 3.1 stays 3.1, and properties are added where there were none", async (t) => {
  const rig = await startWith(t, { client_id: "dev-${client.id}", user_properties: { by: "sluice" } });
  for (const version of VERSIONS) {
    const properties = version === 5 ? { properties: m.PROPERTY.user("by", "sluice") } : {};
    await becomes(rig, m.connect({ version, clientId: "a" }), m.connect({ version, clientId: "dev-a", ...properties }));
  }
  const plain = await startWith(t, { client_id: "dev-${client.id}" });
  await becomes(plain, m.connect({ version: 5, clientId: "a" }), m.connect({ version: 5, clientId: "dev-a" }));
  await isRefused(rig, m.hex("10 0c 00 04 4d515454 05 02 003c 0000"), m.connack({ version: 5, code: 0x81 })); // without the block: no CONNECT of MQTT 5
  await Promise.all([rig.settled(), plain.settled()]);
});

test("I2, A2: what looks like a template stays text, and what would leave its level or become a wildcard is refused", async (t) => {
  const rig = await startWith(t, { client_id: "dev-${client.id}", username: "${username:-none}", will_topic_prefix: "t/${username:-none}/" });
  const will = { topic: "w", payload: "" };
  for (const version of VERSIONS) {
    for (const text of ["${username}", "$${client.id}", "}", "%c%u", "${", "..", ".*", "a|b", "ü€𝄞", "__proto__", "constructor", "\\", "'\"", " "]) {
      await becomes(rig, m.connect({ version, clientId: text, username: text }), m.connect({ version, clientId: `dev-${text}`, username: text }));
    }
    for (const text of ["#", "+", "a/b", "/", "../x", "a#", "a\n", "\u0085", "\u007f"]) {
      await isRefused(rig, m.connect({ version, clientId: text }), notAuthorized(version));
      await isRefused(rig, m.connect({ version, clientId: "a", username: text, will }), notAuthorized(version));
    }
    for (const text of ["#", "a/b"]) await becomes(rig, m.connect({ version, clientId: "a", username: text }), m.connect({ version, clientId: "dev-a", username: text }));
  }
  await rig.settled();
});

test("I6: a client's own user property of a name that the proxy adds is removed, however often it comes and wherever it stands", async (t) => {
  const rig = await startWith(t, { user_properties: { "x-client-ip": "${address}", "x-user": "${username:-}" } });
  const { user } = m.PROPERTY;
  const forged = m.bytes(user("x-client-ip", "10.0.0.1"), user("a", "1"), user("x-user", "root"), user("x-client-ip", ""), user("X-Client-IP", "kept"), user("a", "x-client-ip"));
  const want = m.bytes(user("a", "1"), user("X-Client-IP", "kept"), user("a", "x-client-ip"), user("x-client-ip", "127.0.0.1"), user("x-user", ""));
  await becomes(rig, m.connect({ version: 5, properties: forged }), m.connect({ version: 5, properties: want }));
  const will = { topic: "w", payload: "", properties: user("x-client-ip", "of the message") };
  await becomes(rig, m.connect({ version: 5, will }), m.connect({ version: 5, will, properties: m.bytes(user("x-client-ip", "127.0.0.1"), user("x-user", "")) }));
  await rig.settled();
});

test("A6: the will of one tenant cannot be set in the topics of another, nor its identifier be taken", async (t) => {
  const rig = await startWith(t, { client_id: "${username}/${client.id}", will_topic_prefix: "tenants/${username}/" });
  for (const version of VERSIONS) {
    for (const topic of ["../bob/w", "/tenants/bob/w", "tenants/bob/w", "$share/g/tenants/bob", "$SYS/x"]) {
      const will = { payload: "p", retain: true };
      await becomes(rig, m.connect({ version, clientId: "a", username: "ada", will: { ...will, topic } }), m.connect({ version, clientId: "ada/a", username: "ada", will: { ...will, topic: `tenants/ada/${topic}` } }));
    }
    for (const username of ["bob/#", "+", "ada/../bob", ""]) await isRefused(rig, m.connect({ version, clientId: "a", username }), notAuthorized(version));
    await isRefused(rig, m.connect({ version, clientId: "a" }), notAuthorized(version));
    await isRefused(rig, m.connect({ version, clientId: "a/b", username: "ada" }), notAuthorized(version));
  }
  await rig.settled();
});
