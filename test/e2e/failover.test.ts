import assert from "node:assert/strict";
import { type BrokerConnection, RecordingBroker } from "../abuse/recording_broker.ts";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { needs, startMosquitto, type Mosquitto } from "../support/mosquitto.ts";
import type { TestScope } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";
import { brokerUrls, onEachArtefact, startFront, withOpenFiles } from "./front.ts";
import { brokerOf, elapsed, names, openSession, portOf } from "./sessions.ts";

const NEEDS = needs("mosquitto");

async function startTwo(t: TestScope): Promise<[Mosquitto, Mosquitto]> {
  const brokers = [await startMosquitto(), await startMosquitto()] as [Mosquitto, Mosquitto];
  for (const broker of brokers) t.after(() => broker.stop());
  return brokers;
}

const REFUSALS = [
  [3, m.hex("20 02 00 03")],
  [4, m.hex("20 02 00 03")],
  [5, m.hex("20 03 00 88 00")],
] as const;

onEachArtefact("one of two brokers is killed: its sessions end within a second, new clients land on the other", NEEDS, async (t, artefact) => {
  const [first, second] = await startTwo(t);
  const front = await startFront(t, artefact, { words: brokerUrls(first, second) });
  const clients = await Promise.all(names(20).map((clientId) => openSession(t, front.port, { clientId })));
  const lines = await Promise.all(names(20).map((clientId) => front.sluice.waitForEvent("client.open", (line) => line["client.id"] === clientId)));
  const onFirst = new Set(lines.filter((line) => portOf(line) === first.port).map((line) => line["client.port"]));
  const theirs = clients.filter((client) => onFirst.has(client.socket.localPort));
  assert.equal(theirs.length, 10);

  const endMs = elapsed(() => Promise.all(theirs.map((client) => client.expectEndWithoutData(1_000))));
  await first.kill();
  await endMs;
  for (const clientId of names(10, "new")) assert.equal(await brokerOf(t, front, clientId), second.port);
  const closed = await front.sluice.waitForEvent("client.close");
  assert.match(String(closed["reason"]), /^broker_(closed|lost)$/);
  await front.sluice.waitForEvent("broker.down", (line) => line["broker"] === `127.0.0.1:${first.port}`);
  for (const client of clients.filter((one) => !theirs.includes(one))) assert.equal(client.ending, "open");
});

onEachArtefact("a broker that comes back gets clients again, after its rest", { ...NEEDS, atOnce: true }, async (t, artefact) => {
  const [first, second] = await startTwo(t);
  const front = await startFront(t, artefact, { words: brokerUrls(first, second) });
  await first.kill();
  for (const clientId of names(2)) assert.equal(await brokerOf(t, front, clientId), second.port);
  await first.start();
  await until(async () => (await brokerOf(t, front, "back")) === first.port, 15_000, "the broker that is back to get clients again");
  assert.match(String((await front.sluice.waitForEvent("broker.up"))["msg"]), /answers again/);
});

onEachArtefact("a broker is frozen: clients land on the other within the deadline", NEEDS, async (t, artefact) => {
  const [first, second] = await startTwo(t);
  const front = await startFront(t, artefact, { config: '[limits]\nanswer_timeout = "2s"\n', words: brokerUrls(first, second) });
  first.freeze();
  t.after(() => first.thaw());
  const clientIds = names(6);
  // half of two seconds for the broker that says nothing
  const ms = await elapsed(() =>
    Promise.all(clientIds.map(async (clientId) => assert.equal(await brokerOf(t, front, clientId), second.port))),
  );
  assert.ok(ms < 2_000, `${ms} ms`);
  const down = await front.sluice.waitForEvent("broker.down", (line) => line["broker"] === `127.0.0.1:${first.port}`);
  assert.match(String(down["reason"]), /broker_timeout/);
  assert.ok((await elapsed(() => brokerOf(t, front, "later"))) < 500, "the frozen one is tried last for a while");
});

