import assert from "node:assert/strict";
import { test } from "node:test";
import { pause } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { seeded } from "../support/seed.ts";
import { answer, type BrokerConnection, hexOf } from "./recording_broker.ts";
import { startRig } from "./rig.ts";

/** Accepts CONNECT only when the test does. */
const SILENT_ON_CONNECT = {
  packet: (connection: BrokerConnection, packet: m.RawPacket) => {
    if (packet.type !== 1) answer(connection, packet);
  },
};

test("P1: a second CONNECT, however late, never reaches the broker", async (t) => {
  const rig = await startRig(t);
  for (const version of [3, 4, 5] as const) {
    const { client, broker, connect } = await rig.session({ version, clientId: "one" });
    await client.send(m.pingreq());
    await client.expect(m.pingresp());
    await client.send(m.bytes(m.connect({ version, clientId: "two", username: "root" }), m.publish({ version })));
    await client.expectEnd(1_000);
    assert.equal(hexOf(client.received), version === 5 ? "e0028200" : "nothing");
    await broker.untilEnded();
    assert.equal(hexOf(broker.received), hexOf(m.bytes(connect, m.pingreq())));
  }
  await rig.canary();
  await rig.settled();
});

test("P2: what follows CONNECT at once is kept until CONNACK, and arrives in order", async (t) => {
  const rig = await startRig(t, { brokers: [SILENT_ON_CONNECT] });
  for (const version of [3, 4, 5] as const) {
    const connect = m.connect({ version });
    const behind = m.bytes(m.subscribe([["a", 1]], { version }), m.publish({ version, qos: 1, packetId: 2 }), m.pingreq());
    const index = rig.broker.connections.length;
    const client = await rig.open();
    await client.send(m.bytes(connect, behind));
    const broker = await rig.broker.connection(index);
    await broker.untilReceived(connect.length);
    await client.send(m.publish({ version, payload: "later" }));
    assert.equal(hexOf(broker.received), hexOf(connect), "nothing but CONNECT before CONNACK");
    broker.send(m.connack({ version }));
    await client.expect(m.bytes(m.connack({ version }), m.suback(1, [0], { version }), m.puback(2), m.pingresp()));
    const all = m.bytes(connect, behind, m.publish({ version, payload: "later" }));
    await broker.untilReceived(all.length);
    assert.equal(hexOf(broker.received), hexOf(all));
  }
  await rig.settled();
});

test("P2: a client that talks on without CONNACK is no longer read; afterwards everything arrives", async (t) => {
  const rig = await startRig(t, { brokers: [SILENT_ON_CONNECT], limits: { buffer_size_max: "64KiB" } });
  const client = await rig.open();
  await client.send(m.connect());
  const broker = await rig.broker.connection(0);
  const chunk = m.publish({ payload: new Uint8Array(1_000_000) });
  const count = 64;
  let taken = 0;
  const sending = (async () => {
    for (; taken < count; taken++) await client.send(chunk, 20_000);
  })();
  sending.catch(() => {});
  let before = -1;
  while (taken !== before) {
    before = taken;
    await pause(200); // the kernel's buffers are full when nothing more is taken for so long
  }
  assert.ok(taken < count, `all ${count} MB were taken before CONNACK`);
  assert.equal(broker.receivedTotal, m.connect().length);
  broker.send(m.connack());
  await sending;
  await broker.untilReceived(m.connect().length + count * chunk.length, 20_000);
  assert.equal(broker.packets, 1 + count);
  await rig.settled();
});

test("P2: CONNECT, PUBLISH, DISCONNECT and FIN in one go are delivered", async (t) => {
  const rig = await startRig(t, { brokers: [SILENT_ON_CONNECT] });
  const all = m.bytes(m.connect(), m.publish(), m.disconnect());
  const client = await rig.open({ allowHalfOpen: true });
  await client.send(all);
  client.end();
  const broker = await rig.broker.connection(0);
  await broker.untilReceived(m.connect().length);
  broker.send(m.connack());
  await broker.untilEnded();
  assert.equal(hexOf(broker.received), hexOf(all));
  await client.expect(m.connack());
  await client.expectEnd();
  await rig.settled();
});

test("P3, D9: behind a CONNECT that sluice refuses nothing is processed, nothing forwarded, nothing answered", async (t) => {
  const rig = await startRig(t);
  const behind = m.bytes(m.connect({ clientId: "hidden" }), m.subscribe([["#", 0]]), m.publish());
  for (const refused of [m.connect({ version: 5, trailing: [0] }), m.connect({ protocolLevel: 7 }), m.connect({ clientId: "", clean: false })]) {
    const client = await rig.open();
    await client.send(m.bytes(refused, behind));
    const connack = await client.takePacket();
    assert.equal(connack.type, 2);
    await client.send(behind).catch(() => {});
    await client.expectEndWithoutData(1_000);
    await client.close();
  }
  await rig.canary();
  assert.equal(rig.contacts.length, 0);
  await rig.settled();
});

