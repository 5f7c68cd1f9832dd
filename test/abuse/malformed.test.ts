import assert from "node:assert/strict";
import { test } from "node:test";
import { pause } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { needs, startMosquitto } from "../support/mosquitto.ts";
import { RawClient } from "../support/raw_client.ts";
import { answer, hexOf } from "./recording_broker.ts";
import { type Rig, startRig } from "./rig.ts";
import { eachOf, type Manner, speak } from "./speak.ts";
import { FIRST_VECTORS, type FirstVector, honestStream, LATER_VECTORS, type LaterVector, LEFT_TO_THE_BROKER } from "./vectors.ts";

/** From the last byte to the close, at most. */
const CLOSE_MS = 1_000;
const LANES = 16;
const EMPTY = new Uint8Array(0);

const idsOf = (vectors: readonly { id: string }[]) => [...new Set(vectors.map(({ id }) => id))];

async function refusedAtOnce(rig: Rig, vector: FirstVector, manner: Manner): Promise<void> {
  const label = `${vector.id} ${vector.what}, ${JSON.stringify(manner)}`;
  const client = await rig.open();
  await speak(client, vector.bytes, manner);
  await client.expectEnd(CLOSE_MS).catch((error: Error) => assert.fail(`${label}: ${error.message}`));
  assert.equal(hexOf(client.received), hexOf(vector.reply ?? EMPTY), label);
  await client.close();
}

for (const id of idsOf(FIRST_VECTORS)) {
  test(`${id}: a first packet that is refused never reaches a broker, in whatever pieces it comes`, async (t) => {
    const rig = await startRig(t);
    await rig.canary();
    await rig.markBase();
    for (const vector of FIRST_VECTORS.filter((one) => one.id === id)) {
      await refusedAtOnce(rig, vector, "whole");
      assert.equal(rig.contacts.length, 0, `${vector.what}: the broker was contacted`);
      await rig.canary();
      await refusedAtOnce(rig, vector, "byte by byte");
      const cuts = Array.from({ length: Math.min(vector.bytes.length, 60) - 1 }, (_, index) => index + 1);
      await eachOf(cuts, LANES, (cut) => refusedAtOnce(rig, vector, { cutAt: [cut] }));
      await rig.canary();
      assert.equal(rig.contacts.length, 0, `${vector.what}, in pieces: the broker was contacted`);
    }
    await rig.settled();
  });
}

test("M2: a header that promises 256 MiB is refused at once, however slowly it comes", async (t) => {
  const rig = await startRig(t);
  for (const first of [0x10, 0x30]) {
    const client = await rig.open();
    for (const byte of [first, 0xff, 0xff, 0xff]) {
      await client.send(Uint8Array.of(byte)).catch(() => {});
      await pause(20);
    }
    await client.expectEnd(CLOSE_MS);
  }
  assert.equal(rig.contacts.length, 0);
  await rig.canary();
});

async function refusedLater(rig: Rig, vector: LaterVector, version: m.Version, manner: Manner): Promise<void> {
  const label = `${vector.id} ${vector.what}, version ${version}, ${JSON.stringify(manner)}`;
  const clientId = `later-${++sessions}`;
  const connect = m.connect({ version, clientId });
  const client = await rig.open();
  await client.send(connect);
  await client.expect(m.connack({ version }));
  await speak(client, vector.bytes, manner);
  await client.expectEnd(CLOSE_MS).catch((error: Error) => assert.fail(`${label}: ${error.message}`));
  // what the broker answered to the legal beginning may stand before it
  const disconnect = version === 5 ? Uint8Array.of(0xe0, 2, vector.code, 0) : EMPTY;
  const tail = client.received.subarray(client.received.length - disconnect.length);
  assert.equal(hexOf(tail), hexOf(disconnect), label);
  if (vector.legal === 0) assert.equal(client.received.length, disconnect.length, label);
  await client.close();
  const broker = rig.broker.connections.find((connection) => connection.clientId === clientId);
  assert.ok(broker, label);
  await broker.untilEnded(CLOSE_MS);
  assert.equal(broker.ending, "fin", label);
  assert.equal(hexOf(broker.received), hexOf(m.bytes(connect, vector.bytes.subarray(0, vector.legal))), label);
}
let sessions = 0;

