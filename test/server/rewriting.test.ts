import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { describe, test } from "node:test";
import { runtime } from "#runtime";
import type { ConfigInput } from "../../src/config/schema.ts";
import { answer, type BrokerConnection, type BrokerOptions, hexOf } from "../abuse/recording_broker.ts";
import { startRig, type Rig } from "../abuse/rig.ts";
import { Signer } from "../policy/authentication/tokens.ts";
import * as m from "../support/mqtt_bytes.ts";
import type { TestScope } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";
import { temporaryFolder } from "../support/temporary_folder.ts";

type Rule = NonNullable<ConfigInput["pools"]>[string]["connect"];
type Pool = NonNullable<ConfigInput["pools"]>[string];

const TLS = "test/fixtures/tls";
const VERSIONS = [3, 4, 5] as const;
const told = (...properties: readonly Uint8Array[]): Uint8Array => m.connack({ version: 5, properties: m.bytes(...properties) });
const silent: BrokerOptions = { packet: () => {} };

function startRewriting(t: TestScope, connect: Rule, more: { readonly brokers?: readonly BrokerOptions[]; readonly config?: Partial<ConfigInput>; readonly pool?: Partial<Pool>; readonly urls?: (urls: readonly string[]) => string[] } = {}): Promise<Rig> {
  return startRig(t, {
    everyLine: true,
    ...(more.brokers && { brokers: more.brokers }),
    configure: (urls) => ({ pools: { default: { balance: "first", brokers: more.urls?.(urls) ?? [...urls], connect, ...more.pool } }, ...more.config }),
  });
}

/** What the broker gets of a client that says this. */
async function heard(rig: Rig, said: Uint8Array, want: Uint8Array, client?: RawClient): Promise<BrokerConnection> {
  const index = rig.broker.connections.length;
  const own = client ?? (await rig.open());
  await own.send(said);
  const broker = await rig.broker.connection(index);
  await broker.untilReceived(want.length);
  assert.equal(hexOf(broker.received), hexOf(want));
  return broker;
}

async function refused(rig: Rig, said: Uint8Array, connack: Uint8Array): Promise<void> {
  const contacts = rig.contacts.length;
  const client = await rig.open();
  await client.send(said);
  await client.expect(connack);
  await client.expectEndWithoutData();
  assert.equal(rig.contacts.length, contacts, "who is refused reaches no broker");
}