test("P3, D9: behind a CONNECT that the broker refuses nothing is forwarded", async (t) => {
  const rig = await startRig(t, { brokers: [SILENT_ON_CONNECT] });
  for (const version of [3, 4, 5] as const) {
    const patient = await rig.open();
    const next = rig.broker.connections.length;
    await patient.send(m.bytes(m.connect({ version }), m.publish({ version })));
    const broker = await rig.broker.connection(next);
    await broker.untilReceived(m.connect({ version }).length);
    const refusal = m.connack({ version, code: version === 5 ? 0x87 : 5 });
    broker.send(refusal);
    await patient.expect(refusal);
    await patient.send(m.publish({ version })).catch(() => {});
    await patient.expectEndWithoutData(1_000);
    await broker.untilEnded();
    assert.equal(hexOf(broker.received), hexOf(m.connect({ version })));
  }
  await rig.settled();
});

test("P4: bytes after DISCONNECT are not forwarded, and are no new session", async (t) => {
  const rig = await startRig(t, { brokers: [{ packet: (connection, packet) => packet.type !== 14 && answer(connection, packet) }] });
  for (const version of [3, 4, 5] as const) {
    for (const after of [m.publish({ version }), m.connect({ version, clientId: "again" }), m.disconnect(), m.hex("00")]) {
      for (const pieces of [[m.bytes(m.disconnect(), after)], [m.disconnect(), after]]) {
        const { client, broker, connect } = await rig.session({ version });
        for (const piece of pieces) {
          await client.send(piece).catch(() => {});
          await pause(0);
        }
        await client.expectEnd(1_000);
        assert.ok(["nothing", "e0028200"].includes(hexOf(client.received)), hexOf(client.received));
        await broker.untilEnded();
        assert.equal(hexOf(broker.received), hexOf(m.bytes(connect, m.disconnect())));
      }
    }
  }
  await rig.settled();
});

test("P10: packets with properties pass unchanged in both directions", async (t) => {
  const rig = await startRig(t, { brokers: [{ packet: () => {} }] });
  await seeded(async (random) => {
    const connect = m.connect({
      version: 5,
      clientId: "",
      properties: m.bytes(m.PROPERTY.sessionExpirySeconds(4_294_967_295), m.PROPERTY.receiveMaximum(3), m.PROPERTY.packetSizeMax(1_000), m.PROPERTY.topicAliasMaximum(5)),
    });
    const connack = m.connack({
      version: 5,
      sessionPresent: true,
      properties: m.bytes(
        m.PROPERTY.receiveMaximum(2), m.hex("24 01 25 00"), m.PROPERTY.packetSizeMax(100), m.PROPERTY.assignedClientId("given"),
        m.PROPERTY.topicAliasMaximum(9), m.PROPERTY.reasonString("because"), m.PROPERTY.user("", ""), m.PROPERTY.user("", ""),
        m.hex("28 00 29 00 2a 00"), m.PROPERTY.serverKeepAliveSeconds(30), m.hex("1a"), m.field("response/"), m.hex("1c"), m.field("elsewhere"),
      ),
    });
    const client = await rig.open();
    await client.send(connect);
    const broker = await rig.broker.connection(0);
    await broker.untilReceived(connect.length);
    broker.send(connack);
    await client.expect(connack);
    const talk = (): Uint8Array => m.bytes(...Array.from({ length: 300 }, () => random.pick([
      () => m.publish({ version: 5, topic: "", properties: m.PROPERTY.topicAlias(random.integer(1, 9)), payload: random.bytes(random.integer(0, 300)) }),
      () => m.publish({ version: 5, qos: random.integer(1, 2), duplicate: random.chance(0.5), retain: random.chance(0.5), packetId: random.integer(1, 65_535) }),
      () => m.packet(random.pick([0x40, 0x50, 0x62, 0x70]), m.uint16(random.integer(1, 65_535)), random.pick([[], [0x10], [0x92, 0]])),
      () => m.auth({ code: 0x19, properties: m.PROPERTY.authenticationData(random.bytes(20)) }),
    ])()));
    const up = m.bytes(talk(), m.disconnect({ version: 5, code: 0x04, properties: m.PROPERTY.sessionExpirySeconds(7) }));
    const down = m.bytes(talk(), m.disconnect({ version: 5, code: 0x9d, properties: m.bytes(m.hex("1c"), m.field("other:1883")) }));
    broker.send(down);
    await client.send(up);
    await client.expect(down);
    await broker.untilReceived(connect.length + up.length);
    assert.equal(hexOf(broker.received.subarray(connect.length)), hexOf(up));
    assert.deepEqual(broker.received.subarray(connect.length), up);
  });
  await rig.settled();
});

test("P11: 100,000 PINGREQ are answered, and another client is served meanwhile", async (t) => {
  const rig = await startRig(t);
  const { client } = await rig.session({ clientId: "flood" });
  const count = 100_000;
  const flood = m.bytes(...Array.from({ length: 1_000 }, () => m.pingreq()));
  const flooding = (async () => {
    for (let sent = 0; sent < count; sent += 1_000) await client.send(flood);
  })();
  let canaries = 0;
  while (client.receivedTotal < count * 2 && canaries < 1_000) {
    await rig.canary();
    canaries++;
  }
  await flooding;
  await client.take(count * 2, 20_000);
  assert.ok(canaries > 0);
  await rig.settled();
});
