import assert from "node:assert/strict";
import { test } from "node:test";
import { pause, until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { chooseSeed, seeded } from "../support/seed.ts";
import { answer, hexOf } from "./recording_broker.ts";
import { startRig } from "./rig.ts";
import { speakMutated } from "./speak_mutated.ts";
import { objectionTo } from "./stream_judge.ts";

const startsWith = (whole: Uint8Array, part: Uint8Array): boolean => part.length <= whole.length && part.every((byte, index) => byte === whole[index]);

test("the judge of streams objects to what it should", () => {
  const connect = m.connect();
  const legal = [connect, m.bytes(connect, m.publish(), m.disconnect()), m.bytes(connect, m.publish().subarray(0, 5))];
  for (const stream of legal) assert.equal(objectionTo(stream), undefined);
  const illegal = [
    m.pingreq(), connect.subarray(0, 9), m.bytes(connect, connect), m.bytes(connect, m.disconnect(), m.pingreq()), m.bytes(connect, m.hex("c0 80 00")),
    m.bytes(connect, m.hex("30")), m.bytes(connect, m.hex("30 80 80 80 80 01")), m.bytes(connect, m.connack()), m.connect({ trailing: [0] }),
  ];
  for (const stream of illegal) assert.notEqual(objectionTo(stream), undefined, hexOf(stream));
});

for (const [name, seed] of [["a fixed seed", 1_883], ["another", 8_883], ["a fresh one", chooseSeed()]] as const) {
  test(`D1: of 1,000 mutated streams nothing but one legal CONNECT and legal frames reaches the broker (${name}: ${seed})`, async (t) => {
    const rig = await startRig(t, { limits: { stall_timeout: "2s" } });
    await rig.canary();
    await rig.markBase();
    await seeded(async (random) => {
      for (let batch = 0; batch < 20; batch++) {
        const before = rig.broker.connections.length;
        const streams = await speakMutated(rig, random, 50);
        await rig.canary();
        const seen = rig.broker.connections.slice(before, -1);
        await until(() => seen.every((contact) => contact.isClosed), 3_000, "the brokers' connections to close");
        for (const { received } of seen) {
          assert.equal(objectionTo(received), undefined, `the broker received ${hexOf(received)}`);
          assert.ok(streams.some((stream) => startsWith(stream, received)), `nobody said ${hexOf(received)}`);
        }
      }
    }, seed);
    await rig.settled();
  });
}

test("D3: what hides behind a length that two readers read differently is never seen", async (t) => {
  const rig = await startRig(t);
  for (const version of [4, 5] as const) {
    for (const hidden of [m.connect({ version, clientId: "hidden" }), m.publish({ version, topic: "hidden" })]) {
      for (const width of [2, 3, 4, 5]) {
        for (const claimed of [0, 1, hidden.length, hidden.length + 5]) {
          for (const first of [0x30, 0x32, 0xc0, 0xe0, 0x82]) {
            // a length that needs one byte, in more of them: illegal in whatever way it is read
            const header = m.bytes([first], m.variableInteger(claimed, width));
            if (m.variableInteger(claimed).length >= width) continue;
            const { client, broker, connect } = await rig.session({ version });
            await client.send(m.bytes(header, hidden, m.disconnect())).catch(() => {});
            await client.expectEnd(1_000);
            await client.close();
            await broker.untilEnded();
            assert.equal(hexOf(broker.received), hexOf(connect), hexOf(header));
          }
        }
      }
    }
  }
  await rig.settled();
});

test("D7: the packet size limit counts the header, holds in both directions, and lets through what is exactly at it", async (t) => {
  const rig = await startRig(t, { limits: { packet_size_max: "1000B", connect_size_max: "1000B" } });
  const sized = (version: m.Version, size: number): Uint8Array => {
    const empty = m.publish({ version, payload: "" }).length + 1; // the length takes two bytes by then
    return m.publish({ version, payload: new Uint8Array(size - empty) });
  };
  assert.equal(sized(5, 1_000).length, 1_000);
  for (const version of [3, 4, 5] as const) {
    const { client, broker, connect } = await rig.session({ version });
    await client.send(sized(version, 1_000));
    await broker.untilReceived(connect.length + 1_000);
    broker.send(sized(version, 1_000));
    await client.take(1_000);
    await client.send(sized(version, 1_001)).catch(() => {});
    await client.expectEnd(1_000);
    assert.equal(hexOf(client.received), version === 5 ? "e0029500" : "nothing");
    await broker.untilEnded();
    assert.equal(broker.receivedTotal, connect.length + 1_000);

    const other = await rig.session({ version });
    other.broker.send(m.bytes(m.publish({ version }), sized(version, 1_001)));
    await other.client.expect(m.publish({ version }));
    await other.client.expectEnd(1_000);
    // a broker's fault: the client gets a clean close, in MQTT 5 at most with a reason
    assert.ok(other.client.received.length === 0 || other.client.received[0] === 0xe0, hexOf(other.client.received));
    await other.broker.untilEnded();
  }
  await rig.settled();
});

test("D7: a header alone is enough to be refused", async (t) => {
  const rig = await startRig(t, { limits: { packet_size_max: "1MiB" } });
  const { client, broker, connect } = await rig.session({ version: 5 });
  await client.send(m.bytes([0x30], m.variableInteger(1_048_576)));
  await client.expectEnd(1_000);
  await broker.untilEnded();
  assert.equal(hexOf(broker.received), hexOf(connect));
  await rig.settled();
});

test("D8: no connection to a broker ever serves a second client", async (t) => {
  const rig = await startRig(t);
  for (let round = 0; round < 30; round++) {
    const { client, broker, connect } = await rig.session({ clientId: `own-${round}` });
    await client.send(m.disconnect());
    await client.expectEnd();
    await client.close();
    assert.equal(rig.broker.connections.length, round + 1);
    assert.equal(hexOf(broker.received), hexOf(m.bytes(connect, m.disconnect())));
  }
  await rig.settled();
});

const BIG = m.publish({ version: 5, topic: "big", payload: new Uint8Array(5_000).fill(7) });

test("D10: on a stop the DISCONNECT stands behind the packet that is on its way, never in it", async (t) => {
  const rig = await startRig(t, { limits: { drain_timeout: "3s" } });
  const quiet = await rig.session({ version: 5, clientId: "quiet" });
  const busy = await rig.session({ version: 5, clientId: "busy" });
  busy.broker.send(BIG.subarray(0, 2_000));
  const headerOnly = await rig.session({ version: 5, clientId: "header" });
  headerOnly.broker.send(BIG.subarray(0, 2)); // one byte of the length is missing
  await busy.client.expect(BIG.subarray(0, 2_000));
  const stopping = rig.proxy.stop();
  const goodbye = m.hex("e0 02 8b 00");
  await quiet.client.expect(goodbye);
  await headerOnly.client.expect(goodbye);
  await busy.client.expectSilence(100);
  busy.broker.send(m.bytes(BIG.subarray(2_000), m.publish({ version: 5 })));
  await busy.client.expect(m.bytes(BIG.subarray(2_000), goodbye));
  for (const { client } of [quiet, busy, headerOnly]) await client.expectEndWithoutData();
  await stopping;
  await rig.settled();
});

test("D10: without the rest of the packet the close speaks for itself", async (t) => {
  const rig = await startRig(t, { limits: { drain_timeout: "500ms" } });
  const { client, broker } = await rig.session({ version: 5 });
  broker.send(BIG.subarray(0, 2_000));
  await client.expect(BIG.subarray(0, 2_000));
  const stopping = rig.proxy.stop();
  await client.expectEndWithoutData(3_000);
  await stopping;
  await rig.settled();
});

test("D10: a client's fault while a packet is on its way to it: no DISCONNECT inside of it", async (t) => {
  const rig = await startRig(t);
  const { client, broker } = await rig.session({ version: 5 });
  broker.send(BIG.subarray(0, 2_000));
  await client.expect(BIG.subarray(0, 2_000));
  await client.send(m.hex("00 00"));
  await client.expectEndWithoutData(1_000);
  await broker.untilEnded();
  await rig.settled();
});

test("D10: what was cut off a header from the broker is never left in front of a DISCONNECT", async (t) => {
  const rig = await startRig(t, { brokers: [{ packet: (connection, packet) => void (packet.type === 1 && answer(connection, packet)) }] });
  const { client, broker } = await rig.session({ version: 5 });
  broker.send(m.bytes(m.publish({ version: 5 }), [0x30]));
  await client.expect(m.publish({ version: 5 }));
  await pause(20);
  await client.send(m.hex("00 00"));
  await client.expect(m.hex("e0 02 81 00"));
  await client.expectEndWithoutData(1_000);
  await rig.settled();
});
