import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import mqtt from "mqtt";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { needs, startMosquitto, type Mosquitto, type MosquittoOptions } from "../support/mosquitto.ts";
import type { TestScope } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";
import { SeededRandom } from "../support/seed.ts";
import { onEachArtefact, startFront, type Front } from "./front.ts";

/** Sluice in front of mosquitto's own WebSocket listener (libwebsockets). */

const NEEDS = needs("mosquitto");
const fixture = (name: string): string => resolve("test/fixtures/tls", name);

/** Longer than a frame with a length of two bytes. It takes a second: this broker writes 4 KiB each 50 ms over WebSocket, to anybody. */
const LARGE = 70_000;

interface Way {
  readonly what: string;
  /** What clients speak. */
  readonly client: "mqtt" | "ws" | "wss";
  /** The broker's certificate; without one it is plain. */
  readonly certificate?: "server" | "other";
  readonly host?: string;
  /** The pool's tls. */
  readonly tls?: string;
}

const WAYS: readonly Way[] = [
  { what: "TCP to ws://", client: "mqtt" },
  { what: "ws:// to ws://", client: "ws" },
  { what: "TCP to wss:// with its authority", client: "mqtt", certificate: "server", host: "localhost", tls: `ca = "${fixture("ca.pem")}"` },
  { what: "wss:// to wss:// with its authority and another server name", client: "wss", certificate: "other", tls: `ca = "${fixture("ca.pem")}", server_name = "broker.example"` },
];

async function startBroker(t: TestScope, options: MosquittoOptions): Promise<Mosquitto> {
  const broker = await startMosquitto(options);
  t.after(() => broker.stop());
  return broker;
}

const tlsOf = (certificate: string): Required<Pick<MosquittoOptions, "tls">> => ({ tls: { cert: fixture(`${certificate}.pem`), key: fixture(`${certificate}.key`) } });

async function startWay(t: TestScope, artefact: readonly string[], { client, certificate, host = "127.0.0.1", tls }: Way): Promise<Front & { broker: Mosquitto }> {
  const broker = await startBroker(t, { protocol: "websockets", ...(certificate !== undefined && tlsOf(certificate)) });
  const config = `[[listeners]]
listen = "${client}://127.0.0.1:0"
${client === "wss" ? `tls = { cert = "${fixture("server.pem")}", key = "${fixture("server.key")}" }` : ""}
[pools.default]
brokers = ["${certificate === undefined ? "ws" : "wss"}://${host}:${broker.port}"]
${tls === undefined ? "" : `tls = { ${tls} }`}
`;
  return { ...(await startFront(t, artefact, { listen: null, config })), broker };
}

for (const way of WAYS) {
  onEachArtefact(`${way.what}: MQTT.js with QoS 0, 1 and 2, 70 kB and nothing, byte for byte`, { ...NEEDS, atOnce: true }, async (t, artefact) => {
    const { sluice, port } = await startWay(t, artefact, way);
    const url = `${way.client}://localhost:${port}${way.client === "mqtt" ? "" : "/mqtt"}`;
    for (const protocolVersion of [4, 5] as const) {
      const clientId = `js-${protocolVersion}`;
      const random = new SeededRandom(protocolVersion);
      const client = await mqtt.connectAsync(url.replace("localhost", "127.0.0.1"), { ca: readFileSync(fixture("ca.pem")), protocolVersion, clientId, reconnectPeriod: 0 }, false);
      t.after(() => client.endAsync(true));
      const got = new Map<string, Buffer>();
      client.on("message", (topic, payload) => got.set(topic, payload));
      await client.subscribeAsync("A/#", { qos: 2 });
      const sent = new Map([["A/0", 3_000], ["A/1", protocolVersion === 5 ? LARGE : 300], ["A/2", 0]].map(([topic, length]) => [topic as string, Buffer.from(random.bytes(length as number))]));
      for (const [qos, topic] of ["A/0", "A/1", "A/2"].entries()) await client.publishAsync(topic, sent.get(topic)!, { qos: qos as 0 | 1 | 2 });
      await until(() => got.size === 3, 20_000, "three messages");
      for (const [topic, payload] of got) assert.equal(Buffer.compare(payload, sent.get(topic)!), 0, topic);
      await client.endAsync();
      const line = await sluice.waitForEvent("client.open", (one) => one["client.id"] === clientId);
      assert.equal(line["transport"], way.client === "mqtt" ? undefined : way.client);
    }
  });
}

