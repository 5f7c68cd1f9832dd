import assert from "node:assert/strict";
import { test } from "node:test";
import * as m from "../support/mqtt_bytes.ts";
import { RawClient } from "../support/raw_client.ts";
import { startRig } from "./rig.ts";

const CLIENT_HELLO = m.hex("16 03 01 00 05 01 00 00 01 03");
const OTHERS: readonly [string, Uint8Array][] = [
  ["HTTP", m.bytes("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
  ["HTTP POST", m.bytes("POST /mqtt HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")],
  ["HTTP/2", m.bytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")],
  ["TLS", CLIENT_HELLO],
  ["SSH", m.bytes("SSH-2.0-OpenSSH_9.6\r\n")],
  ["PROXY v1", m.bytes("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n")],
  ["PROXY v2", m.hex("0d0a0d0a000d0a515549540a 20 00 0000")],
  ["RTSP", m.bytes("OPTIONS / RTSP/1.0\r\n\r\n")],
  ["AMQP", m.bytes("AMQP", [0, 0, 9, 1])],
  ["RDP", m.hex("0300 0013 0ee0 0000 0000 0001 0008 0003 0000 00")],
  ["SMB", m.hex("00000085 ff534d42 72")],
  ["lower case text", m.bytes("help\r\n")],
  ["zeros", new Uint8Array(1_000)],
];

test("P12: other protocols are closed at their first byte, with a few lines in the log at most", async (t) => {
  const rig = await startRig(t);
  for (let round = 0; round < 10; round++) {
    for (const [what, bytes] of OTHERS) {
      const client = await rig.open();
      await client.send(bytes).catch(() => {});
      await client.expectEndWithoutData(1_000).catch((error: Error) => assert.fail(`${what}: ${error.message}`));
      await client.close();
    }
  }
  assert.equal(rig.contacts.length, 0);
  assert.ok(rig.log.length <= 30, `${rig.log.length} lines of log for ${10 * OTHERS.length} connections`);
  await rig.canary();
  await rig.settled();
});

test("P12: a connection that opens and closes without a word is no line in the log", async (t) => {
  const rig = await startRig(t);
  for (let round = 0; round < 20; round++) {
    const client = await rig.open();
    client.end();
    await client.expectEnd(1_000);
  }
  await rig.settled();
  assert.deepEqual(rig.log, []);
});

test("P12, T13: MQTT and others on a TLS listener are closed, with a few lines at most", async (t) => {
  const rig = await startRig(t, { tls: true, limits: { handshake_timeout: "500ms" } });
  for (let round = 0; round < 3; round++) {
    for (const [what, bytes] of [...OTHERS.filter(([name]) => name !== "TLS"), ["MQTT", m.connect()] as const]) {
      const client = await RawClient.open({ port: rig.port });
      await client.send(bytes).catch(() => {});
      await client.expectEnd(2_000).catch((error: Error) => assert.fail(`${what}: ${error.message}`));
      await client.close();
    }
  }
  assert.ok(rig.log.length <= 30, `${rig.log.length} lines of log`);
  await rig.canary();
  await rig.settled();
});

test("T2: silence, half a ClientHello and a slow one end with the handshake timeout", async (t) => {
  const rig = await startRig(t, { tls: true, limits: { handshake_timeout: "500ms" } });
  await rig.canary();
  await rig.markBase();
  const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.open({ port: rig.port })));
  await Promise.all(clients.map(async (client, index) => {
    if (index % 2 === 0) await client.send(CLIENT_HELLO.subarray(0, 3));
    await client.expectEnd(2_000);
    await client.close();
  }));
  await rig.canary();
  await rig.settled();
  assert.equal(rig.contacts.length, 0);
});
