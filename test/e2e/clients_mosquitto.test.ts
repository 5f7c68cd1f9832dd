import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { pause, until } from "../support/deadline.ts";
import { needs, startMosquitto } from "../support/mosquitto.ts";
import * as m from "../support/mqtt_bytes.ts";
import { ARTEFACTS } from "../support/process.ts";
import { RawBroker } from "../support/raw_broker.ts";
import { RawClient } from "../support/raw_client.ts";
import { SeededRandom } from "../support/seed.ts";
import { brokerUrls, onEachArtefact, startFront, writeTemporary } from "./front.ts";
import { publish, received, subscribe, VERSIONS } from "./mosquitto_clients.ts";

const NEEDS = needs("mosquitto", "mosquitto_pub", "mosquitto_sub");
const EIGHT_MEGABYTES = 8 * 1024 * 1024;

for (const version of VERSIONS) {
  onEachArtefact(`mosquitto_pub and mosquitto_sub, ${version}: QoS 0, 1 and 2 up and down`, NEEDS, async (t, artefact) => {
    const broker = await startMosquitto();
    t.after(() => broker.stop());
    const { port } = await startFront(t, artefact, { words: brokerUrls(broker) });
    const target = { port, version };
    const subscribers = await Promise.all(
      [0, 1, 2].map((qos) => subscribe(t, broker, target, { id: `sub-${qos}`, filters: ["A/#"], qos, count: 3 })),
    );
    for (const qos of [0, 1, 2]) await publish(target, ["-t", `A/${qos}`, "-q", String(qos), "-m", `sent with ${qos}`]);
    for (const [subscribed, child] of subscribers.entries()) {
      const expected = [0, 1, 2].map((qos) => `A/${qos} ${Math.min(qos, subscribed)} 0 sent with ${qos}`);
      assert.deepEqual(await received(child), expected, `subscribed with QoS ${subscribed}`);
    }
  });
}

onEachArtefact("wildcard subscriptions A/#, A/+ and A/+/# get what they ask for", NEEDS, async (t, artefact) => {
  const broker = await startMosquitto();
  t.after(() => broker.stop());
  const { port } = await startFront(t, artefact, { words: brokerUrls(broker) });
  const expected = { "A/#": ["A", "A/b", "A/b/c", "A/b/c/d"], "A/+": ["A/b"], "A/+/#": ["A/b", "A/b/c", "A/b/c/d"] };
  const children = await Promise.all(
    Object.entries(expected).map(([filter, topics], i) =>
      subscribe(t, broker, { port }, { id: `sub-${i}`, filters: [filter, "end"], qos: 1, count: topics.length + 1, format: "%t" }),
    ),
  );
  for (const topic of ["A", "A/b", "AA/b", "A/b/c", "B/b", "A/b/c/d", "end"]) await publish({ port }, ["-t", topic, "-q", "1", "-m", topic]);
  for (const [i, topics] of Object.values(expected).entries()) {
    assert.deepEqual(await received(children[i]!), [...topics, "end"]);
  }
});

onEachArtefact("retained messages meet later subscribers, until an empty one clears them", NEEDS, async (t, artefact) => {
  const broker = await startMosquitto();
  t.after(() => broker.stop());
  const { port } = await startFront(t, artefact, { words: brokerUrls(broker) });
  await publish({ port }, ["-t", "A/kept", "-q", "1", "-r", "-m", "kept"]);
  await publish({ port }, ["-t", "A/cleared", "-q", "1", "-r", "-m", "gone"]);
  await publish({ port }, ["-t", "A/cleared", "-q", "1", "-r", "-n"]);
  const child = await subscribe(t, broker, { port }, { id: "late", filters: ["A/#"], qos: 1, count: 2 });
  await publish({ port }, ["-t", "A/live", "-q", "1", "-m", "live"]);
  assert.deepEqual(await received(child), ["A/kept 1 1 kept", "A/live 1 0 live"]);
});

