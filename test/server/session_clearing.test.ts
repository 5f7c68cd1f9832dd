import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { answer, type BrokerConnection, type BrokerOptions } from "../abuse/recording_broker.ts";
import { type Rig, startRig } from "../abuse/rig.ts";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { needs, startMosquitto } from "../support/mosquitto.ts";
import { RawClient } from "../support/raw_client.ts";

const POOL = { affinity: "session", clear_sessions: true } as const;

const start = (t: Parameters<typeof startRig>[0], brokers: readonly BrokerOptions[] = [{}, {}], users: readonly string[] = ["", ""]) =>
  startRig(t, { brokers, configure: (urls) => ({ pools: { default: { brokers: urls.map((url, index) => url.replace("//", `//${users[index]}`)), ...POOL } } }) });

/** Connects, and is sent away. Answers whether its session was there. */
async function visit(rig: Rig, fields: m.ConnectFields): Promise<number | undefined> {
  const client = await rig.open();
  await client.send(m.connect(fields));
  const { type, body } = await client.takePacket();
  assert.deepEqual([type, body[1]], [2, 0], "CONNACK with success");
  await client.send(m.disconnect());
  await client.expectEnd();
  return body[0];
}

/** The connections of a client, one list for each broker. */
const on = (rig: Rig, clientId: string) => rig.brokers.map(({ connections }) => connections.filter((one) => one.clientId === clientId));

