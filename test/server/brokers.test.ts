import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { clearHello } from "../abuse/clear_hello.ts";
import type { BrokerConnection } from "../abuse/recording_broker.ts";
import { type Rig, startRig } from "../abuse/rig.ts";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { freePort } from "../support/ports.ts";
import type { RawClient } from "../support/raw_client.ts";
import { serverName } from "../transport/tls_hello/hello_bytes.ts";

async function enter(rig: Rig, fields: m.ConnectFields & { clientId: string }): Promise<{ client: RawClient; broker: number }> {
  const client = await rig.open();
  await client.send(m.connect(fields));
  const { type, body } = await client.takePacket();
  assert.deepEqual([type, body[1]], [2, 0], "CONNACK with success");
  return { client, broker: rig.brokers.findIndex(({ connections }) => connections.some(({ clientId, ending }) => clientId === fields.clientId && ending === "open")) };
}

const nameOf = (rig: Rig, index: number) => `127.0.0.1:${rig.brokers[index]?.port}`;
const start = (t: Parameters<typeof startRig>[0], more: object = {}, brokers = 2) =>
  startRig(t, { brokers: Array.from({ length: brokers }, () => ({})), configure: (urls) => ({ pools: { default: { brokers: [...urls], ...more } } }) });

describe("brokers and setBroker", () => {
  test("what is told of each, and of the last change", async (t) => {
    const begin = Date.now();
    const rig = await start(t);
    await enter(rig, { clientId: "a" });
    const [first, second] = rig.proxy.brokers;
    assert.deepEqual({ ...first, since: 0 }, { pool: "default", broker: nameOf(rig, 0), state: "ready", health: "up", since: 0, cause: undefined, sessions: 1, weight: 1 });
    assert.ok(Math.abs(Number(first?.since) - begin) < 10_000, String(first?.since));
    rig.proxy.setBroker("default", nameOf(rig, 1), { state: "drain", weight: 3 });
    const changed = rig.proxy.brokers[1];
    assert.deepEqual([changed?.state, changed?.weight, changed?.cause], ["drain", 3, "the operator said so"]);
    assert.ok(Number(changed?.since) >= Number(second?.since));
    const lines = rig.log.map((line) => JSON.parse(line)).filter(({ event }) => event === "broker.state");
    assert.deepEqual(lines.map(({ broker, state, weight }) => [broker, state ?? weight]), [[nameOf(rig, 1), 3], [nameOf(rig, 1), "drain"]]);
    rig.proxy.setBroker("default", nameOf(rig, 1), { state: "drain", weight: 3 });
    assert.equal(rig.log.filter((line) => line.includes("broker.state")).length, 2, "no change, no line");
  });

  test("what does not exist, or cannot be, is a RangeError that says what there is; nothing is changed then", async (t) => {
    const rig = await start(t);
    const [one, two] = [nameOf(rig, 0), nameOf(rig, 1)];
    const refused = (call: () => void, words: readonly string[]) => assert.throws(call, (error) => error instanceof RangeError && words.every((word) => error.message.includes(word)));
    refused(() => rig.proxy.setBroker("defualt", one, { state: "maint" }), ["defualt", "default"]);
    refused(() => rig.proxy.setBroker("default", "10.0.0.1:1", { state: "maint" }), ["10.0.0.1:1", one, two]);
    refused(() => rig.proxy.setBroker("default", one, { state: "off" as "maint", weight: 2 }), ["off", "ready, drain, maint"]);
    refused(() => rig.proxy.setBroker("default", one, { state: "maint", weight: 0 }), ["0"]);
    assert.deepEqual(rig.proxy.brokers.map(({ state, weight }) => [state, weight]), [["ready", 1], ["ready", 1]]);
  });

  test("drain: no new clients but those whose session it holds; who is there stays", async (t) => {
    const rig = await start(t, { affinity: "session", balance: "first" });
    const keeper = { clientId: "keeper", clean: false };
    const { client } = await enter(rig, keeper);
    const stays = await enter(rig, { clientId: "stays" });
    rig.proxy.setBroker("default", nameOf(rig, 0), { state: "drain" });
    await client.send(m.disconnect());
    await client.expectEnd();
    assert.equal((await enter(rig, { clientId: "new" })).broker, 1);
    assert.equal((await enter(rig, keeper)).broker, 0);
    await stays.client.send(m.pingreq());
    await stays.client.expect(m.pingresp());
  });

  test("maint: its sessions are closed over evict_within, 0x98 to MQTT 5, behind the packet on its way; their clients get another one", async (t) => {
    const rig = await start(t, { balance: "first", evict_within: "300ms" });
    const five = await enter(rig, { version: 5, clientId: "five" });
    const four = await enter(rig, { clientId: "four" });
    const packet = m.publish({ payload: "0123456789" });
    const [, atFour] = rig.brokers[0]!.connections as [BrokerConnection, BrokerConnection];
    atFour.send(packet.subarray(0, 9));
    await four.client.take(9);
    rig.proxy.setBroker("default", nameOf(rig, 0), { state: "maint" });
    await five.client.expect(m.hex("e0 02 98 00"));
    await five.client.expectEndWithoutData();
    await four.client.expectSilence(400);
    atFour.send(packet.subarray(9));
    await four.client.expect(packet.subarray(9));
    await four.client.expectEndWithoutData();
    await until(() => rig.ends.filter(({ reason }) => reason === "broker_maintenance").length === 2, 5_000, "both to be gone");
    assert.equal((await enter(rig, { version: 5, clientId: "five" })).broker, 1);
    rig.proxy.setBroker("default", nameOf(rig, 0), { state: "ready" });
    assert.equal((await enter(rig, { clientId: "again" })).broker, 0);
  });

  const crowd = (rig: Rig, count: number) => Promise.all(Array.from({ length: count }, (_, index) => enter(rig, { version: 5, clientId: `c${index}` })));

  test("maint is spread over the whole of evict_within", async (t) => {
    const rig = await start(t, { balance: "first", evict_within: "3s" });
    await crowd(rig, 20);
    const begin = performance.now();
    rig.proxy.setBroker("default", nameOf(rig, 0), { state: "maint" });
    await until(() => rig.ends.length === 20, 10_000, "all to be gone");
    // The last one's turn comes after 19 parts of 20. A slow machine makes it later, and never sooner.
    const took = performance.now() - begin;
    assert.ok(took > 2_250, `all were gone after ${took} ms of 3000`);
  });

  test("ready in the middle of maint lets the others stay", async (t) => {
    const rig = await start(t, { balance: "first", evict_within: "5s" });
    const clients = (await crowd(rig, 20)).map(({ client }) => client);
    rig.proxy.setBroker("default", nameOf(rig, 0), { state: "maint" });
    await until(() => rig.ends.length >= 1, 5_000, "the first to go");
    rig.proxy.setBroker("default", nameOf(rig, 0), { state: "ready" });
    await Promise.all(clients.map((client) => client.ending === "open" && client.send(m.pingreq()).catch(() => {})));
    await until(() => clients.every(({ received, ending }) => received.length > 0 || ending !== "open"), 5_000, "PINGRESP or DISCONNECT for everybody");
    const staying = clients.filter(({ received }) => received[0] === m.pingresp()[0]);
    assert.ok(staying.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 1_000)); // in which four more would go
    for (const client of staying) {
      await client.send(m.pingreq());
      await client.expect(m.bytes(m.pingresp(), m.pingresp()));
    }
  });

  test("a client that was on its way to a broker when that was taken out is closed once it is there", async (t) => {
    const asked: BrokerConnection[] = [];
    const slow = (connection: BrokerConnection, packet: m.RawPacket) => void (packet.type === 1 && asked.push(connection));
    const rig = await startRig(t, { brokers: [{ packet: slow }, {}], configure: (urls) => ({ pools: { default: { brokers: [...urls], balance: "first", evict_within: "200ms" } } }) });
    const client = await rig.open();
    await client.send(m.connect({ version: 5, clientId: "late" }));
    await until(() => asked.length === 1, 5_000, "CONNECT at the broker");
    rig.proxy.setBroker("default", nameOf(rig, 0), { state: "maint" });
    asked[0]?.send(m.connack({ version: 5 }));
    await client.expect(m.bytes(m.connack({ version: 5 }), m.hex("e0 02 98 00")));
    await client.expectEndWithoutData();
  });

  test("maint closes TLS that is passed through as well", async (t) => {
    const bare = { packet: () => {} };
    const rig = await startRig(t, {
      brokers: [bare, bare],
      configure: (urls) => ({ listeners: [{ listen: "mqtts://127.0.0.1:0", tls: "passthrough" }], pools: { default: { brokers: [...urls], balance: "first", evict_within: "200ms" } } }),
    });
    const hello = clearHello(serverName("a.example"));
    const client = await rig.knock();
    await client.send(hello);
    await (await rig.broker.connection(0)).untilReceived(hello.length);
    rig.proxy.setBroker("default", nameOf(rig, 0), { state: "maint" });
    await client.expectEnd();
    assert.deepEqual(rig.ends.map(({ reason }) => reason), ["broker_maintenance"]);
  });

  test("a broker that begins in maint or drain gets nobody, and a check says so", async (t) => {
    const closed = await freePort();
    const rig = await startRig(t, {
      brokers: [{}, {}],
      configure: ([one, two]) => ({ pools: { default: { brokers: [{ url: `mqtt://127.0.0.1:${closed}`, state: "maint" }, { url: one as string, state: "drain" }, two as string], balance: "first" } } }),
    });
    assert.equal((await enter(rig, { clientId: "a" })).broker, 1);
    assert.deepEqual(rig.proxy.brokers.map(({ state, cause }) => [state, cause]), [["maint", "the configuration says so"], ["drain", "the configuration says so"], ["ready", undefined]]);
    const answers = await rig.proxy.probe();
    assert.deepEqual(answers.map(({ state, error }) => [state, error?.code]), [["maint", "refused"], ["drain", undefined], [undefined, undefined]]);
    rig.proxy.setBroker("default", nameOf(rig, 0), { state: "ready" });
    assert.equal((await enter(rig, { clientId: "b" })).broker, 0);
  });
});

