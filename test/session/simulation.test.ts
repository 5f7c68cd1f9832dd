import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as m from "../support/mqtt_bytes.ts";
import { chooseSeed, seeded, type SeededRandom } from "../support/seed.ts";
import { type BrokerConnection, type FakeClient, type Mood, Simulation } from "./simulation.ts";

const MOODS: readonly Mood[] = ["well", "well", "refuses_dial", "black_hole", "silent", "closes", "resets", "garbage", "says_no", "frozen"];

/** What one client does next: mostly traffic, sometimes an end of one kind or another. */
function act(client: FakeClient, random: SeededRandom): void {
  if (client.isGone) return;
  const { version, connection } = client;
  const choice = random.integer(0, 99);
  if (choice < 70) client.send(m.publish({ version, topic: client.id, payload: random.bytes(random.pick([0, 10, 200, 3_000])), qos: random.integer(0, 2) }));
  else if (choice < 80) client.send(m.pingreq());
  else if (choice < 84) connection.peerReads(random.chance(0.5));
  else if (client.isHonest) return;
  else if (choice < 88) { client.send(goodbye(version, random)); connection.peerEnd(); client.isHonest = false; }
  else if (choice < 91) connection.peerEnd();
  else if (choice < 94) connection.peerReset();
  else if (choice < 97) connection.peerSend(random.pick([m.connect(), m.hex("36 00"), m.hex("c0 80 00"), m.bytes([0], random.bytes(20))]));
}

/** As short as it may be, or with an expiry and more. */
function goodbye(version: 3 | 4 | 5, random: SeededRandom): Uint8Array {
  if (version !== 5 || random.chance(0.3)) return m.disconnect();
  return m.disconnect({ version, code: random.pick([0, 4]), properties: m.bytes(m.PROPERTY.user("k", "v".repeat(random.pick([0, 20, 9_000]))), m.PROPERTY.sessionExpirySeconds(0)) });
}

/** The bytes at a broker are the CONNECT and then a prefix of what one client legally sent; what the client saw came from that broker. */
function checkBytes(simulation: Simulation): void {
  const byId = new Map(simulation.clients.map((client) => [client.id, client]));
  const served = new Map<FakeClient, BrokerConnection>();
  for (const connection of simulation.brokerConnections) {
    if (connection.received.length === 0) continue;
    const client = byId.get(connection.clientId);
    assert.ok(client, `a broker heard nobody: ${connection.clientId}`);
    assert.ok(isPrefix(connection.received, client.legal), `${client.id}: a broker got bytes that the client did not send, or in another order: ${Buffer.from(connection.received).toString("hex").slice(-160)} against ${Buffer.from(client.legal.subarray(0, connection.received.length + 10)).toString("hex").slice(-180)}`);
    if (isPrefix(connection.sent.subarray(0, 4), client.received) && connection.sent.length > 0) served.set(client, connection);
  }
  for (const client of simulation.clients) {
    if (client.received.length === 0) continue;
    const connection = served.get(client);
    const ours = [m.hex("20 02 00 03"), m.hex("20 03 00 88 00"), m.hex("20 03 00 81 00"), m.hex("20 03 00 82 00"), m.hex("20 03 00 95 00")];
    if (connection === undefined) {
      assert.ok(ours.some((refusal) => Buffer.compare(refusal, client.received) === 0), `${client.id} got ${Buffer.from(client.received).toString("hex")}`);
      continue;
    }
    const common = commonPrefix(client.received, connection.sent);
    const tail = client.received.subarray(common);
    if (tail.length === 0) continue;
    assert.ok(tail.length === 4 && tail[0] === 0xe0 && client.version === 5, `${client.id}: ends with ${Buffer.from(tail).toString("hex")}`);
    assert.ok(isBoundary(connection.sent, common), `${client.id}: a DISCONNECT inside of a packet`);
  }
}

/** Whoever was asked to leave, and misbehaved in nothing, has whole packets alone, whatever its version; only a reset may cut one, after the deadline. */
function checkLeft(simulation: Simulation): number {
  let polite = 0;
  for (const client of simulation.clients) {
    const connection = simulation.brokerConnections.find((one) => one.clientId === client.id && one.sent.length > 0 && isPrefix(one.sent.subarray(0, 4), client.received));
    if (!client.wasMoved || !client.isHonest || !client.sawEnd || connection === undefined || connection.wasEnded) continue;
    polite++;
    assert.ok(isBoundary(client.received, client.received.length), `${client.id} was cut inside of a packet`);
    const isTold = Buffer.compare(client.received.subarray(-4), m.hex("e0 02 9c 00")) === 0;
    assert.equal(isTold, client.version === 5, `${client.id} of version ${client.version} ends with ${Buffer.from(client.received.subarray(-4)).toString("hex")}`);
  }
  return polite;
}

