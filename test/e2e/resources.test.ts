import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { resolve } from "node:path";
import { answer, RecordingBroker, type BrokerOptions } from "../abuse/recording_broker.ts";
import { eachOf } from "../abuse/speak.ts";
import { pause, until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { ARTEFACTS, type SluiceProcess, type TestScope } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";
import { onEachArtefact, startFront, withOpenFiles } from "./front.ts";

/** Memory, descriptors and processor time of the artefacts under abuse, as the operating system counts them. */

const MEBIBYTE = 1_048_576;
const MEGABYTE = m.publish({ topic: "big", payload: new Uint8Array(1_000_000) });

interface Stage {
  readonly sluice: SluiceProcess;
  readonly port: number;
  readonly broker: RecordingBroker;
  readonly tls: boolean;
}

const TLS_FILES = { cert: "test/fixtures/tls/server.pem", key: "test/fixtures/tls/server.key" };
/** For a broker. */
const tlsMaterial = () => ({ cert: readFileSync(TLS_FILES.cert, "utf8"), key: readFileSync(TLS_FILES.key, "utf8") });

async function setUp(
  t: TestScope,
  artefact: readonly string[],
  options: { limits?: string; tls?: boolean; broker?: BrokerOptions; openFilesMax?: number } = {},
): Promise<Stage> {
  const broker = await RecordingBroker.start({ records: false, ...options.broker });
  t.after(() => broker.close());
  const tls = options.tls === true;
  const toTls = options.broker?.tls !== undefined;
  const pool = [`brokers = ["${toTls ? "mqtts" : "mqtt"}://127.0.0.1:${broker.port}"]`, ...(toTls ? [`tls = { ca = "${resolve("test/fixtures/tls/ca.pem")}" }`] : [])];
  const command = options.openFilesMax === undefined ? artefact : withOpenFiles(artefact, options.openFilesMax);
  const { sluice, port } = await startFront(t, command, {
    config: `[limits]\n${options.limits ?? ""}\n[pools.default]\n${pool.join("\n")}\n`,
    ...(tls && { listen: "mqtts://127.0.0.1:0", words: ["--cert", TLS_FILES.cert, "--key", TLS_FILES.key] }),
  });
  const stage = { sluice, port, broker, tls };
  for (let count = 0; count < 20; count++) await canary(stage);
  return stage;
}

const open = ({ port, tls }: Stage): Promise<RawClient> => RawClient.open({ port, ...(tls && { tls: {} }) });

async function canary(stage: Stage): Promise<number> {
  const begin = performance.now();
  const client = await open(stage);
  await client.send(m.bytes(m.connect({ clientId: "canary" }), m.publish({ qos: 1, packetId: 7 })));
  await client.expect(m.bytes(m.connack(), m.puback(7)));
  await client.send(m.disconnect());
  await client.expectEnd();
  await client.close();
  return performance.now() - begin;
}

async function session(stage: Stage, clientId: string): Promise<{ client: RawClient; broker: Awaited<ReturnType<RecordingBroker["connection"]>> }> {
  const index = stage.broker.connections.length;
  const client = await open(stage);
  await client.send(m.connect({ clientId, keepAliveSeconds: 0 }));
  await client.expect(m.connack());
  return { client, broker: await stage.broker.connection(index) };
}

/** The most memory that it had while the work went on, above what it had before. */
async function growthDuring(sluice: SluiceProcess, work: () => Promise<void>): Promise<number> {
  const base = sluice.residentBytes();
  let most = base;
  const timer = setInterval(() => (most = Math.max(most, sluice.residentBytes())), 20);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return Math.max(most, sluice.residentBytes()) - base;
}

async function stuck(taken: () => number): Promise<void> {
  for (let before = -1; taken() !== before; await pause(300)) before = taken();
}

/** Far below what is pushed, far above what garbage collectors leave lying about. */
const GROWTH_MAX = 64 * MEBIBYTE;
const PUSHED = 200;
/** Try without when Deno is updated: 200 MB made it grow by 245 to 287 MiB, with TLS on either side. */
const DENO_TLS_READS_ON = "node:tls of Deno 2.9.6 goes on reading while its socket is paused: there is no back-pressure";

for (const [over, options] of [["TCP", {}], ["TLS", { tls: true }], ["from a TLS broker", { broker: { tls: tlsMaterial() } }]] as const) {
  onEachArtefact(`R4, R6: 200 MB for a subscriber that never reads: memory stays, others keep their rate, it is cut (${over})`, { atOnce: true }, async (t, artefact) => {
    if ("broker" in options && artefact === ARTEFACTS.deno) return t.skip(DENO_TLS_READS_ON);
    const stage = await setUp(t, artefact, { ...options, limits: 'stall_timeout = "3s"' });
    const frozen = await session(stage, "frozen");
    frozen.client.stopReading();
    const other = await session(stage, "other");
    const growth = await growthDuring(stage.sluice, async () => {
      for (let count = 0; count < PUSHED; count++) frozen.broker.send(MEGABYTE);
      await stuck(() => frozen.broker.socket.writableLength);
      for (let count = 0; count < 50; count++) other.broker.send(MEGABYTE);
      await other.client.take(50 * MEGABYTE.length, 10_000);
    });
    assert.ok(growth < GROWTH_MAX, `grew by ${Math.round(growth / MEBIBYTE)} MiB`);
    assert.ok(frozen.broker.socket.writableLength > 100_000_000 || frozen.broker.isClosed, "the broker feels it");
    const line = await stage.sluice.waitForEvent("client.close", (one) => one["client.id"] === "frozen", 10_000);
    assert.equal(line["reason"], "client_stalled");
    await canary(stage);
    await Promise.all([frozen.client.close(), other.client.close()]);
  });
}

for (const tls of [false, true]) {
  const over = tls ? "TLS" : "TCP";
  onEachArtefact(`R5, R6: 200 MB for a broker that never reads: memory stays, the client is held up, the session is cut (${over})`, { atOnce: true }, async (t, artefact) => {
    if (tls && artefact === ARTEFACTS.deno) return t.skip(DENO_TLS_READS_ON);
    const stage = await setUp(t, artefact, { tls, limits: 'stall_timeout = "3s"' });
    const { client, broker } = await session(stage, "talker");
    broker.socket.pause();
    const growth = await growthDuring(stage.sluice, async () => {
      for (let count = 0; count < PUSHED; count++) client.socket.write(MEGABYTE);
      await stuck(() => client.socket.writableLength);
    });
    assert.ok(growth < GROWTH_MAX, `grew by ${Math.round(growth / MEBIBYTE)} MiB`);
    const line = await stage.sluice.waitForEvent("client.close", (one) => one["client.id"] === "talker", 10_000);
    assert.equal(line["reason"], "broker_stalled");
    await canary(stage);
    await client.close();
  });
}

onEachArtefact("R1: 2,000 silent connections are closed at the deadline, and honest clients are served throughout", { atOnce: true }, async (t, artefact) => {
  const stage = await setUp(t, artefact, { limits: 'connect_timeout = "3s"' });
  const descriptors = stage.sluice.descriptorCount();
  const clients: RawClient[] = [];
  await eachOf(Array.from({ length: 2_000 }), 50, async () => void clients.push(await open(stage)));
  let slowest = 0;
  const begin = performance.now();
  while (performance.now() - begin < 1_500) slowest = Math.max(slowest, await canary(stage));
  await Promise.all(clients.map((client) => client.expectEndWithoutData(8_000)));
  assert.ok(slowest < 1_000, `the slowest canary took ${slowest} ms`);
  await until(() => stage.sluice.descriptorCount() <= descriptors, 5_000, `the descriptors to be ${descriptors} again`);
  await canary(stage);
});

onEachArtefact("R9: 1,000 clients against 256 descriptors: the rest is turned away, the processor idles, and it recovers", {}, async (t, artefact) => {
  const stage = await setUp(t, artefact, { openFilesMax: 256, limits: 'connect_timeout = "2s"' });
  const clients: RawClient[] = [];
  let served = 0;
  await eachOf(Array.from({ length: 1_000 }, (_, index) => index), 50, async (index) => {
    const client = await open(stage).catch(() => undefined);
    if (client === undefined) return;
    clients.push(client);
    await client.send(m.connect({ clientId: `many-${index}`, keepAliveSeconds: 0 })).catch(() => {});
    const connack = await client.takePacket(5_000).catch(() => undefined);
    if (connack?.body[1] === 0) served++;
    else await client.close();
  });
  assert.ok(served > 50 && served < 128, `${served} clients were served`);
  assert.ok(stage.sluice.descriptorCount() < 256);
  const before = stage.sluice.processorMs();
  await pause(1_000);
  const used = stage.sluice.processorMs() - before;
  assert.ok(used < 300, `${used} ms of processor time in a second of rest`);
  await Promise.all(clients.map((client) => client.close()));
  await until(async () => (await canary(stage).catch(() => -1)) > 0, 5_000, "it to serve again");
});

/** One connection that is opened and closed: cheaper than a RawClient. */
function touch(port: number, first: Uint8Array | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp({ host: "127.0.0.1", port, noDelay: true });
    const timer = setTimeout(() => reject(new Error("a connection was not closed within 10 s")), 10_000);
    socket.on("connect", () => (first === undefined ? socket.end() : socket.write(first)));
    socket.on("data", () => {});
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

async function flatUnder(stage: Stage, count: number, first: () => Uint8Array | undefined): Promise<void> {
  const { sluice, port } = stage;
  const wave = (length: number): Promise<void> => eachOf(Array.from({ length }), 32, () => touch(port, first()));
  await wave(count / 5); // heaps and buffers grow to their working size
  const descriptors = sluice.descriptorCount();
  const base = sluice.residentBytes();
  const end = performance.now() + 60_000;
  for (let done = 0; done < count && performance.now() < end; done += 1_000) await wave(1_000);
  const growth = sluice.residentBytes() - base;
  assert.ok(growth < 24 * MEBIBYTE, `grew by ${Math.round(growth / MEBIBYTE)} MiB over ${count} connections`);
  await until(() => sluice.descriptorCount() <= descriptors, 5_000, `the descriptors to be ${descriptors} again`);
  await canary(stage);
}

/** With little room for garbage, so that what grows is what is kept. */
function withSmallHeap(artefact: readonly string[]): readonly string[] {
  const flags = ["--max-old-space-size=64", "--max-semi-space-size=1"];
  if (artefact === ARTEFACTS.node) return [...artefact.slice(0, 1), ...flags, ...artefact.slice(1)];
  if (artefact === ARTEFACTS.deno) return [...artefact.slice(0, 2), `--v8-flags=${flags.join(",")}`, ...artefact.slice(2)];
  return artefact;
}

const isNative = (artefact: readonly string[]): boolean => artefact === ARTEFACTS.bun;

onEachArtefact("R10: connections that open and close by the ten thousand leave memory and descriptors as they were", {}, async (t, artefact) => {
  await flatUnder(await setUp(t, withSmallHeap(artefact)), isNative(artefact) ? 50_000 : 10_000, () => undefined);
});

onEachArtefact("R12: 10,000 malformed CONNECTs leave memory and descriptors as they were", {}, async (t, artefact) => {
  const will = { topic: "t", payload: "", properties: m.PROPERTY.user("a", "b") };
  const bad = [
    m.connect({ version: 5, properties: m.bytes(m.PROPERTY.user("a", "b"), m.PROPERTY.receiveMaximum(0)) }),
    m.connect({ version: 5, will: { ...will, properties: m.PROPERTY.receiveMaximum(1) } }),
    m.connect({ version: 5, username: "u", password: "p", trailing: [0] }),
    m.connect({ clientId: m.hex("c080") }),
    m.hex("10 80 80 80 80 01"),
    m.bytes("GET / HTTP/1.1\r\n\r\n"),
  ];
  let next = 0;
  await flatUnder(await setUp(t, withSmallHeap(artefact)), 10_000, () => bad[next++ % bad.length]);
});

onEachArtefact("R10: 5,000 whole sessions leave memory and descriptors as they were", {}, async (t, artefact) => {
  const stage = await setUp(t, withSmallHeap(artefact), { broker: { packet: answer } });
  const whole = m.bytes(m.connect(), m.publish(), m.disconnect());
  await flatUnder(stage, 5_000, () => whole);
});