for (const id of idsOf(LATER_VECTORS)) {
  test(`${id}: after CONNECT the broker sees the legal beginning and nothing of the rest`, async (t) => {
    const rig = await startRig(t);
    await rig.canary();
    await rig.markBase();
    for (const vector of LATER_VECTORS.filter((one) => one.id === id)) {
      for (const version of vector.version === undefined ? ([4, 5] as const) : [vector.version]) {
        const cuts = Array.from({ length: Math.min(vector.bytes.length, 12) - 1 }, (_, index): Manner => ({ cutAt: [index + 1] }));
        const manners: Manner[] = ["whole", "byte by byte", ...cuts];
        await eachOf(manners, LANES, (manner) => refusedLater(rig, vector, version, manner));
        await rig.canary();
      }
    }
    await rig.settled();
  });
}

test("M3, M4, M20–M23, P1: the same in one write with the CONNECT: the broker sees a beginning of what is legal", async (t) => {
  const rig = await startRig(t);
  await rig.canary();
  await rig.markBase();
  for (const vector of LATER_VECTORS) {
    const version = vector.version ?? 5;
    const connect = m.connect({ version, clientId: "piggyback" });
    const before = rig.contacts.length;
    const client = await rig.open();
    await client.send(m.bytes(connect, vector.bytes));
    await client.expectEnd(CLOSE_MS);
    const reply = version === 5 ? Uint8Array.of(0x20, 3, 0, vector.code, 0) : EMPTY;
    assert.equal(hexOf(client.received), hexOf(reply), `${vector.id} ${vector.what}`);
    await client.close();
    await rig.canary();
    const legal = m.bytes(connect, vector.bytes.subarray(0, vector.legal));
    for (const contact of rig.contacts.slice(before)) {
      await contact.untilEnded();
      assert.equal(hexOf(contact.received), hexOf(legal.subarray(0, contact.receivedTotal)), `${vector.id} ${vector.what}`);
    }
  }
  await rig.settled();
});

for (const version of [3, 4, 5] as const) {
  test(`M6: a session cut at every byte and ended there leaves nothing behind (version ${version})`, async (t) => {
    const rig = await startRig(t);
    await rig.canary();
    await rig.markBase();
    const stream = honestStream(version);
    const cuts = Array.from({ length: stream.length - 1 }, (_, index) => index + 1);
    await eachOf(cuts, LANES, async (cut) => {
      const client = await rig.open();
      await client.send(stream.subarray(0, cut));
      client.end();
      await client.expectEnd(CLOSE_MS);
      await client.close();
    });
    await rig.canary();
    await rig.settled();
    const connectLength = (m.readPacket(stream) as m.RawPacket).whole.length;
    assert.equal(rig.contacts.length, stream.length - connectLength, "only a whole CONNECT reaches the broker");
    for (const { received } of rig.contacts) assert.equal(hexOf(received), hexOf(stream.subarray(0, received.length)));
  });

  test(`M7: a session cut in two at every byte, or into bytes, arrives as it was said (version ${version})`, async (t) => {
    const rig = await startRig(t);
    await rig.canary();
    await rig.markBase();
    const stream = honestStream(version);
    const replies: string[] = [];
    const run = async (manner: Manner): Promise<void> => {
      const client = await rig.open();
      await speak(client, stream, manner);
      await client.expectEnd(CLOSE_MS);
      replies.push(hexOf(client.received));
      await client.close();
    };
    await run("whole");
    await run("byte by byte");
    const cuts = Array.from({ length: stream.length - 1 }, (_, index) => index + 1);
    await eachOf(cuts, LANES, (cut) => run({ cutAt: [cut] }));
    await rig.settled();
    assert.deepEqual([...new Set(replies)], [replies[0]], "the client sees the same each time");
    assert.equal(rig.contacts.length, stream.length + 1);
    for (const contact of rig.contacts) assert.equal(hexOf(contact.received), hexOf(stream));
  });
}

