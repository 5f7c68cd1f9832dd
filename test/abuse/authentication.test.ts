import assert from "node:assert/strict";
import { test } from "node:test";
import * as m from "../support/mqtt_bytes.ts";
import { type BrokerConnection, hexOf } from "./recording_broker.ts";
import { startRig } from "./rig.ts";

const METHOD = m.PROPERTY.authenticationMethod("SCRAM-SHA-1");
const step = (code: number, data: string) => m.auth({ code, properties: m.bytes(METHOD, m.PROPERTY.authenticationData(data)) });
const CONNECT = m.connect({ version: 5, properties: m.bytes(METHOD, m.PROPERTY.authenticationData("client first")) });
const CONNACK = m.connack({ version: 5, properties: m.bytes(METHOD, m.PROPERTY.authenticationData("done")) });

const silent = { packet: () => {} };
const connected = async (broker: BrokerConnection): Promise<BrokerConnection> => {
  await broker.untilReceived(CONNECT.length);
  return broker;
};

test("P9: an AUTH exchange of three steps before CONNACK, and another one later, pass unchanged", async (t) => {
  const rig = await startRig(t, { brokers: [silent] });
  const client = await rig.open();
  await client.send(CONNECT);
  const broker = await connected(await rig.broker.connection(0));
  let said = CONNECT;
  const exchange = async (question: Uint8Array, reply: Uint8Array): Promise<void> => {
    broker.send(question);
    await client.expect(question);
    await client.send(reply);
    said = m.bytes(said, reply);
    await broker.untilReceived(said.length);
  };
  await exchange(step(0x18, "server first"), step(0x18, "client final"));
  await exchange(step(0x18, "server again"), step(0x18, "client again"));
  // split over CONNACK and what follows it
  for (const byte of m.bytes(CONNACK, m.publish({ version: 5 }))) broker.send(Uint8Array.of(byte));
  await client.expect(m.bytes(CONNACK, m.publish({ version: 5 })));
  await client.send(step(0x19, "again"));
  said = m.bytes(said, step(0x19, "again"));
  await exchange(step(0x18, "why"), step(0x18, "so"));
  broker.send(step(0x00, "fine"));
  await client.expect(step(0x00, "fine"));
  assert.equal(hexOf(broker.received), hexOf(said));
  await rig.settled();
});

test("P9: once a broker has asked, no other is tried: the client is told, and nothing is replayed", async (t) => {
  const rig = await startRig(t, { brokers: [silent, {}] });
  const client = await rig.open();
  await client.send(CONNECT);
  const broker = await connected(await rig.broker.connection(0));
  broker.send(step(0x18, "server first"));
  await client.expect(step(0x18, "server first"));
  broker.end();
  await client.expect(m.hex("20 03 00 88 00"));
  await client.expectEndWithoutData(1_000);
  assert.equal(rig.brokers[1]?.connections.length, 0);
  await rig.settled();
});

test("P9: AUTH from a broker to a client of 3.1.1 is the broker's fault", async (t) => {
  const rig = await startRig(t, { brokers: [silent] });
  const client = await rig.open();
  await client.send(m.connect());
  const broker = await rig.broker.connection(0);
  await broker.untilReceived(m.connect().length);
  broker.send(m.auth());
  await client.expect(m.connack({ code: 3 }));
  await client.expectEndWithoutData(1_000);
  await rig.settled();
});
