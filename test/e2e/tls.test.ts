import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import mqtt from "mqtt";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { needs, startMosquitto, type Mosquitto } from "../support/mosquitto.ts";
import { runToEnd, type TestScope } from "../support/process.ts";
import { RawBroker } from "../support/raw_broker.ts";
import { RawClient } from "../support/raw_client.ts";
import { SeededRandom } from "../support/seed.ts";
import { brokerUrls, onEachArtefact, startFront, writeTemporary } from "./front.ts";
import { publish, received, subscribe } from "./mosquitto_clients.ts";

const NEEDS = needs("mosquitto");
const NEEDS_CLIENTS = needs("mosquitto", "mosquitto_pub", "mosquitto_sub");
const fixture = (name: string): string => resolve("test/fixtures/tls", name);
const CA = fixture("ca.pem");
const LISTENER = ["--cert", fixture("server.pem"), "--key", fixture("server.key")];
const TLS_URL = "mqtts://127.0.0.1:0";

async function startTlsBroker(t: TestScope, certificate: string): Promise<Mosquitto> {
  const broker = await startMosquitto({ tls: { cert: fixture(`${certificate}.pem`), key: fixture(`${certificate}.key`) } });
  t.after(() => broker.stop());
  return broker;
}

onEachArtefact("an mqtts listener serves clients that trust its authority, and only those", NEEDS_CLIENTS, async (t, artefact) => {
  const broker = await startMosquitto();
  t.after(() => broker.stop());
  const { sluice, port } = await startFront(t, artefact, { listen: TLS_URL, words: [...LISTENER, ...brokerUrls(broker)] });
  const trusting = { port, words: ["--cafile", CA, "-h", "localhost"] };
  const child = await subscribe(t, broker, trusting, { id: "sub", filters: ["A"], qos: 1, count: 1 });
  await publish(trusting, ["-t", "A", "-q", "1", "-m", "over TLS"]);
  assert.deepEqual(await received(child), ["A 1 0 over TLS"]);

  const distrusting = ["--cafile", fixture("self_signed.pem"), "-h", "localhost", "-p", String(port)];
  const refused = await runToEnd(["mosquitto_pub", ...distrusting, "-t", "A", "-m", "never"]);
  assert.notEqual(refused.code, 0);
  const line = await sluice.waitForEvent("client.reject", (one) => one["reason"] === "handshake_failed");
  assert.equal(line["client.address"], "127.0.0.1");
  assert.equal(line["level"], "info");
});

onEachArtefact("MQTT.js over mqtts on both sides: 1 MB both ways, byte for byte", NEEDS, async (t, artefact) => {
  const broker = await startTlsBroker(t, "server");
  const words = [...LISTENER, "--ca", CA, `mqtts://localhost:${broker.port}`];
  const { port } = await startFront(t, artefact, { listen: TLS_URL, words });
  const ca = readFileSync(CA);
  for (const protocolVersion of [4, 5] as const) {
    const client = await mqtt.connectAsync(`mqtts://localhost:${port}`, { ca, protocolVersion, reconnectPeriod: 0 }, false);
    t.after(() => client.endAsync(true));
    const payloads: Buffer[] = [];
    client.on("message", (_topic, payload) => payloads.push(payload));
    await client.subscribeAsync("A/#", { qos: 2 });
    const payload = Buffer.from(new SeededRandom(protocolVersion).bytes(1_000_000));
    for (const qos of [0, 1, 2] as const) await client.publishAsync(`A/${qos}`, payload, { qos });
    await until(() => payloads.length === 3, 10_000, "three messages");
    for (const got of payloads) assert.equal(Buffer.compare(got, payload), 0);
    await client.endAsync();
  }
});

onEachArtefact("certificate and key may be in one file, in any order, with what OpenSSL writes around them", NEEDS_CLIENTS, async (t, artefact) => {
  const broker = await startMosquitto();
  t.after(() => broker.stop());
  const [certificate, key] = [readFileSync(fixture("server.pem"), "utf8"), readFileSync(fixture("server.key"), "utf8")];
  const parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
  const bag = `Bag Attributes\n    friendlyName: server\nsubject=CN = localhost\n`;
  for (const content of [certificate + key, key + certificate, parameters + key + bag + certificate]) {
    const file = writeTemporary(t, { "both.pem": content })("both.pem");
    const { port } = await startFront(t, artefact, { listen: TLS_URL, words: ["--cert", file, "--key", file, ...brokerUrls(broker)] });
    await publish({ port, words: ["-h", "localhost", "--cafile", CA] }, ["-t", "A", "-q", "1", "-m", "hello"]);
  }
});

interface Trust {
  readonly promise: string;
  /** The broker's certificate. */
  readonly certificate: string;
  readonly words: readonly string[];
  readonly host?: string;
  /** What the log says of the refused broker; undefined: the client gets through. */
  readonly refusal?: RegExp;
}

