import assert from "node:assert/strict";
import mqtt, { type IPublishPacket } from "mqtt";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { needs, startMosquitto } from "../support/mosquitto.ts";
import { RawBroker } from "../support/raw_broker.ts";
import { RawClient } from "../support/raw_client.ts";
import { brokerUrls, onEachArtefact, startFront, writeTemporary } from "./front.ts";

const NEEDS = needs("mosquitto");
const { PROPERTY } = m;

onEachArtefact("MQTT 5: every property of every packet passes as it came, both ways", {}, async (t, artefact) => {
  const broker = await RawBroker.start(t);
  const { port } = await startFront(t, artefact, { words: brokerUrls(broker) });
  const client = await RawClient.open({ port });
  t.after(() => client.close());
  const users = m.bytes(PROPERTY.user("b", "2"), PROPERTY.user("a", "1"), PROPERTY.user("b", "0"), PROPERTY.user("ü", ""));
  const version = 5;
  const connect = m.connect({
    version,
    clientId: "five",
    clean: false,
    will: { topic: "w", payload: "x", qos: 2, retain: true, properties: m.bytes([0x18], m.uint32(9), users) },
    username: "anna",
    password: m.bytes([0, 1, 255]),
    properties: m.bytes(
      PROPERTY.sessionExpirySeconds(3600),
      PROPERTY.receiveMaximum(7),
      PROPERTY.topicAliasMaximum(3),
      PROPERTY.packetSizeMax(100_000),
      [0x19, 1, 0x17, 0], // request response information, request problem information
      users,
    ),
  });
  await client.send(connect);
  const connection = await broker.accept();
  await connection.expect(connect);
  const connack = m.connack({
    version,
    sessionPresent: true,
    properties: m.bytes(
      PROPERTY.serverKeepAliveSeconds(77),
      PROPERTY.topicAliasMaximum(5),
      PROPERTY.sessionExpirySeconds(60),
      [0x24, 1, 0x25, 0, 0x28, 0, 0x29, 0, 0x2a, 0],
      PROPERTY.reasonString("welcome"),
      users,
    ),
  });
  await connection.send(connack);
  await client.expect(connack);

  const publishes = [
    m.publish({ version, topic: "t", qos: 1, packetId: 1, properties: m.bytes(PROPERTY.topicAlias(1), [0x01, 1, 0x02], m.uint32(5), users) }),
    m.publish({ version, topic: "", qos: 2, packetId: 2, properties: m.bytes(PROPERTY.topicAlias(1), [0x08], m.field("r/t"), [0x09], m.field([0, 255])) }),
    m.publish({ version, topic: "u", retain: true, duplicate: false, payload: new Uint8Array(0), properties: users }),
  ];
  const upstream = m.bytes(
    ...publishes,
    m.subscribe([["a/#", 0x2e]], { version, packetId: 3, properties: m.bytes([0x0b, 9], users) }),
    m.unsubscribe(["a/#"], { version, packetId: 4, properties: users }),
    m.disconnect({ version, code: 4, properties: m.bytes(PROPERTY.sessionExpirySeconds(0), PROPERTY.reasonString("bye"), users) }),
  );
  const downstream = m.bytes(
    m.packet(0x40, m.uint16(1), [0x10, 0]), // PUBACK: no matching subscribers
    m.packet(0x50, m.uint16(2), [0x97], m.variableInteger(PROPERTY.reasonString("quota").length), PROPERTY.reasonString("quota")),
    ...publishes,
    m.suback(3, [0x87], { version, properties: users }),
    m.disconnect({ version, code: 0x9d, properties: m.bytes([0x1c], m.field("other:1883"), users) }), // server moved
  );
  await connection.send(downstream);
  await client.expect(downstream);
  await client.send(upstream);
  await connection.expect(upstream);
});

onEachArtefact("MQTT 5: enhanced authentication passes before CONNACK and again later", {}, async (t, artefact) => {
  const broker = await RawBroker.start(t);
  const { port } = await startFront(t, artefact, { words: brokerUrls(broker) });
  const client = await RawClient.open({ port });
  t.after(() => client.close());
  const step = (code: number, data: string): Uint8Array =>
    m.auth({ code, properties: m.bytes(PROPERTY.authenticationMethod("SCRAM-SHA-1"), PROPERTY.authenticationData(data)) });
  const connect = m.connect({ version: 5, properties: m.bytes(PROPERTY.authenticationMethod("SCRAM-SHA-1"), PROPERTY.authenticationData("first")) });
  await client.send(connect);
  const connection = await broker.accept();
  await connection.expect(connect);
  const passes = async (from: RawClient, to: RawClient, packet: Uint8Array): Promise<void> => {
    await from.send(packet);
    await to.expect(packet);
  };
  await passes(connection, client, step(0x18, "challenge"));
  await passes(client, connection, step(0x18, "proof"));
  await passes(connection, client, step(0x18, "another challenge"));
  await passes(client, connection, step(0x18, "another proof"));
  await passes(connection, client, m.connack({ version: 5, properties: m.bytes(PROPERTY.authenticationMethod("SCRAM-SHA-1")) }));
  await passes(client, connection, step(0x19, "re-authenticate"));
  await passes(connection, client, step(0x18, "challenge again"));
  await passes(client, connection, step(0x18, "proof again"));
  await passes(connection, client, step(0x00, "done"));
});