describe("rebalance", () => {
  test("of three brokers one comes back: sessions move to it at the rate, the idlest first, until the threshold", async (t) => {
    const rig = await start(t, { balance: "least_connections", take_over: false, rebalance: { rate: "4/s", absolute: 1, relative: 1 } }, 3);
    rig.proxy.setBroker("default", nameOf(rig, 2), { state: "maint" });
    const clients = new Map<string, RawClient>();
    for (let index = 0; index < 18; index++) clients.set(`c${index}`, (await enter(rig, { version: index % 2 === 0 ? 5 : 4, clientId: `c${index}` })).client);
    // Two of each broker have been heard a moment ago: by the clock of the wheel, so some ticks after the others.
    await new Promise((resolve) => setTimeout(resolve, 500));
    const lively = ["c0", "c1", "c2", "c3"];
    for (const id of lively) {
      await clients.get(id)?.send(m.pingreq());
      await clients.get(id)?.expect(m.pingresp());
    }
    assert.deepEqual(rig.proxy.brokers.map(({ sessions }) => sessions), [9, 9, 0]);
    rig.proxy.setBroker("default", nameOf(rig, 2), { state: "ready" });

    const moved: { id: string; at: number }[] = [];
    const returning = (async () => {
      while (moved.length < 4) {
        for (const [id, client] of clients) {
          if (client.ending === "open") continue;
          moved.push({ id, at: performance.now() });
          const version = Number(id.slice(1)) % 2 === 0 ? 5 : 4;
          assert.deepEqual(client.received, version === 5 ? m.hex("e0 02 9c 00") : new Uint8Array(0), id);
          await client.close();
          clients.set(id, (await enter(rig, { version, clientId: id })).client);
        }
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    await returning;
    await until(() => rig.proxy.brokers.every(({ sessions }) => sessions <= 7), 10_000, "every broker to have its share, and one more at most");
    const [first, last] = [moved[0]!.at, moved.at(-1)!.at];
    assert.ok(moved.length <= 4 + 4 * Math.ceil((last - first) / 1_000), `${moved.length} in ${last - first} ms`);
    for (const { id } of moved) assert.ok(!lively.includes(id), `${id} was heard last`);
    assert.equal(rig.ends.filter(({ reason }) => reason === "rebalanced").length, moved.length);
    await rig.canary();
  });
});
