import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { BrokerConnection } from "../abuse/recording_broker.ts";
import { startRig, type Rig } from "../abuse/rig.ts";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";

/** Quick enough for a test; `probe` as asked. */
const quick = (probe: "tcp" | "mqtt") =>
  ({ probe, interval: "100ms", fast_interval: "100ms", timeout: "200ms", rise: 1, fall: 1 }) as const;

const eventsOf = (rig: Rig, event: string) => rig.log.map((line) => JSON.parse(line) as Record<string, unknown>).filter((line) => line["event"] === event);
const silent = { packet: () => {} };

/** A client whose session is open; and on which broker it is. */
async function enter(rig: Rig, fields: m.ConnectFields & { clientId: string }) {
  const client = await rig.open();
  await client.send(m.connect(fields));
  const connack = await client.takePacket();
  assert.deepEqual([connack.type, connack.body[1]], [2, 0], "CONNACK with success");
  return { client, broker: rig.brokers.findIndex(({ connections }) => connections.some(({ clientId }) => clientId === fields.clientId)) };
}

/** A broker that stops answering CONNECT when it is told to. */
function moodyBroker() {
  const mood = { mute: false };
  const packet = (connection: BrokerConnection, { type }: m.RawPacket) => {
    if (!mood.mute && type === 1) connection.send(m.connack({ version: connection.version }));
  };
  return { mood, behaviour: { packet } };
}

describe("health", () => {
  test("a broker that takes TCP and never answers CONNECT is found by the mqtt probe, and not by tcp", async (t) => {
    const [byMqtt, byTcp] = await Promise.all((["mqtt", "tcp"] as const).map((probe) =>
      startRig(t, { brokers: [silent, {}], configure: (brokers) => ({ pools: { default: { brokers: [...brokers], balance: "first", health: quick(probe) } } }) })));
    await until(() => eventsOf(byMqtt as Rig, "broker.down").length === 1, 5_000, "the mute broker to be found down");
    assert.match(String(eventsOf(byMqtt as Rig, "broker.down")[0]?.["msg"]), /no answer within 200 ms/);
    assert.equal((await enter(byMqtt as Rig, { clientId: "c" })).broker, 1, "the client goes to the one that answers");
    assert.deepEqual(eventsOf(byTcp as Rig, "broker.down"), []);
    // What sluice check prints.
    const answers = async (rig: Rig) => (await rig.proxy.probe()).map(({ error }) => error?.message.replace(/^\S+ /, ""));
    assert.deepEqual(await answers(byMqtt as Rig), ["takes a connection, and does not answer CONNECT within 200 ms", undefined]);
    assert.deepEqual(await answers(byTcp as Rig), [undefined, undefined]);
  });

  test("a broker that answers and never closes: the connections of a probe and of a check end long before the next probe", async (t) => {
    const { behaviour } = moodyBroker();
    const rig = await startRig(t, { brokers: [{ ...behaviour, ended: () => {} }], configure: (brokers) => ({ pools: { default: { brokers: [...brokers], health: { probe: "mqtt", interval: "1h" } } } }) });
    const [{ error } = {}] = await rig.proxy.probe();
    assert.equal(error, undefined);
    const asked = [await rig.broker.connection(0), await rig.broker.connection(1)];
    for (const connection of asked) await connection.untilEnded();
    await until(() => {
      for (const connection of asked) connection.send(m.pingresp()); // not every runtime sends a RST: who writes learns of it
      return asked.every(({ isClosed }) => isClosed);
    }, 8_000, "both connections to end");
    for (const { received } of asked) assert.deepEqual(received.slice(-2), m.disconnect());
  });

  test("sessions of a broker that went down are closed, MQTT 5 with DISCONNECT 0x8B; when it is back it is said", async (t) => {
    const { mood, behaviour } = moodyBroker();
    const rig = await startRig(t, { brokers: [behaviour, {}], configure: (brokers) => ({ pools: { default: { brokers: [...brokers], balance: "first", health: quick("mqtt"), evict_within: "100ms" } } }) });
    const { client } = await enter(rig, { version: 5, clientId: "five" });
    mood.mute = true;
    assert.deepEqual(await client.takePacket().then(({ type, body }) => [type, body[0]]), [14, 0x8b]);
    await client.expectEnd();
    await until(() => rig.ends.some(({ reason }) => reason === "broker_down"), 5_000, "the session's end");
    mood.mute = false;
    await until(() => eventsOf(rig, "broker.up").length === 1, 5_000, "the broker to be up again");
  });

  test("sessions of a broker that clients found down first, and probes after them, are closed as well", async (t) => {
    const health = { ...quick("mqtt"), fast_interval: "200ms", fall: 5 };
    const rig = await startRig(t, {
      brokers: [{}, {}],
      configure: (brokers) => ({ pools: { default: { brokers: [...brokers], balance: "first", health, evict_within: "100ms" } } }),
    });
    const { client } = await enter(rig, { version: 5, clientId: "there" });
    rig.broker.deafen();
    await enter(rig, { clientId: "one" });
    assert.equal(eventsOf(rig, "broker.down").length, 1, "by what a client met");
    await client.expect(m.hex("e0 02 8b 00"));
    await client.expectEnd();
  });

  test("fail_over = all: everybody moves to the one that serves all, those that were elsewhere too", async (t) => {
    const { mood, behaviour } = moodyBroker();
    const rig = await startRig(t, {
      brokers: [behaviour, {}],
      configure: (brokers) => ({ pools: { default: { brokers: [...brokers], fail_over: "all", return_after: "300ms", health: quick("mqtt"), evict_within: "100ms" } } }),
    });
    const first = await enter(rig, { version: 5, clientId: "a" });
    assert.equal(first.broker, 0);
    mood.mute = true;
    await first.client.takePacket();
    const second = await enter(rig, { version: 5, clientId: "b" });
    assert.equal(second.broker, 1);
    mood.mute = false;
    assert.deepEqual(await second.client.takePacket().then(({ type, body }) => [type, body[0]]), [14, 0x9c], "back, after it was well for a while");
  });
});

