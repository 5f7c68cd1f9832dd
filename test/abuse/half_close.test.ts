import assert from "node:assert/strict";
import { test } from "node:test";
import { pause, until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { answer, type BrokerConnection, hexOf } from "./recording_broker.ts";
import { startRig } from "./rig.ts";

const MEGABYTE = new Uint8Array(1_000_000);
/** A broker that answers, and leaves what follows a FIN to the test. */
const HALF_OPEN = { packet: (connection: BrokerConnection, packet: m.RawPacket) => void (packet.type !== 14 && answer(connection, packet)), ended: () => {} };

test("R7: after a client's FIN all that the broker still says is delivered, then the end", async (t) => {
  const rig = await startRig(t, { brokers: [HALF_OPEN] });
  const { client, broker, connect } = await rig.session({}, { allowHalfOpen: true });
  const last = m.bytes(m.publish(), m.disconnect());
  await client.send(last);
  client.end();
  await broker.untilEnded();
  assert.equal(hexOf(broker.received), hexOf(m.bytes(connect, last)));
  const chunk = m.publish({ payload: MEGABYTE });
  for (let count = 0; count < 8; count++) broker.send(chunk);
  broker.end();
  await client.take(8 * chunk.length, 10_000);
  await client.expectEndWithoutData();
  await rig.settled();
});

test("R7: after a broker's FIN all that the client still says is delivered, then the end", async (t) => {
  const rig = await startRig(t, { brokers: [HALF_OPEN] });
  const { client, broker, connect } = await rig.session({}, { allowHalfOpen: true });
  broker.send(m.publish({ payload: "last" }));
  broker.end();
  await client.expect(m.publish({ payload: "last" }));
  const chunk = m.publish({ payload: MEGABYTE });
  await client.expectEnd();
  for (let count = 0; count < 8; count++) await client.send(chunk);
  client.end();
  await broker.untilReceived(connect.length + 8 * chunk.length, 10_000);
  await broker.untilEnded();
  await rig.settled();
});

test("R7: a peer that never closes after the other's FIN is cut after stall_timeout", async (t) => {
  const rig = await startRig(t, { brokers: [HALF_OPEN], limits: { stall_timeout: "500ms" } });
  const byClient = await rig.session({}, { allowHalfOpen: true });
  byClient.client.end();
  await byClient.client.expectEnd(2_000);
  const byBroker = await rig.session({}, { allowHalfOpen: true });
  byBroker.broker.end();
  await byBroker.client.expectEnd(2_000);
  await byBroker.broker.untilEnded(2_000);
  await until(() => rig.proxy.sessionCount === 0, 2_000, "the sessions to end");
});

test("R8: a client that half-closes, stalls and resets does not hold its session: what the broker says to it is dropped", async (t) => {
  const rig = await startRig(t, { brokers: [HALF_OPEN] });
  const { client, broker } = await rig.session({}, { allowHalfOpen: true });
  client.end();
  await broker.untilEnded();
  client.stopReading();
  const chunk = m.publish({ payload: MEGABYTE });
  for (let count = 0; count < 32; count++) broker.send(chunk);
  let before = -1;
  while (broker.socket.writableLength !== before) {
    before = broker.socket.writableLength;
    await pause(100);
  }
  assert.ok(broker.socket.writableLength > 0, "the broker is stalled by then");
  client.reset();
  broker.end();
  await broker.until(() => broker.isClosed, "the broker's connection to close", 3_000);
  await rig.settled(1_000);
});

test("R8: a client that half-closes and resets while the broker answers leaves nothing", async (t) => {
  const rig = await startRig(t, { brokers: [HALF_OPEN] });
  for (let round = 0; round < 50; round++) {
    const { client, broker } = await rig.session({}, { allowHalfOpen: true });
    client.end();
    await broker.untilEnded();
    client.reset();
    for (let count = 0; count < 5; count++) {
      broker.send(m.publish());
      await pause(0);
    }
    broker.end();
  }
  await rig.settled(1_500);
});

test("a client that said DISCONNECT has ended the session, also when its broker is the first to close", async (t) => {
  const rig = await startRig(t);
  for (const version of [3, 4, 5] as const) {
    const { client, broker } = await rig.session({ version, clientId: `leaves-${version}` }, { allowHalfOpen: true });
    await client.send(m.disconnect());
    await broker.until(() => broker.packets === 2, "DISCONNECT at the broker, which closes");
    await client.expectEndWithoutData();
    client.end();
    await until(() => rig.ends.length === version - 2, 5_000, "the end");
    assert.equal(rig.ends.at(-1)?.reason, "client_disconnect");
    await client.close();
  }
  await rig.settled();
});