describe("clear_sessions", () => {
  test("a clean start elsewhere: the broker before sees the same client with a clean start, no will, no expiry, and a DISCONNECT", async (t) => {
    for (const version of [5, 4, 3] as const) {
      const rig = await start(t);
      const identity = { version, clientId: "keeper", username: "u", password: "p" };
      const user = m.PROPERTY.user("region", "eu");
      await visit(rig, { ...identity, clean: false, properties: m.bytes(m.PROPERTY.sessionExpirySeconds(600), user) });
      await visit(rig, { ...identity, clean: true, will: { topic: "w", payload: "gone" }, properties: user });
      const clearing = await rig.brokers[0]!.connection(1);
      const expected = m.bytes(m.connect({ ...identity, clean: true, keepAliveSeconds: 10, properties: user }), m.disconnect());
      await clearing.untilReceived(expected.length);
      assert.deepEqual(clearing.received, expected);
      await clearing.untilEnded();
      await rig.settled();
    }
  });

  test("credentials of a broker's URL stand in its CONNECT; nothing is cleared without a clean start, or where nothing is kept", async (t) => {
    const rig = await start(t, [{}, {}], ["admin:secret@", ""]);
    await visit(rig, { clientId: "keeper", clean: false, username: "u", password: "p" });
    await visit(rig, { clientId: "other" }); // the second broker's turn
    await visit(rig, { clientId: "other" });
    await visit(rig, { clientId: "keeper", clean: true, username: "u", password: "p" });
    const clearing = await rig.brokers[0]!.connection(2);
    const expected = m.connect({ clientId: "keeper", clean: true, keepAliveSeconds: 10, username: "admin", password: "secret" });
    await clearing.untilReceived(expected.length);
    assert.deepEqual(clearing.received.subarray(0, expected.length), expected);
    await clearing.untilEnded();
    await visit(rig, { clientId: "keeper", clean: false, username: "u", password: "p" });
    const { broker } = rig.opens.at(-1)!;
    rig.proxy.setBroker("default", broker as string, { state: "maint" });
    await visit(rig, { clientId: "keeper", clean: false, username: "u", password: "p" });
    assert.notEqual(rig.opens.at(-1)?.broker, broker, "it had to go elsewhere, and may want what is there");
    await rig.canary();
    assert.equal(rig.contacts.length, 7, "six visits and one clearing");
  });

  test("take_over = false: the session of a client that is there is left alone, and is cleared when that client has gone", async (t) => {
    const byId = new Map<string, BrokerConnection>();
    const packet = (connection: BrokerConnection, one: m.RawPacket) => {
      if (one.type === 1) {
        byId.get(connection.clientId)?.end(); // as within any broker, [MQTT-3.1.4-3]
        byId.set(connection.clientId, connection);
      }
      answer(connection, one);
    };
    const rig = await startRig(t, { brokers: [{ packet }, {}], configure: (urls) => ({ pools: { default: { brokers: [...urls], ...POOL, balance: "first", take_over: false } } }) });
    const name = `127.0.0.1:${rig.brokers[0]?.port}`;
    const { client: holder } = await rig.session({ clientId: "twin", clean: false });
    rig.proxy.setBroker("default", name, { state: "drain" });
    await visit(rig, { clientId: "twin", clean: true });
    await visit(rig, { clientId: "twin", clean: true }); // the first visit's clearing would have been dialed before this
    await holder.send(m.pingreq());
    await holder.expect(m.pingresp());
    assert.deepEqual(on(rig, "twin").map(({ length }) => length), [1, 2]);

    rig.proxy.setBroker("default", name, { state: "ready" });
    await visit(rig, { clientId: "alone", clean: false });
    rig.proxy.setBroker("default", name, { state: "drain" });
    await until(() => rig.ends.some(({ clientId }) => clientId === "alone"), 5_000, "its session to end");
    await visit(rig, { clientId: "alone", clean: true });
    await (await rig.brokers[0]!.connection(2)).untilEnded();
    assert.deepEqual(on(rig, "alone").map(({ length }) => length), [2, 1]);
    await holder.close();
    await rig.settled();
  });

  test("take_over: the older one hears 0x8E, and then its session is cleared", async (t) => {
    const rig = await startRig(t, { brokers: [{}, {}], configure: (urls) => ({ pools: { default: { brokers: [...urls], ...POOL, balance: "first" } } }) });
    const { client: older } = await rig.session({ version: 5, clientId: "twin", clean: false, properties: m.PROPERTY.sessionExpirySeconds(600) });
    rig.proxy.setBroker("default", `127.0.0.1:${rig.brokers[0]?.port}`, { state: "drain" });
    await visit(rig, { version: 5, clientId: "twin", clean: true });
    await older.expect(m.disconnect({ version: 5, code: 0x8e }));
    const clearing = await rig.brokers[0]!.connection(1);
    await clearing.untilEnded();
    assert.deepEqual(clearing.received.slice(-2), m.disconnect());
    await rig.settled();
  });

  test("where CONNECT is rewritten, the session is ended under the identity that the broker knows", async (t) => {
    const rig = await startRig(t, { brokers: [{}, {}], configure: (urls) => ({ pools: { default: { brokers: [...urls], ...POOL, connect: { client_id: "t-${client.id}", username: "proxy", password: "its own" } } } }) });
    await visit(rig, { clientId: "keeper", clean: false, username: "u", password: "p" });
    await visit(rig, { clientId: "keeper", clean: true, username: "u", password: "p" });
    const clearing = await rig.brokers[0]!.connection(1);
    const expected = m.bytes(m.connect({ clientId: "t-keeper", keepAliveSeconds: 10, username: "proxy", password: "its own" }), m.disconnect());
    await clearing.untilReceived(expected.length);
    assert.deepEqual(clearing.received, expected);
  });

  test("what fails is harmless: a broker that refuses, hangs up, says nonsense or nothing", async (t) => {
    let isOdd = false;
    const moods: ((connection: BrokerConnection) => void)[] = [
      (connection) => connection.send(m.connack({ code: 5 })),
      (connection) => connection.end(),
      (connection) => connection.reset(),
      (connection) => connection.send(m.hex("ff ff ff")),
      () => {},
    ];
    let mood = 0;
    const odd = (connection: BrokerConnection, packet: m.RawPacket) => {
      if (isOdd) moods[mood++ % moods.length]?.(connection);
      else answer(connection, packet);
    };
    const rig = await start(t, [{ packet: odd }, {}]);
    for (let round = 0; round < moods.length; round++) {
      isOdd = false;
      await visit(rig, { clientId: `keeper-${round}`, clean: false });
      isOdd = true;
      await visit(rig, { clientId: `keeper-${round}`, clean: true });
      await until(() => mood === round + 1, 5_000, "the clearing to be met");
    }
    isOdd = false;
    await rig.canary();
    await rig.settled(10_000);
  });

  test("a broker that is known to be down is not dialed for it, nor are those that wait for their turn when it goes down", async (t) => {
    let mood: "serves" | "refuses" | "hangs" = "serves";
    const packet = (connection: BrokerConnection, one: m.RawPacket) => {
      if (mood === "serves") answer(connection, one);
      else if (mood === "refuses") connection.reset();
    };
    const rig = await start(t, [{ packet }, {}]);
    const ids = Array.from({ length: 40 }, (_, index) => `keeper-${index}`);
    for (const clientId of ids) {
      await visit(rig, { clientId, clean: false });
      await visit(rig, { clientId: "filler" });
    }
    const name = `127.0.0.1:${rig.brokers[0]?.port}`;
    const isDown = () => rig.proxy.brokers.find(({ broker }) => broker === name)?.health === "down";
    const dials = () => rig.brokers[0]!.connections.length;
    const fails = async () => {
      mood = "refuses";
      for (let index = 0; !isDown(); index++) await visit(rig, { clientId: `finder-${index}` });
    };
    rig.proxy.setBroker("default", name, { state: "drain" });
    mood = "hangs";
    const before = dials();
    await Promise.all(ids.slice(0, 30).map((clientId) => visit(rig, { clientId, clean: true })));
    await until(() => dials() === before + 16, 5_000, "as many clearings as may be at once");
    rig.proxy.setBroker("default", name, { state: "ready" });
    await fails();
    const known = dials();
    for (const connection of rig.brokers[0]!.connections) if (!connection.isClosed) connection.reset(); // 16 places are free
    for (const clientId of ids.slice(30)) await visit(rig, { clientId, clean: true });
    await rig.canary();
    await rig.settled();
    assert.equal(dials(), known);
  });

  test("the client comes back there while its session is being cleared: the clearing gives way", async (t) => {
    const clearings: BrokerConnection[] = [];
    let hangs = false;
    const slow = (connection: BrokerConnection, packet: m.RawPacket) => {
      if (packet.type === 1 && hangs) return void clearings.push(connection);
      if (packet.type === 1) connection.send(m.connack());
      else if (packet.type === 14) connection.end();
    };
    const rig = await start(t, [{ packet: slow }, {}]);
    await visit(rig, { clientId: "keeper", clean: false });
    hangs = true;
    await visit(rig, { clientId: "keeper", clean: true });
    await until(() => clearings.length === 1, 5_000, "the clearing at the broker");
    hangs = false;
    await visit(rig, { clientId: "keeper", clean: false }); // nothing is remembered of a clean one without an expiry: the first broker's turn
    await clearings[0]?.untilEnded(2_000); // a clearing that is not given up waits for 5 s
    assert.equal(on(rig, "keeper")[0]?.length, 3);
    await rig.settled();
  });

  test("hostile: a broker that answers and never closes: the DISCONNECT reaches it, then its connection is taken away, 16 at a time", async (t) => {
    const stubborn = new Set<BrokerConnection>();
    const cameAt: number[] = [];
    let closes = true;
    const packet = (connection: BrokerConnection, one: m.RawPacket) => {
      if (one.type === 1 && !closes) {
        stubborn.add(connection);
        cameAt.push(performance.now());
      }
      if (one.type === 1 || !stubborn.has(connection)) answer(connection, one);
    };
    const ended = (connection: BrokerConnection) => {
      if (!stubborn.has(connection)) connection.end();
    };
    const rig = await start(t, [{ packet, ended }, {}]);
    const ids = Array.from({ length: 40 }, (_, index) => `keeper-${index}`);
    for (const clientId of ids) {
      await visit(rig, { clientId, clean: false });
      await visit(rig, { clientId: "filler" });
    }
    closes = false;
    rig.proxy.setBroker("default", `127.0.0.1:${rig.brokers[0]?.port}`, { state: "drain" });
    await Promise.all(ids.map((clientId) => visit(rig, { clientId, clean: true })));
    await until(() => {
      const open = [...stubborn].filter(({ isClosed }) => !isClosed);
      for (const connection of open) connection.send(m.pingresp()); // not every runtime sends a RST: who writes learns of it
      return stubborn.size === ids.length && open.length === 0;
    }, 15_000, "every session to be cleared, and every connection to be gone");
    const [first, seventeenth] = [cameAt[0] as number, cameAt[16] as number];
    assert.ok(seventeenth - first > 1_900, `no place is free before the first connection was taken away, which takes 2 s: ${seventeenth - first} ms`);
    for (const { received } of stubborn) assert.deepEqual(received.slice(-2), m.disconnect());
    await rig.settled();
  });

  test("hostile: 500 clients that come with a clean start at once are 16 connections more at a time", async (t) => {
    let open = 0;
    let most = 0;
    let counts = false;
    const kept = new Set<BrokerConnection>();
    const packet = (connection: BrokerConnection, { type }: m.RawPacket) => {
      if (type === 1 && counts) {
        most = Math.max(most, ++open);
        kept.add(connection);
        setTimeout(() => connection.send(m.connack()), 20);
      } else if (type === 1) connection.send(m.connack());
      else if (type === 14) {
        if (kept.delete(connection)) open--;
        connection.end();
      }
    };
    const rig = await start(t, [{ packet }, {}]);
    const ids = Array.from({ length: 500 }, (_, index) => `keeper-${index}`);
    for (const clientId of ids) {
      await visit(rig, { clientId, clean: false });
      await visit(rig, { clientId: "filler" });
    }
    counts = true;
    rig.proxy.setBroker("default", `127.0.0.1:${rig.brokers[0]?.port}`, { state: "drain" });
    const clients = await Promise.all(ids.map(async (clientId) => {
      const client = await rig.open();
      await client.send(m.connect({ clientId, clean: true }));
      return client;
    }));
    await Promise.all(clients.map((client) => client.takePacket(10_000)));
    await until(() => open === 0 && most > 0, 10_000, "the clearings to be over");
    assert.ok(most <= 16, `${most} at once`);
    await rig.settled(10_000);
  });

  test("real brokers: a session with a message that waits on A, a clean start on B, back on A: nothing is left", needs("mosquitto"), async (t) => {
    for (const version of [4, 5] as const) {
      const [a, b] = [await startMosquitto(), await startMosquitto()];
      for (const broker of [a, b]) t.after(() => broker.stop());
      const urls = [a, b].map(({ port }) => `mqtt://127.0.0.1:${port}`);
      const rig = await startRig(t, { brokers: [], urls, configure: () => ({ pools: { default: { brokers: urls, ...POOL, balance: "first" } } }) });
      const [nameA, nameB] = [a, b].map(({ port }) => `127.0.0.1:${port}`) as [string, string];
      const keeps = { version, clientId: "keeper", clean: false, ...(version === 5 && { properties: m.PROPERTY.sessionExpirySeconds(600) }) };

      const client = await rig.open();
      await client.send(m.bytes(m.connect(keeps), m.subscribe([["news", 1]], { version })));
      await client.takePacket();
      await client.takePacket();
      await client.send(m.disconnect());
      await client.expectEnd();
      const publisher = await RawClient.open({ port: a.port });
      await publisher.send(m.bytes(m.connect({ clientId: "publisher" }), m.publish({ topic: "news", qos: 1, packetId: 1 })));
      await publisher.takePacket();
      await publisher.takePacket();
      await publisher.close();
      assert.equal(await visit(rig, keeps), 1, "A has the session");

      rig.proxy.setBroker("default", nameA, { state: "drain" });
      await visit(rig, { version, clientId: "keeper", clean: true });
      await until(() => (a.log.match(/Client keeper disconnected/g) ?? []).length >= 3, 5_000, "the clearing at A");
      rig.proxy.setBroker("default", nameA, { state: "ready" });
      rig.proxy.setBroker("default", nameB, { state: "drain" });
      const back = await rig.open();
      await back.send(m.bytes(m.connect(keeps), m.pingreq()));
      assert.deepEqual((await back.takePacket()).body.subarray(0, 2), Uint8Array.of(0, 0), "no session is present");
      await back.expect(m.pingresp());
      assert.equal(rig.opens.at(-1)?.broker, nameA);
    }
  });
});
