import assert from "node:assert/strict";
import { test } from "node:test";
import { answer, type BrokerConnection, type BrokerOptions } from "./recording_broker.ts";
import { type Rig, startRig } from "./rig.ts";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import type { TestScope } from "../support/process.ts";

/* What clients can make the proxy believe of brokers. */

/** Hangs up on a client id with a control character in it, without CONNACK, as mosquitto does. */
const STRICT: BrokerOptions = {
  packet: (connection, packet) => (packet.type === 1 && connection.clientId < " " && connection.clientId !== "" ? connection.end() : answer(connection, packet)),
};
/** Hangs up on everybody. */
const BROKEN: BrokerOptions = { packet: (connection) => connection.end() };

const start = (t: TestScope, brokers: readonly BrokerOptions[], pool: object) =>
  startRig(t, { everyLine: true, brokers, configure: (urls) => ({ pools: { default: { brokers: [...urls], ...pool } } }) });

/** CONNECTs that no broker takes, each under an id of its own: `10 0e 00 04 4d 51 54 54 04 02 00 3c 00 02 01 78` and so on. */
async function comeInVain(rig: Rig, count: number): Promise<void> {
  for (let each = 1; each <= count; each++) {
    const stranger = await rig.open();
    await stranger.send(m.connect({ clientId: `${String.fromCharCode(each)}x` }));
    await stranger.expect(m.connack({ code: 3 }));
    await stranger.expectEndWithoutData();
  }
}

async function homeOf(rig: Rig, fields: m.ConnectFields & { clientId: string }): Promise<number> {
  const client = await rig.open();
  await client.send(m.connect(fields));
  assert.equal((await client.takePacket()).body[1], 0);
  const home = rig.brokers.findIndex(({ connections }) => connections.some((one: BrokerConnection) => one.clientId === fields.clientId && one.ending === "open"));
  await client.send(m.disconnect());
  await client.expectEnd();
  await client.close();
  return home;
}

const saysDown = (rig: Rig) => rig.log.filter((line) => line.includes("broker.down"));

test("a CONNECT that every broker hangs up on speaks against none of them: nobody else is sent elsewhere", async (t) => {
  const rig = await start(t, [STRICT, STRICT, STRICT], { balance: "client_id", affinity: "session" });
  const ids = Array.from({ length: 12 }, (_, index) => `client-${index}`);
  const keeper = { clientId: "keeper", clean: false };
  const home = await homeOf(rig, keeper);
  const homes = [];
  for (const clientId of ids) homes.push(await homeOf(rig, { clientId }));
  await comeInVain(rig, 6);
  assert.deepEqual(saysDown(rig), []);
  assert.ok(rig.proxy.brokers.every(({ health }) => health === "up"));
  const again = [];
  for (const clientId of ids) again.push(await homeOf(rig, { clientId }));
  assert.deepEqual(again, homes);
  assert.equal(await homeOf(rig, keeper), home, "its session is there");
  await rig.settled();
});

test("fail_over all: strangers whom brokers hang up on move nobody", async (t) => {
  const health = { probe: "mqtt" as const, interval: "1h", fast_interval: "100ms" };
  const rig = await start(t, [STRICT, STRICT], { fail_over: "all", evict_within: "100ms", health });
  const standing = await rig.session({ version: 5, clientId: "standing" });
  await comeInVain(rig, 8);
  await rig.canary();
  assert.deepEqual(saysDown(rig), []);
  await standing.client.send(m.pingreq());
  await standing.client.expect(m.pingresp());
  assert.equal(await homeOf(rig, { clientId: "next" }), 0);
});

test("a client without an id is one client, however often it comes and whatever id it is told", async (t) => {
  const assigned = (connection: BrokerConnection, packet: m.RawPacket) => {
    if (packet.type !== 1) return answer(connection, packet);
    connection.send(m.connack({ version: 5, properties: m.PROPERTY.assignedClientId(`auto-${connection.socket.remotePort}`) }));
  };
  const rig = await start(t, [BROKEN, { packet: assigned }], { balance: "first" });
  for (let round = 0; round < 4; round++) {
    const client = await rig.open();
    await client.send(m.connect({ version: 5, clientId: "" }));
    assert.equal((await client.takePacket()).body[1], 0);
  }
  assert.deepEqual(saysDown(rig), []);
});

test("what two clients met is no proof when the broker has served others since", async (t) => {
  const waiting: BrokerConnection[] = [];
  const strict = (connection: BrokerConnection, packet: m.RawPacket) => (connection.clientId.startsWith("!") ? connection.end() : answer(connection, packet));
  const slow = (connection: BrokerConnection, packet: m.RawPacket) => (packet.type === 1 ? void waiting.push(connection) : answer(connection, packet));
  const rig = await start(t, [{ packet: strict }, { packet: slow }], { balance: "first" });
  const strangers = [await rig.open(), await rig.open()];
  for (const [index, stranger] of strangers.entries()) await stranger.send(m.connect({ clientId: `!${index}` }));
  await until(() => waiting.length === 2, 5_000, "both at the other broker");
  await rig.canary();
  for (const connection of waiting) connection.send(m.connack());
  for (const stranger of strangers) await stranger.expect(m.connack());
  assert.deepEqual(saysDown(rig), []);
  assert.equal(await homeOf(rig, { clientId: "next" }), 0);
});

test("a broker that hangs up on what another one takes is tried last, as soon as two clients have met that", async (t) => {
  const rig = await start(t, [BROKEN, {}], { balance: "first" });
  assert.equal(await homeOf(rig, { clientId: "one" }), 1);
  assert.deepEqual(saysDown(rig), []);
  assert.equal(await homeOf(rig, { clientId: "one" }), 1);
  assert.deepEqual(saysDown(rig), [], "one client may be the cause");
  assert.equal(await homeOf(rig, { clientId: "two" }), 1);
  await until(() => saysDown(rig).length === 1, 5_000, "a line about the broker");
  const met = rig.brokers[0]!.connections.length;
  assert.equal(await homeOf(rig, { clientId: "three" }), 1);
  assert.equal(rig.brokers[0]!.connections.length, met, "it is not asked again so soon");
  await rig.settled();
});