describe("a rule of a pool", () => {
  test("its brokers get what it makes of a CONNECT, and what is sent behind it as it came", async (t) => {
    const rig = await startRewriting(t, { client_id: "dev-${client.id}", username: "gate", password: "s3cret" });
    for (const version of VERSIONS) {
      const behind = m.bytes(m.publish({ version, qos: 1 }), m.pingreq());
      const said = m.connect({ version, clientId: "a", username: "ada", password: "her own" });
      await heard(rig, m.bytes(said, behind), m.bytes(m.connect({ version, clientId: "dev-a", username: "gate", password: "s3cret" }), behind));
    }
    await rig.settled();
    assert.equal(rig.log.filter((line) => line.includes("s3cret") || line.includes("her own")).length, 0, "no password is in the log");
    assert.equal((JSON.parse(await rig.line("client.open")) as Record<string, unknown>)["client.id"], "a", "the log names the client as it does itself");
  });

  test("clients of a pool without a rule go on as they came", async (t) => {
    const rig = await startRig(t, {
      configure: (urls) => ({
        routes: [{ client_id: "raw-*", pool: "raw" }],
        pools: { default: { brokers: [...urls], connect: { username: "gate" } }, raw: { brokers: [...urls] } },
      }),
    });
    await heard(rig, m.connect({ clientId: "raw-1" }), m.connect({ clientId: "raw-1" }));
    await heard(rig, m.connect({ clientId: "x" }), m.connect({ clientId: "x", username: "gate" }));
    await rig.settled();
  });

  test("the second broker gets the same when the first one fails, and credentials of its URL win", async (t) => {
    const withUser = ([first, second]: readonly string[]) => [first as string, (second as string).replace("mqtt://", "mqtt://second:pw@")];
    const rig = await startRewriting(t, { client_id: "dev-${client.id}", will_topic_prefix: "t/" }, { brokers: [{ packet: (broker) => broker.end() }, {}], urls: withUser });
    for (const version of VERSIONS) {
      const will = { topic: "w", payload: "gone" };
      const want = { version, clientId: "dev-a", will: { topic: "t/w", payload: "gone" } };
      const client = await rig.open();
      await client.send(m.connect({ version, clientId: "a", will, username: "u" }));
      await client.expect(m.connack({ version }));
      const second = rig.brokers[1]?.connections.at(-1) as BrokerConnection;
      assert.equal(hexOf(second.received), hexOf(m.connect({ ...want, username: "second", password: "pw" })));
      const first = rig.broker.connections.at(-1) as BrokerConnection;
      if (version === 3) assert.equal(hexOf(first.received), hexOf(m.connect({ ...want, username: "u" })));
    }
    await rig.settled();
  });

  test("P9: an AUTH exchange goes on behind a rewritten CONNECT, and its CONNACK tells of the change", async (t) => {
    const method = m.PROPERTY.authenticationMethod("SCRAM-SHA-1");
    const rig = await startRewriting(t, { client_id: "dev-${client.id}", session_expiry_max: "10s" }, { brokers: [silent] });
    const client = await rig.open();
    const expiring = (seconds: number) => m.bytes(method, m.PROPERTY.sessionExpirySeconds(seconds));
    const want = m.connect({ version: 5, clientId: "dev-a", properties: expiring(10) });
    const broker = await heard(rig, m.connect({ version: 5, clientId: "a", properties: expiring(60) }), want, client);
    const step = (data: string) => m.auth({ properties: m.bytes(method, m.PROPERTY.authenticationData(data)) });
    broker.send(step("server first"));
    await client.expect(step("server first"));
    await client.send(step("client final"));
    await broker.untilReceived(want.length + step("client final").length);
    // cut anywhere, and with the next packet behind it
    for (const byte of m.bytes(told(method), m.publish({ version: 5 }))) broker.send(Uint8Array.of(byte));
    await client.expect(m.bytes(told(method, m.PROPERTY.sessionExpirySeconds(10)), m.publish({ version: 5 })));
    assert.equal(hexOf(broker.received), hexOf(m.bytes(want, step("client final"))));
    await rig.settled();
  });

  test("a client without an identifier is told the one that it has got, and is known by it", async (t) => {
    const rig = await startRewriting(t, { client_id: "anon-${port}" });
    const client = await rig.open();
    await client.send(m.connect({ version: 5, clientId: "" }));
    const connack = await client.takePacket();
    const given = rig.broker.connections[0]?.clientId as string;
    assert.match(given, /^anon-\d+$/);
    assert.equal(hexOf(connack.whole), hexOf(told(m.PROPERTY.assignedClientId(given))));
    await client.send(m.disconnect());
    await rig.line("client.close", given);
    await rig.settled();
  });

  test("what a broker's refusal says is the broker's", async (t) => {
    const refusal = m.connack({ version: 5, code: 0x87, properties: m.PROPERTY.reasonString("no") });
    const rig = await startRewriting(t, { session_expiry_max: "10s" }, { brokers: [{ packet: (broker) => broker.send(refusal) }] });
    const client = await rig.open();
    await client.send(m.connect({ version: 5, properties: m.PROPERTY.sessionExpirySeconds(60) }));
    await client.expect(refusal);
    await client.expectEndWithoutData();
    await rig.settled();
  });

  test("a client that takes no packet large enough for what it must learn is refused, and no other broker is asked", async (t) => {
    const rig = await startRewriting(t, { session_expiry_max: "10s" }, { brokers: [{}, {}] });
    const client = await rig.open();
    await client.send(m.connect({ version: 5, properties: m.bytes(m.PROPERTY.sessionExpirySeconds(60), m.PROPERTY.packetSizeMax(6)) }));
    await client.expect(m.connack({ version: 5, code: 0x95 }));
    await client.expectEndWithoutData();
    assert.deepEqual(rig.brokers.map(({ connections }) => connections.length), [1, 0]);
    await rig.settled();
    assert.equal(rig.refusals("packet_too_large"), 1);
  });

  test("with affinity, two tenants' clients with one identifier of their own stay apart", async (t) => {
    const rig = await startRewriting(t, { client_id: "${username}-${client.id}" }, { brokers: [{}, {}, {}], pool: { affinity: "session", balance: "round_robin" } });
    const brokerOf = async (username: string): Promise<number> => {
      const before = rig.brokers.map(({ connections }) => connections.length);
      const client = await rig.open();
      await client.send(m.connect({ clientId: "one", username, clean: false }));
      await client.takePacket();
      await client.send(m.disconnect());
      await client.expectEnd();
      return rig.brokers.findIndex(({ connections }, index) => connections.length > (before[index] as number));
    };
    const homes = new Map([["ada", await brokerOf("ada")], ["bob", await brokerOf("bob")]]);
    assert.notEqual(homes.get("ada"), homes.get("bob"));
    for (let round = 0; round < 3; round++) for (const [username, home] of homes) assert.equal(await brokerOf(username), home, username);
    await rig.settled();
  });
});