/** Every byte of every client that was served is at its broker, and every byte of that broker at its client. */
function checkComplete(simulation: Simulation): void {
  for (const client of simulation.clients) {
    const [served] = simulation.brokerConnections.filter((connection) => connection.clientId === client.id && connection.isOpen);
    assert.ok(served, `${client.id} is on no broker`);
    assert.equal(Buffer.compare(served.received, client.legal), 0, `${client.id}: ${served.received.length} of ${client.legal.length} bytes at its broker`);
    assert.equal(Buffer.compare(client.received, served.sent), 0, `${client.id} got ${client.received.length} of ${served.sent.length} bytes`);
  }
}

const isPrefix = (part: Uint8Array, whole: Uint8Array) => part.length <= whole.length && Buffer.compare(part, whole.subarray(0, part.length)) === 0;

function commonPrefix(a: Uint8Array, b: Uint8Array): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

function isBoundary(stream: Uint8Array, offset: number): boolean {
  let at = 0;
  while (at < offset) at += m.readPacket(stream.subarray(at))?.whole.length ?? Infinity;
  return at === offset;
}

function checkNothingLeft(simulation: Simulation): void {
  assert.equal(simulation.sessions.size, 0, "sessions are left");
  assert.equal(simulation.wheel.size, 0, "timers are left");
  for (const broker of simulation.pool.brokers) assert.equal(broker.sessions, 0, `${broker.name} still counts sessions`);
  for (const { connection } of [...simulation.clients, ...simulation.brokerConnections]) assert.ok(connection.isClosed, "a connection is left open");
}

/** Answers how many were moved without a fault on their part. */
function runFaults(random: SeededRandom): number {
  const simulation = new Simulation(random, random.integer(1, 4));
  const moods = [...simulation.pool.brokers];
  for (let step = 0; step < 150; step++) {
    simulation.time.runUntil(simulation.time.now + random.pick([1, 20, 200, 2_000]));
    if (random.chance(0.1)) simulation.moods.set(random.pick(moods), random.pick(MOODS));
    if (simulation.sessions.size > 0 && random.chance(0.03)) simulation.leave();
    if (simulation.clients.length < 25 && random.chance(0.4)) {
      const client = simulation.connectClient(random.chance(0.5));
      client.send(m.connect({ clientId: client.id, version: client.version, keepAliveSeconds: random.pick([0, 1, 60]) }));
    }
    for (const client of simulation.clients) if (random.chance(0.3)) act(client, random);
    for (const connection of simulation.brokerConnections) {
      if (!connection.isOpen) continue;
      if (random.chance(0.1)) connection.chatter(random);
      else if (random.chance(0.01)) connection.end("fin");
      else if (random.chance(0.01)) connection.end("reset");
      else if (random.chance(0.01)) connection.connection.peerReads(random.chance(0.5));
    }
  }
  if (random.chance(0.5)) simulation.drain();
  simulation.time.runUntil(simulation.time.now + 10_000);
  checkBytes(simulation);
  const moved = checkLeft(simulation);
  simulation.stop();
  simulation.time.runUntil(simulation.time.now + 10_000);
  checkNothingLeft(simulation);
  return moved;
}

describe("sessions in simulation", () => {
  const first = chooseSeed();
  const seeds = process.env["SLUICE_SEED"] === undefined ? 256 : 1;
  test(`${seeds} seeds of faults on both sides: every byte in its place, nothing left over (first seed ${first})`, async () => {
    let moved = 0;
    for (let index = 0; index < seeds; index++) await seeded((random) => { moved += runFaults(random); }, (first + index) >>> 0);
    if (seeds > 1) assert.ok(moved > 100, `only ${moved} were moved in order`);
  });

  test("with one broker that is well, every honest client gets in, whatever the others do", async () => {
    for (let index = 0; index < 64; index++) {
      await seeded((random) => {
        const simulation = new Simulation(random, 3);
        const [, second, third] = simulation.pool.brokers;
        const bad: readonly Mood[] = ["refuses_dial", "black_hole", "silent", "closes", "resets", "garbage", "frozen"];
        for (const broker of [second!, third!]) simulation.moods.set(broker, random.pick(bad.filter((mood) => mood !== "frozen")));
        for (let count = 0; count < 20; count++) {
          const client = simulation.connectClient(true);
          client.send(m.connect({ clientId: client.id, version: client.version }));
          client.send(m.publish({ version: client.version, topic: client.id, payload: random.bytes(random.pick([0, 100, 9_000])) }));
          simulation.time.runUntil(simulation.time.now + 500);
          for (const connection of simulation.brokerConnections) if (connection.isOpen && random.chance(0.5)) connection.chatter(random);
        }
        simulation.time.runUntil(simulation.time.now + 15_000);
        for (const client of simulation.clients) assert.equal(client.connackCode, 0, `${client.id} was not let in`);
        checkBytes(simulation);
        checkComplete(simulation);
        simulation.stop();
        simulation.time.runUntil(simulation.time.now + 2_000);
        checkNothingLeft(simulation);
      });
    }
  });
});