onEachArtefact("a will is published when its client is killed, and not when it says DISCONNECT", NEEDS, async (t, artefact) => {
  const broker = await startMosquitto();
  t.after(() => broker.stop());
  const { port } = await startFront(t, artefact, { words: brokerUrls(broker) });
  const watcher = await subscribe(t, broker, { port }, { id: "watcher", filters: ["wills/#"], qos: 1, count: 2 });
  const leave = async (id: string, signal: "SIGTERM" | "SIGKILL"): Promise<void> => {
    const words = ["--will-topic", `wills/${id}`, "--will-payload", `${id} is gone`, "--will-qos", "1"];
    const child = await subscribe(t, broker, { port }, { id, filters: ["nothing"], words });
    child.signal(signal); // mosquitto_sub says DISCONNECT on SIGTERM
    await until(() => new RegExp(`Client ${id} (disconnected|closed)`).test(broker.log), 10_000, `the end of ${id}`);
  };
  await leave("polite", "SIGTERM");
  await leave("killed", "SIGKILL");
  await publish({ port }, ["-t", "wills/end", "-q", "1", "-m", "end"]);
  assert.deepEqual(await received(watcher), ["wills/killed 1 0 killed is gone", "wills/end 1 0 end"]);
});

onEachArtefact("a client whose connection is reset: what it said arrives, DISCONNECT too, and else its will, also while the broker does not read", NEEDS, async (t, artefact) => {
  const broker = await startMosquitto();
  t.after(() => broker.stop());
  const { port } = await startFront(t, artefact, { words: brokerUrls(broker) });
  const watcher = await subscribe(t, broker, { port }, { id: "watcher", filters: ["said"], qos: 1, count: 9 });
  const publishes = [1, 2, 3].map((packetId) => m.publish({ topic: "said", payload: String(packetId), qos: 1, packetId }));
  const words = { silent: [], talker: publishes, polite: [...publishes, m.disconnect()] };
  for (const [clientId, packets] of Object.entries(words)) {
    const client = await RawClient.open({ port });
    await client.send(m.connect({ clientId, will: { topic: "said", payload: `will of ${clientId}`, qos: 1 } }));
    await client.expect(m.connack());
    broker.freeze(); // a reset would overtake what it has not read
    if (packets.length > 0) await client.send(m.bytes(...packets));
    client.reset();
    await pause(100);
    broker.thaw();
    await until(() => new RegExp(`Client ${clientId} (disconnected|closed)`).test(broker.log), 10_000, `the end of ${clientId}`);
  }
  await publish({ port }, ["-t", "said", "-q", "1", "-m", "end"]);
  const said = ["will of silent", "1", "2", "3", "will of talker", "1", "2", "3", "end"];
  assert.deepEqual(await received(watcher), said.map((payload) => `said 1 0 ${payload}`));
});

onEachArtefact("a client's reset behind CONNECT alone is one at the broker, and behind more an end in order", {}, async (t, artefact) => {
  const broker = await RawBroker.start(t);
  const { port } = await startFront(t, artefact, { words: brokerUrls(broker) });
  for (const packets of [[], [m.pingreq()]]) {
    const client = await RawClient.open({ port });
    await client.send(m.connect());
    const connection = await broker.accept();
    await connection.expect(m.connect());
    await connection.send(m.connack());
    await client.expect(m.connack());
    for (const packet of packets) {
      await client.send(packet);
      await connection.expect(packet);
    }
    client.reset();
    const knowsReset = artefact !== ARTEFACTS.deno;
    assert.equal(await connection.expectEnd(), packets.length === 0 && knowsReset ? "reset" : "fin");
  }
});

onEachArtefact("payloads of 0 bytes and of 8 MB arrive byte for byte", NEEDS, async (t, artefact) => {
  const broker = await startMosquitto();
  t.after(() => broker.stop());
  const { port } = await startFront(t, artefact, { words: brokerUrls(broker) });
  const payload = new SeededRandom(8).bytes(EIGHT_MEGABYTES);
  const path = writeTemporary(t, { sent: payload });
  const large = { id: "large", filters: ["A/large"], qos: 1, count: 1, format: "%p", words: ["-N"], file: path("got") };
  const children = [
    await subscribe(t, broker, { port }, large),
    await subscribe(t, broker, { port }, { id: "empty", filters: ["A/empty"], qos: 1, count: 1, format: "%t %l" }),
  ] as const;
  await publish({ port }, ["-t", "A/large", "-q", "1", "-f", path("sent")]);
  await publish({ port }, ["-t", "A/empty", "-q", "1", "-n"]);
  assert.deepEqual(await received(children[1]), ["A/empty 0"]);
  await received(children[0]);
  assert.equal(Buffer.compare(readFileSync(path("got")), payload), 0);
});