describe("what a template may name", () => {
  test("of the connection and of CONNECT: address, port, listener, version, client id, the client's own user name where nobody checks", async (t) => {
    const listeners = [{ listen: "mqtt://127.0.0.1:0", name: "front" }];
    const rig = await startRewriting(t, { username: "${client.id} ${username:-nobody} ${address} ${listener} ${version} ${sni:-none} ${tls.cn:-none}" }, { config: { listeners } });
    for (const version of VERSIONS) {
      const name = version === 3 ? "3.1" : version === 4 ? "3.1.1" : "5";
      await heard(rig, m.connect({ version, clientId: "a", username: "ada" }), m.connect({ version, clientId: "a", username: `a ada 127.0.0.1 front ${name} none none` }));
      await heard(rig, m.connect({ version, clientId: "a" }), m.connect({ version, clientId: "a", username: `a nobody 127.0.0.1 front ${name} none none` }));
    }
    await rig.settled();
  });

  test("of TLS: the certificate's common name, DNS name and fingerprint, and the server's name; who has none is refused", async (t) => {
    const tls = { cert: `${TLS}/server.pem`, key: `${TLS}/server.key`, ca: `${TLS}/clients/ca.pem`, client_certificates: "request" } as const;
    const rig = await startRewriting(t, { client_id: "${tls.cn}", username: "${tls.san} ${sni}", password: "${tls.fingerprint}" }, { config: { listeners: [{ listen: "mqtts://127.0.0.1:0", tls }] } });
    const open = (shown: object) => rig.keep(RawClient.adopt(connectTls({ host: "127.0.0.1", port: rig.port, servername: "localhost", rejectUnauthorized: false, ...shown })));
    const good = { cert: readFileSync(`${TLS}/clients/good.pem`), key: readFileSync(`${TLS}/clients/good.key`) };
    const password = "50a74a4f9521db205efcc5454f0ef8b0fe2ea6fc246551148678bf37b0005f37";
    await heard(rig, m.connect({ clientId: "me", username: "x", password: "y" }), m.connect({ clientId: "good", username: "device.example localhost", password }), open(good));
    const stranger = open({});
    await stranger.send(m.connect());
    await stranger.expect(m.connack({ code: 5 }));
    await stranger.expectEndWithoutData();
    assert.equal(rig.contacts.length, 1);
    await rig.line("client.reject", "client_id: the client has no tls.cn");
    await rig.settled();
  });

  test("of authentication: the user name that was found, and the claims of the token", async (t) => {
    const signer = new Signer("ES256");
    const file = join(temporaryFolder(t), "key.pem");
    writeFileSync(file, signer.pem);
    const authentication = { checks: [{ type: "jwt" as const, keys_file: file }] };
    const rig = await startRewriting(t, { client_id: "${claims.tenant}-${client.id}", username: "${username}", password: "${claims.broker_token}", will_topic_prefix: "${claims.tenant}/" }, { config: { authentication } });
    const exp = Math.floor(runtime.system.wallClock() / 1_000) + 3_600;
    const will = { topic: "w", payload: "gone" };
    const say = (claims: object, clientId = "a") => m.connect({ clientId, username: "whoever", password: signer.token({ sub: "sensor", exp, ...claims }), will });
    await heard(rig, say({ tenant: "blue", broker_token: 7 }), m.connect({ clientId: "blue-a", username: "sensor", password: "7", will: { ...will, topic: "blue/w" } }));
    for (const claims of [{ tenant: "blue" }, { tenant: "blue/#", broker_token: 7 }, { tenant: ["blue"], broker_token: 7 }, { tenant: "", broker_token: 7 }]) {
      await refused(rig, say(claims), m.connack({ code: 5 }));
    }
    await rig.settled();
    assert.equal(rig.refusals("not_authorized"), 4);
  });
});

