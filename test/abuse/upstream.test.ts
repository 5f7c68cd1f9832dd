import assert from "node:assert/strict";
import { test } from "node:test";
import { pause, until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { needs, startMosquitto } from "../support/mosquitto.ts";
import { freePort, freePorts } from "../support/ports.ts";
import { seeded } from "../support/seed.ts";
import { answer, type BrokerConnection, type BrokerOptions, hexOf } from "./recording_broker.ts";
import { type Rig, startRig } from "./rig.ts";

const VERSIONS = [3, 4, 5] as const;
/** Server unavailable. */
const unavailable = (version: m.Version): Uint8Array => m.connack({ version, code: version === 5 ? 0x88 : 3 });

/** A client that talks on at once is told that no broker will do, within this time. */
async function turnedAway(rig: Rig, version: m.Version, milliseconds: number): Promise<void> {
  const client = await rig.open();
  await client.send(m.bytes(m.connect({ version }), m.publish({ version, qos: 1 })));
  await client.expect(unavailable(version), milliseconds);
  await client.expectEndWithoutData(1_000);
  await client.close();
}

test("U1: a broker that refuses the connection: CONNACK 3 or 0x88", async (t) => {
  const rig = await startRig(t, { brokers: [], urls: [`mqtt://127.0.0.1:${await freePort()}`] });
  for (const version of VERSIONS) await turnedAway(rig, version, 1_000);
  await rig.settled();
});

test("U1: a name that does not exist: CONNACK 3 or 0x88", async (t) => {
  // a label of 64 characters: the resolver refuses it without asking anybody
  const rig = await startRig(t, { brokers: [], urls: [`mqtt://${"x".repeat(64)}.invalid`], limits: { dial_timeout: "2s" } });
  for (const version of VERSIONS) await turnedAway(rig, version, 3_000);
  await rig.settled();
});

test("U1: brokers that refuse are passed over without a trace", async (t) => {
  const urls = (await freePorts(2)).map((port) => `mqtt://127.0.0.1:${port}`);
  const rig = await startRig(t, { urls });
  for (let round = 0; round < 6; round++) await rig.canary();
  await rig.settled();
});

const silent: BrokerOptions = { packet: () => {} };
const MOODS: readonly [string, BrokerOptions][] = [
  ["never answers", silent],
  ["never answers, and reads nothing", { opened: (connection) => void connection.socket.pause() }],
  ["closes at once", { opened: (connection) => connection.end() }],
  ["resets at once", { opened: (connection) => connection.reset() }],
  ["closes on CONNECT", { packet: (connection) => connection.end() }],
  ["resets on CONNECT", { packet: (connection) => connection.reset() }],
  ["closes in the middle of CONNACK", { packet: (connection) => { connection.send(m.hex("20 02 00")); connection.end(); } }],
  ["resets in the middle of CONNACK", { packet: (connection) => { connection.send(m.hex("20")); setTimeout(() => connection.reset(), 5); } }],
  ["stops in the middle of CONNACK", { packet: (connection) => connection.send(m.hex("20 02")) }],
  ["speaks HTTP", { opened: (connection) => connection.send(m.bytes("HTTP/1.1 400 Bad Request\r\n\r\n")) }],
  ["sends PUBLISH first", { packet: (connection) => connection.send(m.bytes(m.publish(), m.connack())) }],
  ["sends CONNECT first", { opened: (connection) => connection.send(m.connect()) }],
  ["sends a CONNACK with flags", { packet: (connection) => connection.send(m.hex("21 02 00 00")) }],
  ["sends a CONNACK with a length of five bytes", { packet: (connection) => connection.send(m.hex("20 82 80 80 80 00 00 00")) }],
  ["sends a CONNACK with a length not in its shortest form", { packet: (connection) => connection.send(m.hex("20 82 00 00 00")) }],
  ["sends a CONNACK of 256 MiB", { packet: (connection) => connection.send(m.hex("20 ff ff ff 7f")) }],
  ["sends a CONNACK of one byte", { packet: (connection) => connection.send(m.hex("20 01 00")) }],
  ["sends a CONNACK with reserved flags", { packet: (connection) => connection.send(m.hex("20 02 02 00")) }],
  ["sends a CONNACK with bytes behind", { packet: (connection) => connection.send(m.hex("20 08 00 00 00 01 02 03 04 05")) }],
];

for (const [what, mood] of MOODS) {
  test(`U2, U3, M24: a broker that ${what}: refusal when it is alone, otherwise the next one gets the same CONNECT`, async (t) => {
    const alone = await startRig(t, { brokers: [mood], limits: { answer_timeout: "600ms" } });
    await Promise.all(VERSIONS.map((version) => turnedAway(alone, version, 2_000)));
    await alone.settled();

    const rig = await startRig(t, { brokers: [mood, {}], limits: { answer_timeout: "1200ms" } });
    const [bad, good] = rig.brokers as [typeof rig.broker, typeof rig.broker];
    const connects: Uint8Array[] = [];
    for (const version of VERSIONS) {
      const connect = m.connect({ version, clientId: `moved-${version}`, username: "u", password: "p" });
      connects.push(connect);
      const behind = m.publish({ version, qos: 1, packetId: 3 });
      const client = await rig.open();
      await client.send(m.bytes(connect, behind));
      await client.expect(m.bytes(m.connack({ version }), m.puback(3)), 2_000);
      await client.close();
      const moved = good.connections.at(-1) as BrokerConnection;
      assert.equal(hexOf(moved.received), hexOf(m.bytes(connect, behind)));
    }
    assert.ok(bad.connections.length > 0, "the bad one was tried");
    for (const { received } of bad.connections) {
      assert.ok(connects.some((connect) => hexOf(connect.subarray(0, received.length)) === hexOf(received)), `nothing but CONNECT: ${hexOf(received)}`);
    }
    await rig.settled();
  });
}

test("U1, U2: all brokers together take no longer than answer_timeout", async (t) => {
  const rig = await startRig(t, { brokers: [silent, silent, silent, silent], limits: { answer_timeout: "1s" } });
  const before = performance.now();
  await turnedAway(rig, 5, 2_000);
  const took = performance.now() - before;
  assert.ok(took > 800 && took < 1_700, `${took} ms`);
  assert.ok(rig.brokers.filter(({ connections }) => connections.length > 0).length > 1, "more than one was tried");
  await rig.settled();
});

test("U2: a client that resets while brokers are tried leaves nothing; after a FIN alone it may still want its answer", async (t) => {
  const rig = await startRig(t, { brokers: [silent, silent], limits: { answer_timeout: "1s" } });
  for (const [how, most] of [["reset", 500], ["fin", 2_000]] as const) {
    const client = await rig.open();
    await client.send(m.connect());
    const isTried = (): boolean => rig.brokers.some(({ connections }) => connections.some((connection) => connection.receivedTotal > 0 && !connection.isClosed));
    await until(isTried, 2_000, "a broker to be tried");
    if (how === "reset") client.reset();
    else await client.close();
    await until(() => rig.proxy.sessionCount === 0, most, `the session to end after ${how}`);
  }
  await rig.settled();
});

const AFTER_CONNACK: readonly [string, (version: m.Version) => Uint8Array, string?][] = [
  ["a length of five bytes", () => m.hex("30 80 80 80 80 01")],
  ["a length not in its shortest form", () => m.hex("d0 80 00")],
  ["SUBACK without codes", (version) => m.packet(0x90, m.uint16(1), version === 5 ? [0] : [])],
  ["CONNACK again", (version) => m.connack({ version })],
  ["CONNECT", () => m.connect()],
  ["SUBSCRIBE", (version) => m.subscribe([["a", 0]], { version })],
  ["PINGREQ", () => m.pingreq()],
  ["PUBLISH of QoS 3", (version) => m.bytes([0x36], m.publish({ version, qos: 2 }).subarray(1))],
  ["type 0", () => m.hex("00 00")],
  ["HTTP", () => m.bytes("HTTP/1.1 200 OK\r\n")],
  ["bytes after DISCONNECT", () => m.bytes(m.disconnect(), m.pingresp())],
];

test("M24: what a broker may not say never reaches the client, which gets a clean close", async (t) => {
  const rig = await startRig(t);
  await rig.canary();
  await rig.markBase();
  for (const [what, bytes] of AFTER_CONNACK) {
    for (const version of VERSIONS) {
      for (const inPieces of [false, true]) {
        const { client, broker } = await rig.session({ version });
        const before = m.publish({ version, payload: "before" });
        const bad = bytes(version);
        // for DISCONNECT in MQTT 5 the first packet of the two is legal
        const legal = what === "bytes after DISCONNECT" && version === 5 ? m.bytes(before, m.disconnect()) : before;
        if (inPieces) {
          for (const byte of m.bytes(before, bad)) {
            broker.send(Uint8Array.of(byte));
            await pause(0);
          }
        } else broker.send(m.bytes(before, bad));
        await client.expectEnd(1_000).catch((error: Error) => assert.fail(`${what}, version ${version}: ${error.message}`));
        const got = client.received;
        assert.equal(hexOf(got.subarray(0, legal.length)), hexOf(legal), `${what}, version ${version}`);
        const rest = hexOf(got.subarray(legal.length));
        assert.ok(rest === "nothing" || (version === 5 && /^e002..00$/.test(rest)), `${what}, version ${version}: ${rest}`);
        await client.close();
        await broker.untilEnded(1_000);
      }
    }
  }
  assert.ok(rig.ends.filter(({ reason }) => reason === "broker_malformed").length >= AFTER_CONNACK.length * 3, "the log blames the broker");
  await rig.settled();
});

test("U4: what a broker said before its RST is delivered", async (t) => {
  const rig = await startRig(t, { brokers: [{ packet: (connection, packet) => void (packet.type === 1 && answer(connection, packet)) }] });
  const goodbye = m.disconnect({ version: 5, code: 0x98 });
  for (let round = 0; round < 10; round++) {
    const { client, broker } = await rig.session({ version: 5 });
    broker.socket.pause(); // what comes from now on stays unread, so that closing is a reset
    broker.send(goodbye);
    await client.send(m.publish({ version: 5, payload: new Uint8Array(10_000) }));
    await client.expect(goodbye);
    broker.socket.destroy();
    await client.expectEndWithoutData(1_000);
  }
  await rig.settled();
});

test("U5: a broker that is slow, or cuts everything into bytes, is only slower", async (t) => {
  const rig = await startRig(t, { brokers: [{ packet: () => {} }] });
  await seeded(async (random) => {
    const client = await rig.open();
    const connect = m.connect({ version: 5 });
    await client.send(connect);
    const broker = await rig.broker.connection(0);
    await broker.untilReceived(connect.length);
    const down = m.bytes(m.connack({ version: 5, properties: m.PROPERTY.reasonString("slow") }), ...Array.from({ length: 20 }, () =>
      m.publish({ version: 5, qos: random.integer(0, 2), packetId: random.integer(1, 65_535), payload: random.bytes(random.integer(0, 40)) })));
    for (const byte of down) {
      broker.send(Uint8Array.of(byte));
      if (random.chance(0.2)) await pause(random.integer(0, 2));
    }
    await client.expect(down, 10_000);
    const big = m.publish({ version: 5, payload: random.bytes(300_000) });
    const places = random.cuts(big.length, 40);
    let from = 0;
    for (const place of [...places, big.length]) {
      broker.send(big.subarray(from, place));
      from = place;
      await pause(random.integer(0, 3));
    }
    await client.expect(big, 10_000);
    broker.socket.pause();
    const sending = client.send(big, 10_000);
    await pause(50);
    broker.socket.resume();
    await sending;
    await broker.untilReceived(connect.length + big.length);
    assert.deepEqual(broker.received.subarray(connect.length), big);
  });
  await rig.settled();
});

test("U7: a broker that is killed and comes back, again and again, serves the next client at once", needs("mosquitto"), async (t) => {
  const mosquitto = await startMosquitto();
  t.after(() => mosquitto.stop());
  const rig = await startRig(t, { brokers: [], urls: [`mqtt://127.0.0.1:${mosquitto.port}`] });
  const served = async (): Promise<void> => {
    const client = await rig.open();
    await client.send(m.bytes(m.connect(), m.pingreq()));
    await client.expect(m.bytes(m.connack(), m.pingresp()));
  };
  await served();
  await until(() => rig.proxy.sessionCount === 1, 1_000, "the session");
  for (let round = 0; round < 20; round++) {
    await mosquitto.kill();
    await until(() => rig.proxy.sessionCount === 0, 1_000, "the broker's sessions to end");
    await turnedAway(rig, 4, 1_000);
    await mosquitto.start();
    await served();
  }
  await rig.settled();
});

test("U9: a frozen broker is noticed by the deadlines, and another serves meanwhile", needs("mosquitto"), async (t) => {
  const frozen = await startMosquitto();
  t.after(() => frozen.stop());
  const rig = await startRig(t, { urls: [`mqtt://127.0.0.1:${frozen.port}`], limits: { answer_timeout: "2s" } });
  frozen.freeze();
  for (let round = 0; round < 4; round++) await rig.canary(); // at most one of them waits for the frozen one
  assert.equal(rig.broker.connections.length, 4);
  frozen.thaw();
  await rig.settled();
});

test("U10: refusals and their properties pass unchanged, and no other broker is asked", async (t) => {
  const three = [1, 2, 3, 4, 5].map((code) => m.connack({ code }));
  const properties = m.bytes(m.PROPERTY.reasonString("no"), m.PROPERTY.user("a", "1"), m.PROPERTY.user("a", ""), m.hex("1c"), m.field("elsewhere:1883"));
  const five = [0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f]
    .map((code) => m.connack({ version: 5, code, properties }));
  let next = m.hex("");
  const refuse: BrokerOptions = { packet: (connection) => connection.send(next) };
  // By default a broker that refuses a client of 3.x with 3 is asked once whether it names another: test/server/redirects.test.ts.
  const rig = await startRig(t, { brokers: [refuse, refuse], configure: (urls) => ({ pools: { default: { brokers: [...urls], redirects: "pass" } } }) });
  let asked = 0;
  for (const version of VERSIONS) {
    for (const connack of [...(version === 5 ? [...five, m.connack({ code: 1 })] : three)]) {
      next = connack;
      const client = await rig.open();
      await client.send(m.bytes(m.connect({ version }), m.publish({ version })));
      await client.expect(connack);
      await client.expectEndWithoutData(1_000);
      asked++;
    }
  }
  const contacts = rig.brokers.flatMap((broker) => broker.connections);
  await Promise.all(contacts.map((contact) => contact.untilEnded()));
  assert.equal(contacts.length, asked);
  for (const contact of contacts) assert.equal(contact.packets, 1);
  await rig.settled();
});