interface Mistake {
  readonly what: string;
  readonly broker: MosquittoOptions;
  readonly scheme: "ws" | "wss";
  readonly tls?: string;
  readonly says: RegExp;
}

const MISTAKES: readonly Mistake[] = [
  { what: "ws:// towards MQTT over TCP", broker: {}, scheme: "ws", says: /closed by the broker before the WebSocket was open|connection (was )?reset|the peer (has )?hung up|closed/ },
  { what: "ws:// towards TLS", broker: { protocol: "websockets", ...tlsOf("server") }, scheme: "ws", says: /closed|reset|answer/ },
  { what: "wss:// towards WebSocket without TLS", broker: { protocol: "websockets" }, scheme: "wss", tls: `ca = "${fixture("ca.pem")}"`, says: /does it speak TLS|not TLS|hung up/ },
  { what: "wss:// with another authority", broker: { protocol: "websockets", ...tlsOf("server") }, scheme: "wss", tls: `ca = "${fixture("self_signed.pem")}"`, says: /unknown authority|not trusted/ },
  { what: "wss:// for another server name", broker: { protocol: "websockets", ...tlsOf("server") }, scheme: "wss", tls: `ca = "${fixture("ca.pem")}", server_name = "broker.example"`, says: /not for "broker\.example"/ },
];

for (const { what, broker: options, scheme, tls, says } of MISTAKES) {
  onEachArtefact(`${what}: the client is told that there is no broker, and the log says why`, NEEDS, async (t, artefact) => {
    const broker = await startBroker(t, options);
    const config = `[pools.default]\nbrokers = ["${scheme}://127.0.0.1:${broker.port}"]\n${tls === undefined ? "" : `tls = { ${tls} }\n`}`;
    const { sluice, port } = await startFront(t, artefact, { config });
    const client = await RawClient.open({ port });
    t.after(() => client.close());
    await client.send(m.connect({ version: 5 }));
    const { type, body } = await client.takePacket(20_000);
    assert.deepEqual([type, body[1]], [2, 0x88], sluice.child.transcript());
    const line = await sluice.waitForEvent("client.reject");
    assert.match(String(line["msg"]), says);
    assert.doesNotMatch(broker.log, /New client connected/);
  });
}

onEachArtefact("a pool may hold brokers over TCP and over WebSocket: what one does not answer, the other does", NEEDS, async (t, artefact) => {
  const plain = await startBroker(t, {});
  const web = await startBroker(t, { protocol: "websockets" });
  const { sluice, port } = await startFront(t, artefact, { words: [`ws://127.0.0.1:${web.port}`, `mqtt://127.0.0.1:${plain.port}`] });
  const brokerOfNext = async (clientId: string): Promise<unknown> => {
    const client = await RawClient.open({ port });
    t.after(() => client.close());
    await client.send(m.connect({ clientId }));
    await client.expect(m.connack(), 20_000);
    return (await sluice.waitForEvent("client.open", (line) => line["client.id"] === clientId))["broker"];
  };
  const both = [await brokerOfNext("a"), await brokerOfNext("b")];
  assert.deepEqual(both.sort(), [`127.0.0.1:${plain.port}`, `127.0.0.1:${web.port}`].sort());
  await web.kill();
  for (const clientId of ["c", "d", "e"]) assert.equal(await brokerOfNext(clientId), `127.0.0.1:${plain.port}`);
});
