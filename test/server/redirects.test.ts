import assert from "node:assert/strict";
import { test } from "node:test";
import { answer, type BrokerConnection, type BrokerOptions } from "../abuse/recording_broker.ts";
import { type Rig, startRig } from "../abuse/rig.ts";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import type { TestScope } from "../support/process.ts";

/*
 * Brokers that send clients to others: MQTT 5 section 4.11. All brokers of a test are 127.0.0.1 with a port of their own, and clients come to
 * the first.
 */

const SERVER_REFERENCE = 0x1c;
const reference = (text: string): Uint8Array => m.bytes([SERVER_REFERENCE], m.field(text));

/** What each broker says of the others, when they are known. */
class Cluster {
  rig!: Rig;
  place(index: number): string {
    return `127.0.0.1:${this.rig.brokers[index]?.port}`;
  }
}

const elsewhere = (connection: BrokerConnection, text: string, code = 0x9c) => {
  connection.send(m.connack({ version: 5, code, properties: reference(text) }));
  connection.end();
};

/** Sends everybody on; clients of 3.x are only refused, as the standard has it. */
const pointer = (text: () => string, code = 0x9c): BrokerOptions => ({
  packet(connection, packet) {
    if (packet.type !== 1) return answer(connection, packet);
    if (connection.version === 5) return elsewhere(connection, text(), code);
    connection.send(m.connack({ code: 3 }));
    connection.end();
  },
});

async function start(t: TestScope, brokers: (cluster: Cluster) => readonly BrokerOptions[], redirects: "follow" | "pass" = "follow"): Promise<Cluster> {
  const cluster = new Cluster();
  cluster.rig = await startRig(t, {
    brokers: brokers(cluster),
    limits: { answer_timeout: "5s" },
    configure: (urls) => ({ pools: { default: { brokers: [...urls], balance: "first", redirects } } }),
  });
  return cluster;
}

const contactsOf = ({ rig }: Cluster) => rig.brokers.map(({ connections }) => connections.length);

for (const code of [0x9c, 0x9d]) {
  test(`CONNACK 0x${code.toString(16)}: the broker that is named gets the very CONNECT, and what came behind it`, async (t) => {
    const cluster = await start(t, (all) => [pointer(() => all.place(1), code), {}]);
    const { rig } = cluster;
    const client = await rig.open();
    const stream = m.bytes(m.connect({ version: 5, clientId: "c" }), m.publish({ version: 5, qos: 1, packetId: 7 }));
    await client.send(stream);
    await client.expect(m.bytes(m.connack({ version: 5 }), m.puback(7)));
    assert.deepEqual((await rig.brokers[1]!.connection(0)).received, stream);
    assert.deepEqual([rig.opens[0]?.broker, rig.opens[0]?.decidedBy], [cluster.place(1), "redirect"]);
    assert.ok(!rig.log.some((line) => line.includes("broker.down")), "nobody is blamed");
    await rig.settled();
  });
}

test("three hops are followed, the fourth broker has the last word", async (t) => {
  const four = await start(t, (all) => [pointer(() => all.place(1)), pointer(() => all.place(2)), pointer(() => all.place(3)), {}]);
  const near = await four.rig.open();
  await near.send(m.connect({ version: 5 }));
  await near.expect(m.connack({ version: 5 }));
  const five = await start(t, (all) => [...[1, 2, 3, 4].map((next) => pointer(() => all.place(next))), {}]);
  const far = await five.rig.open();
  await far.send(m.connect({ version: 5 }));
  await far.expect(m.connack({ version: 5, code: 0x9c, properties: reference(five.place(4)) }));
  await far.expectEnd();
  assert.deepEqual(contactsOf(five), [1, 1, 1, 1, 0]);
  await four.rig.settled();
  await five.rig.settled();
});

test("two brokers that send a client to each other: the second one's CONNACK goes to the client", async (t) => {
  const cluster = await start(t, (all) => [pointer(() => all.place(1)), pointer(() => all.place(0))]);
  const client = await cluster.rig.open();
  await client.send(m.connect({ version: 5 }));
  await client.expect(m.connack({ version: 5, code: 0x9c, properties: reference(cluster.place(0)) }));
  await client.expectEnd();
  assert.deepEqual(contactsOf(cluster), [1, 1]);
  await cluster.rig.settled();
});