onEachArtefact("MQTT 5: a broker's refusal reaches the client as it is, in every version", {}, async (t, artefact) => {
  const broker = await RawBroker.start(t);
  const { port } = await startFront(t, artefact, { words: brokerUrls(broker) });
  const refusals = [
    [3, m.connack({ code: 4 })],
    [4, m.connack({ code: 5 })],
    [5, m.connack({ version: 5, code: 0x9c, properties: m.bytes(PROPERTY.reasonString("go there"), [0x1c], m.field("b:1")) })],
  ] as const;
  for (const [version, connack] of refusals) {
    const client = await RawClient.open({ port });
    t.after(() => client.close());
    await client.send(m.connect({ version }));
    const connection = await broker.accept();
    await connection.send(connack);
    connection.end();
    await client.expect(connack);
    assert.equal(await client.expectEndWithoutData(), "fin");
  }
});

onEachArtefact("MQTT 5 through mosquitto: user properties, response topic, topic alias", NEEDS, async (t, artefact) => {
  const broker = await startMosquitto();
  t.after(() => broker.stop());
  const { port } = await startFront(t, artefact, { words: brokerUrls(broker) });
  const url = `mqtt://127.0.0.1:${port}`;
  const options = { protocolVersion: 5, reconnectPeriod: 0 } as const;
  const packets: IPublishPacket[] = [];
  const subscriber = await mqtt.connectAsync(url, { ...options, clientId: "sub" }, false);
  t.after(() => subscriber.endAsync(true));
  subscriber.on("message", (_topic, _payload, packet) => packets.push(packet));
  await subscriber.subscribeAsync("A/#", { qos: 1 });
  const publisher = await mqtt.connectAsync(url, { ...options, clientId: "pub", properties: { topicAliasMaximum: 10 } }, false);
  t.after(() => publisher.endAsync(true));
  const properties = { userProperties: { order: ["3", "1", "2"] }, responseTopic: "A/answer", correlationData: Buffer.from([0, 1, 255]), contentType: "x/y" };
  await publisher.publishAsync("A/b", "whole", { qos: 1, properties: { ...properties, topicAlias: 1 } });
  await publisher.publishAsync("", "by alias", { qos: 1, properties: { ...properties, topicAlias: 1 } });
  await until(() => packets.length === 2, 10_000, "two messages");
  for (const [i, payload] of ["whole", "by alias"].entries()) {
    const packet = packets[i] as IPublishPacket;
    assert.equal(packet.topic, "A/b");
    assert.equal(String(packet.payload), payload);
    // MQTT.js reads user properties into objects without a prototype
    assert.deepEqual({ ...packet.properties, userProperties: { ...packet.properties?.userProperties } }, properties);
  }
});

onEachArtefact("MQTT 5 through mosquitto: session expiry, reason codes, Server Keep Alive", NEEDS, async (t, artefact) => {
  const acl = writeTemporary(t, { acl: "topic readwrite open/#\n" })("acl");
  const broker = await startMosquitto({ extra: [`acl_file ${acl}`, "max_keepalive 50"] });
  t.after(() => broker.stop());
  const { port } = await startFront(t, artefact, { words: brokerUrls(broker) });
  const connect = m.connect({ version: 5, clientId: "s", clean: false, keepAliveSeconds: 600, properties: PROPERTY.sessionExpirySeconds(60) });
  for (const sessionPresent of [0, 1]) {
    const client = await RawClient.open({ port });
    t.after(() => client.close());
    await client.send(connect);
    const { type, body } = await client.takePacket();
    assert.deepEqual([type, body[0], body[1]], [2, sessionPresent, 0]);
    assert.ok(Buffer.from(body).includes(Buffer.from(PROPERTY.serverKeepAliveSeconds(50))), "Server Keep Alive 50");
    await client.send(m.publish({ version: 5, topic: "secret", qos: 1, packetId: 1 }));
    assert.deepEqual([...(await client.takePacket()).body], [0, 1, 0x87], "PUBACK: not authorized");
    await client.send(m.publish({ version: 5, topic: "open/nobody", qos: 1, packetId: 2 }));
    assert.deepEqual([...(await client.takePacket()).body], [0, 2, 0x10], "PUBACK: no matching subscribers");
    await client.send(m.subscribe([["secret", 0]], { version: 5, packetId: 3 }));
    assert.equal((await client.takePacket()).type, 9);
    await client.send(m.disconnect({ version: 5 }));
    await client.expectEnd();
  }
});