onEachArtefact("a client hears nothing of the brokers that failed it: one CONNACK, then its packets", NEEDS, async (t, artefact) => {
  const [first, second] = await startTwo(t);
  const { port } = await startFront(t, artefact, { words: brokerUrls(first, second) });
  await first.kill();
  for (const version of [3, 4, 5] as const) {
    const client = await RawClient.open({ port });
    t.after(() => client.close());
    // said before CONNACK, and kept while the brokers are tried
    const early = m.publish({ version, topic: "a", qos: 1, packetId: 9 });
    await client.send(m.bytes(m.connect({ version, clientId: `c${version}` }), m.subscribe([["a", 1]], { version }), early, m.pingreq()));
    const types = new Set<number>();
    for (let i = 0; i < 5; i++) types.add((await client.takePacket()).type);
    assert.deepEqual([...types].sort((a, b) => a - b), [2, 3, 4, 9, 13], "CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP");
    await client.send(m.disconnect());
    await client.expectEndWithoutData();
  }
});

onEachArtefact("no broker is left: CONNACK 3 or 0x88, the end; and service again when one is back", NEEDS, async (t, artefact) => {
  const [first, second] = await startTwo(t);
  const { port } = await startFront(t, artefact, { words: brokerUrls(first, second) });
  await first.kill();
  await second.kill();
  for (const [version, refusal] of REFUSALS) {
    const client = await RawClient.open({ port });
    t.after(() => client.close());
    await client.send(m.connect({ version }));
    await client.expect(refusal);
    assert.equal(await client.expectEndWithoutData(), "fin");
  }
  await second.start();
  for (const [version] of REFUSALS) await openSession(t, port, { version });
});

onEachArtefact("a broker leaves all clients at once before CONNACK, as many as the descriptors allow: all land on the other", {}, async (t, artefact) => {
  const clientIds = names(116);
  const left: BrokerConnection[] = [];
  const first = await RecordingBroker.start({
    packet: (connection) => {
      if (left.push(connection) === clientIds.length) for (const each of left) each.end();
    },
  });
  const second = await RecordingBroker.start();
  for (const broker of [first, second]) t.after(() => broker.close());
  const { port } = await startFront(t, withOpenFiles(artefact, 300), { words: [...brokerUrls(first, second), "--balance", "first"] });
  await Promise.all(clientIds.map((clientId) => openSession(t, port, { clientId })));
  assert.equal(left.length, clientIds.length);
});

onEachArtefact("all brokers are frozen: CONNACK 3 or 0x88 at the deadline", NEEDS, async (t, artefact) => {
  const brokers = await startTwo(t);
  const { port } = await startFront(t, artefact, { config: '[limits]\nanswer_timeout = "1s"\n', words: brokerUrls(...brokers) });
  for (const broker of brokers) {
    broker.freeze();
    t.after(() => broker.thaw());
  }
  await Promise.all(
    REFUSALS.map(async ([version, refusal]) => {
      const client = await RawClient.open({ port });
      t.after(() => client.close());
      const ms = await elapsed(async () => {
        await client.send(m.connect({ version }));
        await client.expect(refusal);
      });
      assert.equal(await client.expectEndWithoutData(), "fin");
      assert.ok(ms > 700 && ms < 2_000, `${ms} ms`);
    }),
  );
});

onEachArtefact("a broker restarts 20 times behind a living sluice: the next client is served at once, nothing is left over", NEEDS, async (t, artefact) => {
  const broker = await startMosquitto();
  t.after(() => broker.stop());
  const { sluice, port } = await startFront(t, artefact, { words: brokerUrls(broker) });
  const before = await openSession(t, port);
  await before.close();
  await sluice.waitForEvent("client.close");
  const descriptors = sluice.descriptorCount();
  for (let i = 0; i < 20; i++) {
    const clients = await Promise.all(names(5).map((clientId) => openSession(t, port, { clientId })));
    const ends = clients.map((client) => client.expectEnd(1_000));
    await broker.kill();
    await Promise.all(ends);
    await broker.start();
  }
  await openSession(t, port).then((client) => client.close());
  await until(() => sluice.descriptorCount() <= descriptors, 6_000, `${descriptors} descriptors as before`);
});
