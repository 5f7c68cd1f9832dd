import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { answer, type BrokerConnection, type BrokerOptions } from "../abuse/recording_broker.ts";
import { type Rig, type RigOptions, startRig } from "../abuse/rig.ts";
import { TakeOver } from "../../src/server/take_over.ts";
import type { Session } from "../../src/session/session.ts";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import type { RawClient } from "../support/raw_client.ts";
import { seeded } from "../support/seed.ts";

const [EIGHT_E] = [m.hex("e0 02 8e 00")];

/** Round robin over these brokers: the next client is on the next one. */
const start = (t: Parameters<typeof startRig>[0], brokers: readonly BrokerOptions[] = [{}, {}], more: object = {}, options: RigOptions = {}) =>
  startRig(t, { brokers, configure: (urls) => ({ pools: { default: { brokers: [...urls], ...more } } }), ...options });

async function enter(rig: Rig, fields: m.ConnectFields): Promise<RawClient> {
  const client = await rig.open();
  await client.send(m.connect(fields));
  const { type, body } = await client.takePacket();
  assert.deepEqual([type, body[1]], [2, 0], "CONNACK with success");
  return client;
}

/** Of two with one id the newer one wins, as in every real broker. */
function takesOver(): BrokerOptions {
  const byId = new Map<string, BrokerConnection>();
  return {
    packet: (connection, packet) => {
      if (packet.type === 1) {
        const older = byId.get(connection.clientId);
        older?.send(m.disconnect({ version: 5, code: 0x8e }));
        older?.end();
        byId.set(connection.clientId, connection);
      }
      answer(connection, packet);
    },
  };
}

const countOn = (rig: Rig, clientId: string) => rig.brokers.map(({ connections }) => connections.filter((one) => one.clientId === clientId).length);