describe("choosing", () => {
  test("affinity = session: who left a session behind goes back to its broker, who comes with a clean start need not", async (t) => {
    const rig = await startRig(t, { brokers: [{}, {}], configure: (brokers) => ({ pools: { default: { brokers: [...brokers], affinity: "session" } } }) });
    const whereIs = (id: string) => rig.brokers.map(({ connections }) => connections.filter(({ clientId }) => clientId === id).length);
    for (let round = 0; round < 4; round++) {
      const client = await rig.open();
      await client.send(m.connect({ clientId: "keeper", clean: false }));
      await client.takePacket();
      await client.send(m.disconnect());
      await client.expectEnd();
    }
    assert.deepEqual([...whereIs("keeper")].sort(), [0, 4]);
    for (let round = 0; round < 4; round++) {
      const client = await rig.open();
      await client.send(m.connect({ clientId: "fresh", clean: true }));
      await client.takePacket();
      await client.send(m.disconnect());
      await client.expectEnd();
    }
    assert.deepEqual(whereIs("fresh"), [2, 2]);
  });

  test("a full broker is passed over; when all are full the client is told to come later; a backup waits for its turn", async (t) => {
    const rig = await startRig(t, {
      brokers: [{}, {}],
      configure: ([one, two]) => ({ pools: { default: { brokers: [{ url: one as string, connections_max: 1 }, { url: two as string, connections_max: 1, backup: true }] } } }),
    });
    assert.equal((await enter(rig, { clientId: "one" })).broker, 0);
    assert.equal((await enter(rig, { clientId: "two" })).broker, 1);
    const late = await rig.open();
    await late.send(m.connect({ version: 5, clientId: "late" }));
    await late.expect(m.connack({ version: 5, code: 0x89 }));
    await late.expectEnd();
  });
});