test("what names nobody of the pool, or somebody who takes no clients, goes to the client as it is", async (t) => {
  const texts = ["", "10.0.0.1:1883", "localhost", " ", "mqtt://127.0.0.1:1", "[::1]:1883", "\u202e 127.0.0.1", "127.0.0.1:99999", "x ".repeat(32_000), "__proto__"];
  let text = "";
  const { rig } = await start(t, () => [pointer(() => text), {}]);
  for (text of texts) {
    const client = await rig.open();
    await client.send(m.connect({ version: 5 }));
    await client.expect(m.connack({ version: 5, code: 0x9c, properties: reference(text) }));
    await client.expectEnd();
  }
  assert.equal(rig.brokers[1]?.connections.length, 0);
  await rig.settled();
});

test("of several that are named the first that is known counts, and names are compared without case", async (t) => {
  const cluster = await start(t, (all) => [pointer(() => `a.example.com ${all.place(2)} ${all.place(1)}`), {}, {}]);
  const client = await cluster.rig.open();
  await client.send(m.connect({ version: 5 }));
  await client.expect(m.connack({ version: 5 }));
  assert.deepEqual(contactsOf(cluster), [1, 0, 1]);
  await cluster.rig.settled();
});

test("a broker that is named and does not answer: the next one takes the client", async (t) => {
  const cluster = await start(t, (all) => [pointer(() => all.place(2)), {}, { packet: (connection) => connection.reset() }]);
  const client = await cluster.rig.open();
  await client.send(m.connect({ version: 5 }));
  await client.expect(m.connack({ version: 5 }));
  assert.deepEqual(contactsOf(cluster), [1, 1, 1]);
  assert.equal(cluster.rig.opens[0]?.decidedBy, "fail_over");
  await cluster.rig.line("client.open", '"decided_by":"fail_over"');
  await cluster.rig.settled();
});

test("with redirects = \"pass\" everything goes to the client", async (t) => {
  const cluster = await start(t, (all) => [pointer(() => all.place(1)), {}], "pass");
  const client = await cluster.rig.open();
  await client.send(m.connect({ version: 5 }));
  await client.expect(m.connack({ version: 5, code: 0x9c, properties: reference(cluster.place(1)) }));
  await client.expectEnd();
  await cluster.rig.settled();
});

test("after AUTH the exchange is this broker's, and so is its last word", async (t) => {
  const cluster = await start(t, (all) => [
    {
      packet(connection, packet) {
        if (packet.type === 1) connection.send(m.auth({ code: 0x18 }));
        else elsewhere(connection, all.place(1));
      },
    },
    {},
  ]);
  const client = await cluster.rig.open();
  await client.send(m.connect({ version: 5 }));
  await client.expect(m.auth({ code: 0x18 }));
  await client.send(m.auth({ code: 0x18 }));
  await client.expect(m.connack({ version: 5, code: 0x9c, properties: reference(cluster.place(1)) }));
  assert.deepEqual(contactsOf(cluster), [1, 0]);
  await cluster.rig.settled();
});

for (const version of [3, 4] as const) {
  test(`MQTT ${version === 3 ? "3.1" : "3.1.1"}: a broker that refuses with 3 is asked in MQTT 5 where the client shall go`, async (t) => {
    const cluster = await start(t, (all) => [pointer(() => all.place(1)), {}]);
    const { rig } = cluster;
    const client = await rig.open();
    const stream = m.bytes(m.connect({ version, clientId: "old", clean: false, username: "u", password: "p", will: { topic: "w", payload: "x" } }), m.publish({ version, qos: 1, packetId: 7 }));
    await client.send(stream);
    await client.expect(m.bytes(m.connack({ version }), m.puback(7)));
    const [refusing, asked] = rig.brokers[0]!.connections;
    assert.equal(refusing?.version, version);
    // The same identity and MQTT session, no will.
    const question = m.connect({ version: 5, clientId: "old", clean: false, keepAliveSeconds: 10, username: "u", password: "p", properties: m.bytes([17], m.uint32(0xffffffff)) });
    assert.deepEqual(asked?.received, question);
    assert.deepEqual((await rig.brokers[1]!.connection(0)).received, stream);
    await rig.settled();
  });
}

