import assert from "node:assert/strict";
import { connectAsync, type MqttClient } from "mqtt";
import { startAedes } from "../support/aedes.ts";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { needs, startMosquitto, type Mosquitto } from "../support/mosquitto.ts";
import type { LogLine, TestScope } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";
import { brokerUrls, type Front, linesAbout, onEachArtefact, startFront } from "./front.ts";
import { openSession, portOf } from "./sessions.ts";

const NEEDS = needs("mosquitto");

async function startSome(t: TestScope, count: number): Promise<Mosquitto[]> {
  const brokers = await Promise.all(Array.from({ length: count }, () => startMosquitto()));
  for (const broker of brokers) t.after(() => broker.stop());
  return brokers;
}

/** A client of a broker itself, which hears what is published below `wills/`. */
async function watchWills(t: TestScope, port: number): Promise<RawClient> {
  const watcher = await openSession(t, port, { clientId: "watcher" });
  await watcher.send(m.subscribe([["wills/#", 0]]));
  await watcher.takePacket();
  return watcher;
}

const endOf = (front: Front, clientId: string, reason: string) =>
  front.sluice.waitForEvent("client.close", (line) => line["client.id"] === clientId && line["reason"] === reason);

onEachArtefact("one client id on two brokers: the newest wins, the older one hears 0x8E or a FIN, and its will is published", NEEDS, async (t, artefact) => {
  const brokers = await startSome(t, 2);
  const front = await startFront(t, artefact, { words: brokerUrls(...brokers) });
  for (const version of [5, 4] as const) {
    const [watcher] = await Promise.all(brokers.slice(0, 1).map(({ port }) => watchWills(t, port)));
    const fields = { version, clientId: `twin-${version}`, will: { topic: `wills/${version}`, payload: "gone" } };
    const older = await openSession(t, front.port, fields);
    const newer = await openSession(t, front.port, fields);
    if (version === 5) await older.expect(m.hex("e0 02 8e 00"));
    assert.equal(await older.expectEndWithoutData(), "fin");
    assert.equal(portOf(await endOf(front, fields.clientId, "session_taken_over")), brokers[0]?.port);
    await (watcher as RawClient).expect(m.publish({ topic: `wills/${version}`, payload: "gone" }));
    await newer.send(m.pingreq());
    await newer.expect(m.pingresp());
  }
});

onEachArtefact("aedes beside mosquitto: a client id is taken over from either to the other, and whom mosquitto refuses takes nothing over", NEEDS, async (t, artefact) => {
  const aedes = await startAedes(t);
  const mosquitto = await startMosquitto({ users: { good: "secret" } });
  t.after(() => mosquitto.stop());
  const front = await startFront(t, artefact, { words: brokerUrls(aedes, mosquitto) });
  const fields = { clientId: "twin", username: "good", password: "secret" };
  const onAedes = await openSession(t, front.port, fields);
  const onMosquitto = await openSession(t, front.port, fields);
  await onAedes.expectEndWithoutData();
  const again = await openSession(t, front.port, fields);
  await onMosquitto.expectEndWithoutData();
  const hostile = await RawClient.open({ port: front.port });
  t.after(() => hostile.close());
  await hostile.send(m.connect({ clientId: "twin", username: "good", password: "guessed" }));
  assert.equal((await hostile.takePacket()).body[1], 5, "mosquitto's turn, and it knows better");
  await again.send(m.pingreq());
  await again.expect(m.pingresp());
});

onEachArtefact("clear_sessions: a session with a waiting message on A, a clean start on B, back on A: nothing is left", NEEDS, async (t, artefact) => {
  const [a, b] = (await startSome(t, 2)) as [Mosquitto, Mosquitto];
  const config = `[pools.default]\nbrokers = ${JSON.stringify(brokerUrls(a, b))}\naffinity = "session"\nclear_sessions = true\n`;
  const front = await startFront(t, artefact, { config, logLevel: "debug" });
  const leave = async (client: RawClient) => {
    await client.send(m.disconnect());
    await client.expectEnd();
  };
  const keeper = await openSession(t, front.port, { clientId: "keeper", clean: false });
  await keeper.send(m.subscribe([["news", 1]]));
  await keeper.takePacket();
  await leave(keeper);
  const publisher = await openSession(t, a.port, { clientId: "publisher" });
  await publisher.send(m.publish({ topic: "news", qos: 1, packetId: 1 }));
  await publisher.expect(m.puback(1));
  await leave(await openSession(t, front.port, { clientId: "keeper", clean: true }));
  const line = await front.sluice.waitForEvent("session.clear");
  assert.deepEqual([portOf(line), line["client.id"]], [a.port, "keeper"]);
  assert.match(String(line["msg"]), /is ended$/);
  const back = await RawClient.open({ port: front.port });
  t.after(() => back.close());
  await back.send(m.bytes(m.connect({ clientId: "keeper", clean: false }), m.pingreq()));
  await back.expect(m.bytes(m.connack(), m.pingresp()));
  const opens = (await linesAbout(front.sluice, "client.open", 3)).map(portOf);
  assert.deepEqual(opens, [a.port, b.port, a.port]);
});

/** How many sessions each broker has, by the log. */
function shares(log: readonly LogLine[], brokers: readonly Mosquitto[]): number[] {
  const count = (event: string, port: number) => log.filter((line) => line.event === event && portOf(line) === port).length;
  return brokers.map(({ port }) => count("client.open", port) - count("client.close", port));
}

onEachArtefact("rebalance: a broker is killed and comes back, and gets its share of the living clients again, a few at a time", { ...NEEDS, atOnce: true }, async (t, artefact) => {
  const brokers = await startSome(t, 3);
  const config = `[pools.default]
brokers = ${JSON.stringify(brokerUrls(...brokers))}
health = { probe = "mqtt", interval = "200ms", fast_interval = "200ms", timeout = "1s", rise = 1, fall = 1 }
rebalance = { rate = "5/s", absolute = 1, relative = 1.0 }
`;
  const front = await startFront(t, artefact, { config });
  const clients: MqttClient[] = [];
  t.after(async () => void (await Promise.all(clients.map((client) => client.endAsync(true)))));
  for (let index = 0; index < 24; index++) {
    const protocolVersion = index % 2 === 0 ? 5 : 4;
    clients.push(await connectAsync(`mqtt://127.0.0.1:${front.port}`, { clientId: `device-${index}`, protocolVersion, reconnectPeriod: 50 }));
  }
  for (const client of clients) client.on("error", () => {});
  const now = () => shares(front.sluice.log(), brokers);
  await until(() => now().join() === "8,8,8", 5_000, "a third on each broker");
  await brokers[2]?.kill();
  const sum = () => now().reduce((all, share) => all + share, 0);
  await until(() => now()[2] === 0 && sum() === 24, 15_000, "everybody to be on the two that are left");
  await brokers[2]?.start();
  await until(() => now().every((share) => share <= 9) && sum() === 24 && clients.every(({ connected }) => connected), 20_000, "each broker to have a third again");
  const moved = front.sluice.log().filter((line) => line.event === "client.close" && line["reason"] === "rebalanced");
  assert.ok(moved.length >= 6 && moved.length <= 10, `${moved.length} moves for the six that are needed`);
  const at = moved.map((line) => Date.parse(String(line["time"])));
  for (const [index, time] of at.entries()) assert.ok(at.filter((other) => other >= time && other < time + 900).length <= 5, `more than 5 within a second of ${index}`);
});