const TRUST: readonly Trust[] = [
  { promise: "the right authority", certificate: "server", words: ["--ca", CA] },
  { promise: "the right authority, by address", certificate: "server", words: ["--ca", CA], host: "127.0.0.1" },
  { promise: "a self-signed certificate as its own authority", certificate: "self_signed", words: ["--ca", fixture("self_signed.pem")] },
  { promise: "the system's authorities alone", certificate: "server", words: [], refusal: /unknown authority|not trusted/ },
  { promise: "another authority", certificate: "server", words: ["--ca", fixture("self_signed.pem")], refusal: /unknown authority|not trusted/ },
  { promise: "a certificate for another name", certificate: "other", words: ["--ca", CA], refusal: /not for "localhost", it is for .*broker\.example/ },
  { promise: "a certificate for another name, by address", certificate: "other", words: ["--ca", CA], host: "127.0.0.1", refusal: /not for "127\.0\.0\.1"/ },
  { promise: "an expired certificate", certificate: "expired", words: ["--ca", CA], refusal: /expired/ },
];

for (const { promise, certificate, words, host = "localhost", refusal } of TRUST) {
  onEachArtefact(`an mqtts broker: ${promise} ${refusal === undefined ? "serves" : "is refused"}`, NEEDS, async (t, artefact) => {
    const broker = await startTlsBroker(t, certificate);
    const { sluice, port } = await startFront(t, artefact, { words: [...words, `mqtts://${host}:${broker.port}`] });
    for (const version of [4, 5] as const) {
      const client = await RawClient.open({ port });
      t.after(() => client.close());
      await client.send(m.connect({ version }));
      const { type, body } = await client.takePacket();
      const unavailable = version === 5 ? 0x88 : 3;
      assert.deepEqual([type, body[1]], [2, refusal === undefined ? 0 : unavailable], sluice.child.transcript());
    }
    if (refusal === undefined) return;
    const line = await sluice.waitForEvent("broker.down");
    assert.match(String(line["msg"]), refusal);
    assert.equal(line["level"], "warn");
    assert.doesNotMatch(broker.log, /Received CONNECT|New client connected/, "the broker heard a CONNECT");
  });
}

onEachArtefact("--insecure takes any broker's certificate, and warns at the start", NEEDS, async (t, artefact) => {
  for (const certificate of ["other", "expired", "self_signed"]) {
    const broker = await startTlsBroker(t, certificate);
    const { sluice, port } = await startFront(t, artefact, { words: ["--insecure", `mqtts://localhost:${broker.port}`] });
    const client = await RawClient.open({ port });
    t.after(() => client.close());
    await client.send(m.connect());
    await client.expect(m.connack());
    const line = await sluice.waitForEvent("broker.insecure");
    assert.equal(line["level"], "warn");
    assert.match(String(line["msg"]), /not verified/);
  }
});

onEachArtefact("plain MQTT on a TLS port, and TLS on a plain one: the end, and a line that says so", {}, async (t, artefact) => {
  const broker = await RawBroker.start(t);
  const config = `[[listeners]]
listen = "mqtt://127.0.0.1:0"
name = "plain"
[[listeners]]
listen = "mqtts://127.0.0.1:0"
name = "secure"
tls = { cert = "${fixture("server.pem")}", key = "${fixture("server.key")}" }
`;
  const { sluice } = await startFront(t, artefact, { listen: null, config, words: brokerUrls(broker) });
  const portOf = async (name: string): Promise<number> => (await sluice.waitForEvent("listener.start", (line) => line["listener"] === name))["port"] as number;

  const plain = await RawClient.open({ port: await portOf("secure") });
  t.after(() => plain.close());
  await plain.send(m.connect());
  await plain.expectEnd();
  const onSecure = await sluice.waitForEvent("client.reject", (line) => line["listener"] === "secure");
  assert.match(String(onSecure["msg"]), /MQTT without TLS on a listener for mqtts/);

  await assert.rejects(RawClient.open({ port: await portOf("plain"), tls: {} }));
  const onPlain = await sluice.waitForEvent("client.reject", (line) => line["listener"] === "plain");
  assert.match(String(onPlain["msg"]), /a TLS handshake on a listener without TLS/);
  assert.equal(onPlain["reason"], "wrong_protocol");
});

onEachArtefact("TLS towards a plain broker, and plain MQTT towards a TLS broker: 0x88, and a line that says why", NEEDS, async (t, artefact) => {
  const plain = await startMosquitto();
  t.after(() => plain.stop());
  const secure = await startTlsBroker(t, "server");
  for (const url of [`mqtts://127.0.0.1:${plain.port}`, `mqtt://127.0.0.1:${secure.port}`]) {
    const { sluice, port } = await startFront(t, artefact, { words: [url] });
    const client = await RawClient.open({ port });
    t.after(() => client.close());
    await client.send(m.connect({ version: 5 }));
    await client.expect(m.hex("20 03 00 88 00"), 15_000);
    // a failed dial is the broker's fault for sure; a hang-up after CONNECT may be this client's
    const line = await sluice.waitForEvent(url.startsWith("mqtts") ? "broker.down" : "client.reject");
    assert.match(String(line["msg"]), url.startsWith("mqtts") ? /does it speak TLS\?/ : /closed|reset/, String(line["msg"]));
  }
});