test("M9, M12, M14, M16: unusual and legal: it passes unchanged", async (t) => {
  const rig = await startRig(t);
  const legal: [string, Uint8Array][] = [
    ["the bridge bit in 3.1", m.connect({ version: 3, bridge: true, clientId: "bridge" })],
    ["the bridge bit in 3.1.1", m.connect({ bridge: true, clientId: "bridge" })],
    ["a password without a user name in MQTT 5", m.connect({ version: 5, password: "p" })],
    ["a byte order mark", m.connect({ clientId: m.hex("ef bb bf 61") })],
    ["no client id in MQTT 5", m.connect({ version: 5, clientId: "", clean: false })],
    ["wildcards and templates for a client id", m.connect({ clientId: "#/+/../%c${x}a|b.*\\" })],
    ["a name from Object's prototype", m.connect({ clientId: "__proto__", username: "constructor" })],
    ...[23, 24, 127, 128, 16_384, 65_000].map((length): [string, Uint8Array] => [`a client id of ${length} bytes`, m.connect({ clientId: "x".repeat(length) })]),
    ["a CONNECT of exactly the limit", exactly(65_536)],
  ];
  for (const [what, connect] of legal) {
    const index = rig.broker.connections.length;
    const client = await rig.open();
    await client.send(connect);
    const connack = await client.takePacket();
    assert.equal(connack.body[1], 0, what);
    const broker = await rig.broker.connection(index);
    assert.equal(hexOf(broker.received), hexOf(connect), what);
    await client.close();
  }
  const client = await rig.open();
  await client.send(m.connect({ clientId: "x".repeat(65_535) })).catch(() => {});
  await client.expectEnd(CLOSE_MS); // by the limit of CONNECT, which is documented
  await rig.settled();
});

/** A CONNECT of so many bytes, header included. */
function exactly(size: number): Uint8Array {
  const empty = m.connect({ clientId: "", password: "", username: "" }).length + 2; // the length takes three bytes by then
  return m.connect({ clientId: "x".repeat(40_000), username: "u".repeat(size - 40_000 - empty), password: "" });
}

test("M19: thousands of user properties within the limit, in pieces of 100 bytes, cost no more than linear time", async (t) => {
  const rig = await startRig(t);
  const connect = m.connect({ version: 5, properties: m.bytes(...Array.from({ length: 13_000 }, () => m.PROPERTY.user("", ""))) });
  for (const manner of ["whole", "byte by byte"] as const) {
    const client = await rig.open();
    const before = performance.now();
    await speak(client, connect, manner);
    assert.equal((await client.takePacket()).type, 2);
    const took = performance.now() - before;
    assert.ok(took < 3_000, `${manner}: ${took} ms`);
    await client.close();
  }
  await rig.settled();
});

test("M25: the bytes that killed a broker in JavaScript pass, or not, and hurt nobody", async (t) => {
  const rig = await startRig(t);
  const crasher = m.hex("101000044d5154540502003c0321001400006202d301e0020020");
  for (let cut = 1; cut <= crasher.length; cut++) {
    const client = await rig.open();
    await client.send(crasher.subarray(0, cut));
    client.end();
    await client.expectEnd(CLOSE_MS);
    await client.close();
  }
  await rig.canary();
  await rig.settled();
  for (const contact of rig.contacts) assert.equal(hexOf(contact.received), hexOf(crasher.subarray(0, contact.receivedTotal)));
});

/** What a client sees of these bytes, up to the answer to a PINGREQ behind them or the end of the connection. */
async function seenBy(port: number, version: m.Version, bytes: Uint8Array): Promise<string> {
  const client = await RawClient.open({ port });
  await client.send(m.connect({ version, clientId: "judged" }));
  await client.takePacket();
  await client.send(m.bytes(bytes, m.pingreq())).catch(() => {});
  const seen: string[] = [];
  for (;;) {
    const packet = await client.takePacket(2_000).catch(() => undefined);
    seen.push(packet === undefined ? "end" : hexOf(packet.whole));
    if (packet === undefined || packet.type === 13) break;
  }
  await client.close();
  return seen.join(" ");
}

test("M20, M22, M23, M25: what only a broker can judge, it judges as without sluice", needs("mosquitto"), async (t) => {
  const mosquitto = await startMosquitto();
  t.after(() => mosquitto.stop());
  const rig = await startRig(t, { brokers: [], urls: [`mqtt://127.0.0.1:${mosquitto.port}`] });
  for (const { id, what, bytes } of LEFT_TO_THE_BROKER) {
    for (const version of [3, 4, 5] as const) {
      const alone = await seenBy(mosquitto.port, version, bytes(version));
      assert.equal(await seenBy(rig.port, version, bytes(version)), alone, `${id} ${what}, version ${version}`);
    }
  }
  await rig.settled();
});

test("M25: a broker that answers sees a client's bytes however the answers are cut", async (t) => {
  const rig = await startRig(t, {
    brokers: [{
      packet(connection, packet) {
        if (packet.type !== 1) return answer(connection, packet);
        for (const byte of m.connack({ version: connection.version })) connection.send(Uint8Array.of(byte));
      },
    }],
  });
  await rig.canary();
  await rig.settled();
});
