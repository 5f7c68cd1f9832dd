import assert from "node:assert/strict";
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import { until, within } from "../support/deadline.ts";
import { needs, startMosquitto, type Mosquitto } from "../support/mosquitto.ts";
import type { TestScope } from "../support/process.ts";
import { SeededRandom } from "../support/seed.ts";
import { brokerUrls, onEachArtefact, startFront } from "./front.ts";

const NEEDS = needs("mosquitto");

const VERSIONS: Readonly<Record<string, IClientOptions>> = {
  "3.1": { protocolVersion: 3, protocolId: "MQIsdp" },
  "3.1.1": { protocolVersion: 4 },
  "5": { protocolVersion: 5 },
};

interface Message {
  readonly topic: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly payload: Buffer;
}

/** An MQTT.js client that keeps what it gets. */
async function connect(t: TestScope, port: number, options: IClientOptions): Promise<{ client: MqttClient; messages: Message[] }> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0, connectTimeout: 10_000, ...options }, false);
  t.after(() => client.endAsync(true));
  const messages: Message[] = [];
  client.on("message", (topic, payload, { qos, retain }) => messages.push({ topic, qos, retain, payload }));
  return { client, messages };
}

async function startBroker(t: TestScope): Promise<Mosquitto> {
  const broker = await startMosquitto();
  t.after(() => broker.stop());
  return broker;
}

const brief = ({ topic, qos, payload }: Message): string => `${topic} ${qos} ${payload}`;

for (const [version, options] of Object.entries(VERSIONS)) {
  onEachArtefact(`MQTT.js, MQTT ${version}: QoS 0, 1 and 2 up and down, and wildcards`, NEEDS, async (t, artefact) => {
    const broker = await startBroker(t);
    const { sluice, port } = await startFront(t, artefact, { words: brokerUrls(broker) });
    const filters = ["A/#", "A/+", "A/+/#"] as const;
    const subscribers = await Promise.all(filters.map((_, i) => connect(t, port, { ...options, clientId: `sub-${i}` })));
    await Promise.all(subscribers.map(({ client }, i) => client.subscribeAsync([filters[i]!, "end"], { qos: 2 })));
    const { client: publisher } = await connect(t, port, { ...options, clientId: "pub" });
    for (const qos of [0, 1, 2] as const) {
      for (const topic of ["A", "A/b", "A/b/c", "B/b"]) await publisher.publishAsync(topic, `${qos}`, { qos });
    }
    await publisher.publishAsync("end", "", { qos: 2 });
    for (const [i, topics] of [["A", "A/b", "A/b/c"], ["A/b"], ["A/b", "A/b/c"]].entries()) {
      const { messages } = subscribers[i]!;
      await until(() => messages.at(-1)?.topic === "end", 10_000, "the last message");
      const expected = [0, 1, 2].flatMap((qos) => topics.map((topic) => `${topic} ${qos} ${qos}`));
      // brokers keep the order of one QoS, not that of all together
      assert.deepEqual(messages.map(brief).sort(), [...expected, "end 2 "].sort(), filters[i]);
    }
    const opened = await sluice.waitForEvent("client.open", (line) => line["client.id"] === "pub");
    assert.equal(opened["mqtt.version"], version);
  });

  onEachArtefact(`MQTT.js, MQTT ${version}: retained messages and wills`, NEEDS, async (t, artefact) => {
    const broker = await startBroker(t);
    const { port } = await startFront(t, artefact, { words: brokerUrls(broker) });
    const will = { topic: "wills/lost", payload: Buffer.from("lost"), qos: 1, retain: true } as const;
    const lost = await connect(t, port, { ...options, clientId: "lost", will });
    const polite = await connect(t, port, { ...options, clientId: "polite", will: { ...will, topic: "wills/polite" } });
    await polite.client.publishAsync("kept", "for later", { qos: 1, retain: true });
    await polite.client.endAsync();
    await until(() => broker.log.includes("Client polite disconnected"), 10_000, "the broker to read the DISCONNECT");
    lost.client.stream.destroy();

    const watcher = await connect(t, port, { ...options, clientId: "watcher" });
    await watcher.client.subscribeAsync(["wills/#", "kept"], { qos: 1 });
    await until(() => watcher.messages.length === 2, 10_000, "two messages");
    await watcher.client.publishAsync("wills/end", "", { qos: 1 });
    await until(() => watcher.messages.at(-1)?.topic === "wills/end", 10_000, "the last message");
    assert.deepEqual(watcher.messages.map(brief).sort(), ["kept 1 for later", "wills/end 1 ", "wills/lost 1 lost"]);
    assert.equal(watcher.messages.find(({ topic }) => topic === "kept")?.retain, true);
  });
}

onEachArtefact("MQTT.js: payloads of 0 bytes and of 8 MB, up and down, byte for byte", NEEDS, async (t, artefact) => {
  const broker = await startBroker(t);
  const { port } = await startFront(t, artefact, { words: brokerUrls(broker) });
  const large = Buffer.from(new SeededRandom(88).bytes(8 * 1024 * 1024));
  const { client, messages } = await connect(t, port, { protocolVersion: 5, clientId: "both" });
  await client.subscribeAsync("A/#", { qos: 2 });
  for (const qos of [0, 1, 2] as const) {
    await within(20_000, client.publishAsync(`A/large/${qos}`, large, { qos }), "a large message to be published");
    await client.publishAsync(`A/empty/${qos}`, "", { qos });
  }
  await until(() => messages.length === 6, 20_000, "six messages");
  for (const { topic, payload } of messages) {
    assert.equal(Buffer.compare(payload, topic.startsWith("A/large") ? large : Buffer.alloc(0)), 0, topic);
  }
});