test("MQTT 3.1.1: a broker that names nobody has the last word, and is not asked for every client", async (t) => {
  for (const inFive of [m.connack({ version: 5 }), m.connack({ version: 5, code: 0x88 }), m.connack({ version: 5, code: 0x9c }), m.hex("ff ff")]) {
    const cluster = await start(t, () => [
      {
        packet(connection) {
          connection.send(connection.version === 5 ? inFive : m.connack({ code: 3 }));
          if (connection.version !== 5) connection.end();
        },
      },
      {},
    ]);
    for (let round = 0; round < 3; round++) {
      const client = await cluster.rig.open();
      await client.send(m.connect({ clientId: `c${round}` }));
      await client.expect(m.connack({ code: 3 }));
      await client.expectEnd();
    }
    assert.deepEqual(contactsOf(cluster), [4, 0], "three refusals and one question");
    await cluster.rig.settled();
  }
});

test("MQTT 3.1.1: a broker that accepts the question and never closes does not keep its connection", async (t) => {
  const cluster = await start(t, () => [
    {
      packet(connection, { type }) {
        if (type === 1) connection.send(connection.version === 5 ? m.connack({ version: 5 }) : m.connack({ code: 3 }));
      },
      ended(connection) {
        if (connection.version !== 5) connection.end();
      },
    },
    {},
  ]);
  const client = await cluster.rig.open();
  await client.send(m.connect({ clientId: "old" }));
  await client.expect(m.connack({ code: 3 }));
  await client.close(); // nobody is there any more when the connection has to end
  const question = await cluster.rig.brokers[0]!.connection(1);
  await question.untilEnded();
  await until(() => {
    question.send(m.pingresp()); // not every runtime sends a RST: who writes learns of it
    return question.isClosed;
  }, 8_000, "the question's connection to end");
  assert.deepEqual(question.received.slice(-2), m.disconnect());
  await cluster.rig.settled();
});

test("MQTT 3.1.1: who leaves while the broker is asked leaves nothing behind", async (t) => {
  let asked = 0;
  const cluster = await start(t, () => [
    {
      packet(connection) {
        if (connection.version === 5) return void asked++;
        connection.send(m.connack({ code: 3 }));
        connection.end();
      },
    },
    {},
  ]);
  for (const times of [1, 2]) {
    const client = await cluster.rig.open();
    await client.send(m.connect({ clientId: "gone" }));
    await until(() => asked === times, 3_000, "the question, also after somebody has left in the middle of one");
    await client.close();
    await until(() => cluster.rig.proxy.sessionCount === 0, 3_000, "its session to end");
  }
  await cluster.rig.settled(8_000);
});