describe("take-over", () => {
  test("on another broker: MQTT 5 hears 0x8E, 3.x a FIN, and the older one's broker no DISCONNECT; the newer one is served", async (t) => {
    const rig = await start(t);
    for (const version of [5, 4, 3] as const) {
      const clientId = `twin-${version}`;
      const older = await enter(rig, { version, clientId });
      const newer = await enter(rig, { version, clientId });
      assert.deepEqual(countOn(rig, clientId), [1, 1]);
      if (version === 5) await older.expect(EIGHT_E);
      assert.equal(await older.expectEndWithoutData(), "fin");
      await until(() => rig.ends.some((end) => end.clientId === clientId && end.reason === "session_taken_over"), 5_000, "the older session's end");
      const left = rig.brokers.flatMap(({ connections }) => connections).find((one) => one.clientId === clientId && one.ending !== "open") as BrokerConnection;
      assert.deepEqual([left.ending, left.packets], ["fin", 1], "CONNECT and FIN: its will is published there");
      await newer.send(m.pingreq());
      await newer.expect(m.pingresp());
      await newer.close();
    }
    await rig.settled();
  });

  test("whom a broker does not accept throws nobody out, nor one who only says CONNECT", async (t) => {
    const refuses = (connection: BrokerConnection, packet: m.RawPacket) => {
      if (packet.type === 1) connection.send(m.connack({ version: connection.version, code: connection.version === 5 ? 0x87 : 5 }));
    };
    const rig = await start(t, [{}, { packet: refuses }, { packet: () => {} }]);
    const victim = await enter(rig, { version: 5, clientId: "victim" });
    for (const version of [5, 4] as const) {
      // The second broker refuses, the third says nothing, the first is left out.
      const refused = await rig.open();
      await refused.send(m.connect({ version, clientId: "victim" }));
      assert.deepEqual((await refused.takePacket()).body[1], version === 5 ? 0x87 : 5);
      const waiting = await rig.open();
      await waiting.send(m.connect({ version, clientId: "victim" }));
      await until(() => (countOn(rig, "victim")[2] ?? 0) > 0, 5_000, "CONNECT at the silent broker");
      waiting.reset();
      await enter(rig, { clientId: "another" });
    }
    await victim.send(m.pingreq());
    await victim.expect(m.pingresp());
    assert.equal(victim.ending, "open");
  });

  test("on the same broker it is the broker's affair: sluice adds nothing to what that says", async (t) => {
    const rig = await start(t, [{}, {}], { balance: "first" });
    const older = await enter(rig, { version: 5, clientId: "twin" });
    await enter(rig, { version: 5, clientId: "twin" });
    await rig.canary();
    await older.send(m.pingreq());
    await older.expect(m.pingresp());
    rig.broker.connections[0]?.send(m.disconnect({ version: 5, code: 0x8e }));
    rig.broker.connections[0]?.end();
    await older.expect(m.disconnect({ version: 5, code: 0x8e }));
    await older.expectEndWithoutData();
  });

  test("an id that a broker assigned counts; it can be switched off; one id in two pools are two clients", async (t) => {
    const assigns = (connection: BrokerConnection, packet: m.RawPacket) => {
      if (packet.type === 1) connection.send(m.connack({ version: 5, properties: connection.clientId === "" ? m.PROPERTY.assignedClientId("given-1") : [] }));
      else if (packet.type === 12) connection.send(m.pingresp());
    };
    const rig = await start(t, [{ packet: assigns }, { packet: assigns }]);
    const nameless = await enter(rig, { version: 5, clientId: "" });
    await enter(rig, { version: 5, clientId: "given-1" });
    await nameless.expect(EIGHT_E);

    const off = await start(t, [{}, {}], { take_over: false });
    const both = [await enter(off, { version: 5, clientId: "twin" }), await enter(off, { version: 5, clientId: "twin" })];
    const pools = await startRig(t, {
      brokers: [{}, {}, {}, {}],
      configure: (urls) => ({
        listeners: [{ listen: "mqtt://127.0.0.1:0", pool: "a" }],
        routes: [{ version: ["3.1.1"], pool: "b" }],
        pools: { a: { brokers: urls.slice(0, 2) }, b: { brokers: urls.slice(2) } },
      }),
    });
    both.push(await enter(pools, { version: 5, clientId: "twin" }), await enter(pools, { version: 4, clientId: "twin" }));
    for (const client of both) {
      await client.send(m.pingreq());
      await client.expect(m.pingresp());
    }
  });

  test("where client ids are rewritten, the one that the brokers see counts: tenants with one id leave each other alone", async (t) => {
    const rig = await start(t, [{}, {}], { connect: { client_id: "${username}-${client.id}" } });
    const ann = await enter(rig, { version: 5, clientId: "sensor", username: "ann" });
    const bob = await enter(rig, { version: 5, clientId: "sensor", username: "bob" });
    await ann.send(m.pingreq());
    await ann.expect(m.pingresp());
    await enter(rig, { clientId: "filler", username: "x" });
    await enter(rig, { version: 5, clientId: "sensor", username: "bob" });
    await enter(rig, { version: 5, clientId: "sensor", username: "bob" });
    await bob.expect(EIGHT_E);
    await ann.send(m.pingreq());
    await ann.expect(m.pingresp());
  });

  test("the older one gets the packet that is on its way, and then 0x8E", async (t) => {
    const rig = await start(t);
    const older = await enter(rig, { version: 5, clientId: "twin" });
    const packet = m.publish({ version: 5, payload: "0123456789" });
    const [broker] = rig.brokers[0]!.connections as [BrokerConnection];
    broker.send(packet.subarray(0, 9));
    await older.take(9);
    await enter(rig, { version: 5, clientId: "twin" });
    await older.expectSilence(50);
    broker.send(packet.subarray(9));
    await older.expect(m.bytes(packet.subarray(9), EIGHT_E));
    await older.expectEndWithoutData();
  });

  test("the newest is the one whose CONNECT came last: a slow broker that accepts an older one does not bring it back", async (t) => {
    const late: BrokerConnection[] = [];
    const rig = await start(t, [{ packet: (connection, packet) => (packet.type === 1 ? void late.push(connection) : answer(connection, packet)) }, {}], { affinity: "session" });
    const older = await rig.open();
    await older.send(m.connect({ version: 5, clientId: "dev" }));
    await until(() => late.length === 1, 5_000, "CONNECT at the slow broker");
    const newer = await enter(rig, { version: 5, clientId: "dev" });
    late[0]!.send(m.connack({ version: 5 }));
    await older.expect(m.connack({ version: 5 }));
    await older.expect(EIGHT_E);
    await older.expectEndWithoutData();
    await newer.send(m.pingreq());
    await newer.expect(m.pingresp());
    assert.equal(newer.ending, "open");
  });

  test("an id that two brokers made up, each for a client of its own, is not one client", async (t) => {
    const assigns = (connection: BrokerConnection, packet: m.RawPacket) => {
      if (packet.type !== 1) return answer(connection, packet);
      connection.send(m.connack({ version: 5, properties: connection.clientId === "" ? m.PROPERTY.assignedClientId("auto-1") : [] }));
    };
    const rig = await start(t, [{ packet: assigns }, { packet: assigns }]);
    const both = [await enter(rig, { version: 5, clientId: "" }), await enter(rig, { version: 5, clientId: "" })];
    assert.deepEqual(countOn(rig, ""), [1, 1]);
    for (const client of both) {
      await client.send(m.pingreq());
      await client.expect(m.pingresp());
    }
  });

  test("the registry holds what is open, and nothing afterwards, in whatever order they come and go", () => seeded((random) => {
    const takeOver = new TakeOver();
    const [a, b] = [{ name: "a" }, { name: "b" }];
    const open = new Set<Session & { left: boolean }>();
    let connects = 0;
    for (let step = 0; step < 2_000; step++) {
      if (random.chance(0.55)) {
        const session = { clientId: random.pick(["", "x", "y", "z"]), chosen: random.pick([a, b]), connectNumber: ++connects, left: false, step: () => { session.left = true; } } as unknown as Session & { left: boolean };
        takeOver.opened(session);
        open.add(session);
        for (const other of open) {
          if (other.clientId === session.clientId && other.clientId !== "" && other.chosen !== session.chosen) assert.ok(other.left, "an older one on another broker stays");
        }
        assert.equal(session.left, false);
      } else if (open.size > 0) {
        const session = random.pick([...open]);
        open.delete(session);
        takeOver.finished(session);
      }
      assert.equal(takeOver.size, new Set([...open].map(({ clientId }) => clientId).filter((id) => id !== "")).size);
    }
  }));

  test("P6: 1,000 connections with one client id end in one that is open, and nothing is left over", async (t) => {
    const rig = await start(t, [takesOver(), takesOver(), takesOver()]);
    await rig.canary();
    await rig.markBase();
    for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 50 }, () => enter(rig, { version: 5, clientId: "storm" })));
    await until(() => rig.proxy.sessionCount <= 1, 15_000, "one session alone to be left");
    const last = await enter(rig, { version: 5, clientId: "storm" });
    await last.send(m.pingreq());
    await last.expect(m.pingresp());
    const reasons = new Set(rig.ends.filter(({ clientId }) => clientId === "storm").map(({ reason }) => reason));
    for (const reason of reasons) assert.ok(["session_taken_over", "broker_disconnect"].includes(reason), reason);
    await rig.settled(15_000);
  });
});
