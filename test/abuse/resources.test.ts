import assert from "node:assert/strict";
import { test } from "node:test";
import { runtime } from "#runtime";
import { pause, until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { RawClient } from "../support/raw_client.ts";
import { hexOf } from "./recording_broker.ts";
import { type Rig, startRig } from "./rig.ts";

const MEGABYTE = m.publish({ payload: new Uint8Array(1_000_000) });

test("R1: connections that say nothing are closed at connect_timeout, and an honest client is served throughout", async (t) => {
  const rig = await startRig(t, { limits: { connect_timeout: "1s" } });
  await rig.canary();
  await rig.markBase();
  const silent = await Promise.all(Array.from({ length: 300 }, () => rig.open()));
  const begin = performance.now();
  let canaries = 0;
  const ended = Promise.all(silent.map((client) => client.expectEndWithoutData(3_000)));
  while (performance.now() - begin < 1_000) {
    await rig.canary();
    canaries++;
  }
  await ended;
  assert.ok(canaries > 10, `${canaries} canaries in a second`);
  assert.ok(performance.now() - begin < 2_000);
  assert.equal(rig.contacts.length, 0);
  await rig.settled();
});

test("R2: the deadline is for the whole CONNECT, not for each byte", async (t) => {
  const rig = await startRig(t, { limits: { connect_timeout: "700ms" } });
  const connect = m.connect({ clientId: "slow and steady wins nothing" });
  await Promise.all(Array.from({ length: 20 }, async () => {
    const client = await rig.open();
    const begin = performance.now();
    for (const byte of connect) {
      await client.send(Uint8Array.of(byte)).catch(() => {});
      await Promise.race([pause(100), client.expectEnd(5_000)]);
      if (client.ending !== "open") break;
    }
    const took = performance.now() - begin;
    assert.ok(took > 500 && took < 1_500, `ended after ${took} ms`);
    assert.equal(client.received.length, 0);
  }));
  assert.equal(rig.contacts.length, 0);
  await rig.settled();
});

for (const tls of [false, true]) {
  test(`R3: clients over the limit are told so, the rest are closed at once, and slots come back (${tls ? "TLS" : "TCP"})`, async (t) => {
    const rig = await startRig(t, { tls, limits: { connections_max: 5, connect_timeout: "5s" } });
    const sessions = [];
    for (let count = 0; count < 5; count++) sessions.push(await rig.session({ clientId: `in-${count}` }));
    for (const [version, refusal] of [[3, m.connack({ code: 3 })], [4, m.connack({ code: 3 })], [5, m.connack({ version: 5, code: 0x97 })]] as const) {
      const client = await rig.open();
      await client.send(m.bytes(m.connect({ version }), m.publish({ version })));
      await client.expect(refusal);
      await client.expectEndWithoutData(1_000);
      await client.close();
    }
    await until(() => rig.proxy.sessionCount === 5, 1_000, "the refused to be gone");
    // so many are read to be told; who comes after those meets a closed door
    const waiting = await Promise.all(Array.from({ length: 24 }, () => rig.open()));
    await until(() => rig.proxy.sessionCount === 29, 1_000, "the waiting to be there");
    const told = rig.refusals("too_many_connections");
    const outside = await RawClient.open({ port: rig.port });
    await outside.expectEndWithoutData(1_000);
    await outside.close();
    await until(() => rig.refusals("too_many_connections") === told + 1, 1_000, "the one at the closed door to be counted");
    assert.equal(rig.contacts.length, 5);
    await Promise.all(waiting.map((client) => client.close()));
    await sessions[0]?.client.close();
    await until(() => rig.proxy.sessionCount === 4, 2_000, "a slot to come back");
    await rig.canary();
    await rig.settled();
  });
}

/** Sends until nothing has been taken for so long; answers how many bytes were. */
async function untilStuck(taken: () => number): Promise<number> {
  for (let before = -1; taken() !== before; await pause(200)) before = taken();
  return taken();
}

/** node:tls of Deno 2.9.6 reads on while its socket is paused, on either end: no TLS connection stops there. */
const STOPPABLE = runtime.name === "deno" ? [false] : [false, true];

/** The kernel's buffers on both sides of sluice, one read in it, and what streams hold. */
const HELD_MAX = 32_000_000;
const COUNT = 96;

test("R4, R6: a subscriber that never reads holds up its own session alone, and is cut after stall_timeout (TCP, and TLS where it can stop)", async (t) => {
  await Promise.all(STOPPABLE.map(async (tls) => frozenSubscriber(await startRig(t, { tls, limits: { stall_timeout: "2s" } }))));
});

async function frozenSubscriber(rig: Rig): Promise<void> {
  const frozen = await rig.session({ clientId: "frozen", keepAliveSeconds: 0 });
  const other = await rig.session({ clientId: "other" });
  frozen.client.stopReading();
  for (let count = 0; count < COUNT; count++) frozen.broker.send(MEGABYTE);
  const held = await untilStuck(() => COUNT * MEGABYTE.length - frozen.broker.socket.writableLength);
  assert.ok(held < HELD_MAX, `${held} bytes were taken for a client that reads none`);
  for (let count = 0; count < 20; count++) other.broker.send(MEGABYTE);
  await other.client.take(20 * MEGABYTE.length, 5_000);
  await frozen.broker.until(() => frozen.broker.isClosed || frozen.broker.ending !== "open", "the cut", 5_000);
  await until(() => rig.ends.some(({ clientId, reason }) => clientId === "frozen" && reason === "client_stalled"), 8_000, "the session to end as stalled");
  await other.client.send(m.pingreq());
  await other.client.expect(m.pingresp());
  await rig.settled(8_000);
}

test("R5, R6: a broker that never reads stops its client through TCP, and the session is cut after stall_timeout (TCP, and TLS where it can stop)", async (t) => {
  await Promise.all(STOPPABLE.map(async (tls) => frozenBroker(await startRig(t, { tls, limits: { stall_timeout: "2s" } }))));
});

async function frozenBroker(rig: Rig): Promise<void> {
  const { client, broker } = await rig.session({ clientId: "talker", keepAliveSeconds: 1 });
  broker.socket.pause();
  let taken = 0;
  const sending = (async () => {
    for (; taken < COUNT; taken++) await client.send(MEGABYTE, 20_000);
  })();
  sending.catch(() => {});
  const held = (await untilStuck(() => taken)) * MEGABYTE.length;
  assert.ok(held < HELD_MAX, `${held} bytes were taken for a broker that reads none`);
  await client.expectEnd(5_000);
  await until(() => rig.ends.some(({ reason }) => reason === "broker_stalled"), 8_000, "the session to end as stalled");
  await rig.canary();
  await rig.settled(8_000);
}

const STATES: readonly [string, (rig: Rig) => Promise<RawClient>][] = [
  ["before a word", (rig) => rig.open()],
  ["in the middle of CONNECT", async (rig) => {
    const client = await rig.open();
    await client.send(m.connect().subarray(0, 9));
    return client;
  }],
  ["while brokers are dialed", async (rig) => {
    const client = await rig.open();
    await client.send(m.connect());
    return client;
  }],
  ["before CONNACK", async (rig) => {
    const client = await rig.open();
    const index = rig.broker.connections.length;
    await client.send(m.connect({ clientId: "no-answer" }));
    await (await rig.broker.connection(index)).untilReceived(10);
    return client;
  }],
  ["in a session", async (rig) => (await rig.session()).client],
  ["in the middle of a packet", async (rig) => {
    const { client } = await rig.session();
    await client.send(m.publish({ payload: "half of it" }).subarray(0, 12));
    return client;
  }],
  ["while it is refused", async (rig) => {
    const { client } = await rig.session({ version: 5 });
    await client.send(m.hex("00 00"));
    return client;
  }],
  ["while much is on its way to it", async (rig) => {
    const { client, broker } = await rig.session();
    client.stopReading();
    for (let count = 0; count < 20; count++) broker.send(MEGABYTE);
    await untilStuck(() => broker.socket.writableLength);
    return client;
  }],
];

for (const tls of [false, true]) {
  test(`R8: a reset in any state ends the session and its broker's within a second (${tls ? "TLS" : "TCP"})`, async (t) => {
    const rig = await startRig(t, {
      tls,
      // not every TLS client can send RST: what arrives as a FIN may wait for its CONNACK
      limits: { answer_timeout: "500ms" },
      brokers: [{ packet: (connection, packet) => {
        if (connection.clientId === "no-answer") return;
        if (packet.type === 1) connection.send(m.connack({ version: connection.version }));
        else if (packet.type === 3 && (packet.flags & 6) === 2) connection.send(m.puback(7));
        else if (packet.type === 14) connection.end();
      } }],
    });
    await rig.canary();
    await rig.markBase();
    for (const [state, reach] of STATES) {
      for (let round = 0; round < 3; round++) {
        const client = await reach(rig);
        client.reset();
        await until(() => rig.proxy.sessionCount === 0, 1_500, `the session to end after a reset ${state}`);
        for (const { socket } of rig.broker.connections) socket.resume();
        await until(() => rig.broker.isIdle, 1_500, `the broker's connection to close after a reset ${state}`);
      }
      await rig.canary();
    }
    await rig.settled();
    assert.equal(rig.log.filter((line) => line.includes("internal")).length, 0);
  });
}

test("R8, T2: a reset in a TLS handshake leaves nothing", async (t) => {
  const rig = await startRig(t, { tls: true });
  await rig.canary();
  await rig.markBase();
  for (let round = 0; round < 30; round++) {
    const client = await RawClient.open({ port: rig.port });
    await client.send(m.hex("16 03 01 02 00 01").subarray(0, round % 7));
    client.reset();
    await client.close();
  }
  await rig.canary();
  await rig.settled();
});

test("R8: a reset while sluice stops does not hold it up", async (t) => {
  const rig = await startRig(t, { limits: { drain_timeout: "5s" } });
  const clients = [(await rig.session({ clientId: "a" })).client, (await rig.session({ clientId: "b", version: 3 })).client];
  const begin = performance.now();
  const stopping = rig.proxy.stop();
  for (const client of clients) client.reset();
  await stopping;
  assert.ok(performance.now() - begin < 2_000);
  await rig.settled();
});

test("R12: malformed CONNECTs by the thousand leave no session and no descriptor", async (t) => {
  const rig = await startRig(t);
  await rig.canary();
  await rig.markBase();
  const bad = m.connect({ version: 5, properties: m.bytes(m.PROPERTY.user("a", "b"), m.PROPERTY.receiveMaximum(0)) });
  for (let batch = 0; batch < 20; batch++) {
    await Promise.all(Array.from({ length: 50 }, async () => {
      const client = await RawClient.open({ port: rig.port });
      await client.send(bad);
      await client.expect(m.hex("20 03 00 81 00"));
      await client.expectEnd(1_000);
      await client.close();
    }));
  }
  assert.equal(rig.contacts.length, 0);
  await rig.settled();
});

test("R15: a client at full speed leaves a hundred slow ones their share", async (t) => {
  const rig = await startRig(t);
  const slow = [];
  for (let count = 0; count < 100; count++) slow.push((await rig.session({ clientId: `slow-${count}` })).client);
  const { client: fast, broker } = await rig.session({ clientId: "fast" });
  const flood = m.bytes(...Array.from({ length: 500 }, () => m.publish({ payload: new Uint8Array(100) })));
  let isOver = false;
  const flooding = (async () => {
    while (!isOver) await fast.send(flood, 10_000);
  })();
  const delays: number[] = [];
  for (let round = 0; round < 5; round++) {
    await Promise.all(slow.map(async (client) => {
      const begin = performance.now();
      await client.send(m.pingreq());
      await client.expect(m.pingresp());
      delays.push(performance.now() - begin);
    }));
  }
  isOver = true;
  await flooding;
  delays.sort((a, b) => a - b);
  const worst = delays[Math.floor(delays.length * 0.99)] as number;
  assert.ok(worst < 1_000, `the 99th percentile of a slow client's answer is ${worst} ms`);
  assert.ok(broker.receivedTotal > flood.length, hexOf(broker.received.subarray(0, 20)));
  await rig.settled();
});