/** A running session that its broker ends by this packet, cut at these places. */
async function ended(t: TestScope, last: (cluster: Cluster) => Uint8Array, cuts: readonly number[] = []) {
  const cluster = await start(t, () => [{}, {}]);
  const { client, broker } = await cluster.rig.session({ version: 5, clientId: "mover" });
  const before = m.publish({ version: 5, payload: "before" });
  const bytes = m.bytes(before, last(cluster));
  const places = [0, ...cuts, bytes.length];
  for (let index = 1; index < places.length; index++) {
    broker.send(bytes.subarray(places[index - 1], places[index]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await client.expect(before);
  return { cluster, client, broker };
}

const goodbye = (text: string, code = 0x9d) => m.disconnect({ version: 5, code, properties: reference(text) });

test("DISCONNECT with a reference: the client is told to come again, and comes to the broker that was named", async (t) => {
  const { cluster, client, broker } = await ended(t, (all) => goodbye(all.place(1)));
  await client.expect(m.disconnect({ version: 5, code: 0x9c }));
  broker.end();
  await client.expectEnd();
  const again = await cluster.rig.open();
  await again.send(m.connect({ version: 5, clientId: "mover" }));
  await again.expect(m.connack({ version: 5 }));
  const other = await cluster.rig.open();
  await other.send(m.connect({ version: 5, clientId: "another" }));
  await other.expect(m.connack({ version: 5 }));
  assert.deepEqual(cluster.rig.brokers.map(({ connections }) => connections.map(({ clientId }) => clientId)), [["mover", "another"], ["mover"]]);
  await cluster.rig.settled();
});

test("DISCONNECT that names a broker which is known to be down: the client is not sent there first", async (t) => {
  const cluster = await start(t, () => [{}, {}]);
  const { rig } = cluster;
  const { client, broker } = await rig.session({ version: 5, clientId: "mover" });
  await rig.brokers[1]!.close();
  rig.proxy.setBroker("default", cluster.place(0), { state: "drain" });
  const finder = await rig.open();
  await finder.send(m.connect({ version: 5, clientId: "finder" }));
  await finder.expectEnd();
  rig.proxy.setBroker("default", cluster.place(0), { state: "ready" });
  assert.equal(rig.proxy.brokers[1]?.health, "down");
  broker.send(goodbye(cluster.place(1)));
  await client.expect(m.disconnect({ version: 5, code: 0x9c }));
  broker.end();
  await client.expectEnd();
  const again = await rig.open();
  await again.send(m.connect({ version: 5, clientId: "mover" }));
  await again.expect(m.connack({ version: 5 }));
  assert.deepEqual([rig.opens.at(-1)?.broker, rig.opens.at(-1)?.decidedBy], [cluster.place(0), "first"]);
  await rig.settled();
});

test("DISCONNECT with a reference: wherever it is cut", async (t) => {
  const length = m.publish({ version: 5, payload: "before" }).length + goodbye("127.0.0.1:65535").length;
  for (let cut = 1; cut < length; cut += 1) {
    const { cluster, client, broker } = await ended(t, (all) => goodbye(all.place(1)), [cut]);
    await client.expect(m.disconnect({ version: 5, code: 0x9c }));
    broker.end();
    await client.expectEnd();
    await cluster.rig.settled();
  }
});

test("DISCONNECT that names nobody of the pool, or has no reference, or is not well-formed, is passed on as it is", async (t) => {
  const packets = [
    goodbye("10.9.8.7:1883"),
    m.disconnect({ version: 5, code: 0x9c }),
    m.disconnect({ version: 5, code: 0x8b, properties: reference("127.0.0.1:1") }),
    m.packet(0xe0),
    m.packet(0xe0, [0x9c, 5, 0xff, 0xff, 0xff, 0xff]),
    goodbye("x".repeat(65_535)),
    m.packet(0xe0, [0x9c], m.variableInteger(80_003), reference("y".repeat(60_000)), m.field("z".repeat(19_998))),
  ];
  for (const packet of packets) {
    const { cluster, client, broker } = await ended(t, () => packet);
    await client.expect(packet);
    broker.end();
    await client.expectEnd();
    await cluster.rig.settled();
  }
});

test("bytes behind the DISCONNECT are the broker's fault, and reach nobody", async (t) => {
  const { cluster, client } = await ended(t, (all) => m.bytes(goodbye(all.place(1)), m.pingresp()));
  await client.expect(m.disconnect({ version: 5, code: 0x9c }));
  await client.expectEndWithoutData();
  await until(() => cluster.rig.ends.length > 0, 3_000, "the session to end");
  assert.equal(cluster.rig.ends[0]?.reason, "broker_malformed");
  await cluster.rig.settled();
});

test("half of a DISCONNECT is never seen: a stop in the middle of it is told as between two packets", async (t) => {
  for (const cut of [2, 4, 10]) {
    const cluster = await start(t, () => [{}, {}]);
    const { client, broker } = await cluster.rig.session({ version: 5, clientId: "mover" });
    const last = goodbye(cluster.place(1));
    broker.send(m.bytes(m.pingresp(), last.subarray(0, cut)));
    await client.expect(m.pingresp());
    const stopped = cluster.rig.proxy.stop();
    await client.expect(m.disconnect({ version: 5, code: 0x8b }));
    broker.send(last.subarray(cut));
    await client.expectEndWithoutData();
    await stopped;
  }
});