describe("limits.keep_alive_max", () => {
  const limited = (t: TestScope, limit: string, connect?: Rule, brokers: readonly BrokerOptions[] = [{}]): Promise<Rig> =>
    startRewriting(t, connect, { brokers, config: { limits: { keep_alive_max: limit, drain_timeout: "1s" } } });

  test("MQTT 5: who asks for more, or for none at all, is told, and so is the broker; the others go on as they came", async (t) => {
    for (const rule of [undefined, { username: "gate" }] as const) {
      const rig = await limited(t, "30s", rule);
      for (const [asked, held] of [[0, 30], [31, 30], [65_535, 30], [30, 30], [1, 1]] as const) {
        const client = await rig.open();
        const want = m.connect({ version: 5, keepAliveSeconds: held, ...rule });
        await heard(rig, m.connect({ version: 5, keepAliveSeconds: asked }), want, client);
        await client.expect(held === asked ? m.connack({ version: 5 }) : told(m.PROPERTY.serverKeepAliveSeconds(30)));
      }
      await rig.settled();
    }
  });

  test("3.x: who asks for more, or for none at all, is refused before any broker hears of it", async (t) => {
    const rig = await limited(t, "30s");
    for (const version of [3, 4] as const) {
      for (const keepAliveSeconds of [0, 31, 65_535]) await refused(rig, m.connect({ version, keepAliveSeconds }), m.connack({ code: 5 }));
      for (const keepAliveSeconds of [1, 30]) await heard(rig, m.connect({ version, keepAliveSeconds }), m.connect({ version, keepAliveSeconds }));
    }
    await rig.settled();
    assert.equal(rig.refusals("keep_alive_too_long"), 6);
    await rig.line("keep_alive_too_long", "a keep-alive of 31 s, and the limit is 30 s");
  });

  test("silence is measured by what the client was told", async (t) => {
    const rig = await limited(t, "1s");
    const client = await rig.open();
    await client.send(m.connect({ version: 5, keepAliveSeconds: 0 }));
    await client.expect(told(m.PROPERTY.serverKeepAliveSeconds(1)));
    const begin = performance.now();
    await client.expect(m.hex("e0 02 8d 00"));
    const took = performance.now() - begin;
    assert.ok(took > 1_400 && took < 2_500, `ended after ${took} ms`);
    await rig.settled();
  });

  test("a broker that dictates a keep-alive itself has the last word", async (t) => {
    const dictated = told(m.PROPERTY.serverKeepAliveSeconds(60));
    const rig = await limited(t, "30s", undefined, [{ packet: (broker, packet) => (packet.type === 1 ? broker.send(dictated) : answer(broker, packet)) }]);
    const client = await rig.open();
    await client.send(m.connect({ version: 5, keepAliveSeconds: 90 }));
    await client.expect(dictated);
    await rig.settled();
  });
});
