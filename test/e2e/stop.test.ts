import assert from "node:assert/strict";
import * as m from "../support/mqtt_bytes.ts";
import type { SluiceProcess, TestScope } from "../support/process.ts";
import { RawBroker } from "../support/raw_broker.ts";
import { RawClient } from "../support/raw_client.ts";
import { brokerUrls, onEachArtefact, startFront, type FrontOptions } from "./front.ts";
import { elapsed } from "./sessions.ts";

const SHUTTING_DOWN = m.hex("e0 02 8b 00");

interface Stage {
  readonly sluice: SluiceProcess;
  readonly port: number;
  /** An open session, seen from both ends. */
  open(fields: m.ConnectFields): Promise<{ client: RawClient; broker: RawClient }>;
}

async function setUp(t: TestScope, artefact: readonly string[], options: FrontOptions = {}): Promise<Stage> {
  const rawBroker = await RawBroker.start(t);
  const { sluice, port } = await startFront(t, artefact, { mayEnd: true, ...options, words: brokerUrls(rawBroker) });
  return {
    sluice,
    port,
    async open(fields) {
      const client = await RawClient.open({ port });
      t.after(() => client.close());
      const connect = m.connect(fields);
      await client.send(connect);
      const broker = await rawBroker.accept();
      await broker.expect(connect);
      const connack = m.connack({ version: fields.version ?? 4 });
      await broker.send(connack);
      await client.expect(connack);
      return { client, broker };
    },
  };
}

/** It ended by itself, well, and said so. */
async function assertEndedWell(sluice: SluiceProcess, milliseconds: number): Promise<void> {
  assert.deepEqual(await sluice.child.ended(milliseconds), { code: 0, signal: null });
  assert.ok(sluice.log().some((line) => line.event === "drain.end"), sluice.child.transcript());
}

const asConfig = (drainTimeout: string): FrontOptions => ({ config: `[limits]\ndrain_timeout = "${drainTimeout}"\n` });

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  onEachArtefact(`${signal}: MQTT 5 clients get DISCONNECT 0x8B, new ones are not accepted, exit code 0`, {}, async (t, artefact) => {
    const { sluice, port, open } = await setUp(t, artefact);
    const sessions = [await open({ version: 5, clientId: "a" }), await open({ version: 5, clientId: "b" })];
    sluice.child.signal(signal);
    for (const { client, broker } of sessions) {
      await client.expect(SHUTTING_DOWN);
      assert.equal(await client.expectEndWithoutData(), "fin");
      // the will stays the broker's affair: no DISCONNECT is made up towards it
      assert.equal(await broker.expectEndWithoutData(), "fin");
      broker.end();
    }
    await assert.rejects(RawClient.open({ port }));
    await assertEndedWell(sluice, 5_000);
    const closes = sluice.log().filter((line) => line.event === "client.close");
    assert.deepEqual(closes.map((line) => line["reason"]), ["shutting_down", "shutting_down"]);
  });
}

onEachArtefact("SIGTERM: MQTT 3.1 and 3.1.1 sessions go on until drain_timeout, then are closed", { atOnce: true }, async (t, artefact) => {
  const { sluice, port, open } = await setUp(t, artefact, asConfig("1500ms"));
  const sessions = [await open({ version: 3, clientId: "old" }), await open({ version: 4 })];
  const ended = elapsed(() => Promise.all(sessions.map(({ client }) => client.expectEnd())));
  sluice.child.signal("SIGTERM");
  await sluice.waitForEvent("drain.start");
  await assert.rejects(RawClient.open({ port }));
  for (const { client, broker } of sessions) {
    await client.send(m.pingreq());
    await broker.expect(m.pingreq());
    await broker.send(m.publish());
    await client.expect(m.publish());
  }
  const ms = await ended;
  assert.ok(ms > 1_300 && ms < 4_000, `${ms} ms`);
  for (const { broker } of sessions) await broker.expectEnd();
  await assertEndedWell(sluice, 5_000);
});

onEachArtefact("SIGTERM: when the last session leaves by itself, the end is at once", {}, async (t, artefact) => {
  const { sluice, open } = await setUp(t, artefact, asConfig("60s"));
  const { client, broker } = await open({ version: 4 });
  sluice.child.signal("SIGTERM");
  await sluice.waitForEvent("drain.start");
  await client.send(m.disconnect());
  client.end();
  await broker.expect(m.disconnect());
  await assertEndedWell(sluice, 3_000);
});

onEachArtefact("SIGTERM: DISCONNECT 0x8B stands behind the packet that is half way, and nothing behind that", {}, async (t, artefact) => {
  const { sluice, open } = await setUp(t, artefact);
  const { client, broker } = await open({ version: 5 });
  const packet = m.publish({ version: 5, payload: new Uint8Array(100_000).fill(7) });
  await broker.send(packet.subarray(0, 50_000));
  await client.expect(packet.subarray(0, 50_000));
  sluice.child.signal("SIGTERM");
  await sluice.waitForEvent("drain.start");
  await client.expectSilence(50);
  await broker.send(m.bytes(packet.subarray(50_000), m.publish({ version: 5, topic: "too late" })));
  await client.expect(m.bytes(packet.subarray(50_000), SHUTTING_DOWN));
  assert.equal(await client.expectEndWithoutData(), "fin");
  await broker.expectEnd();
  await assertEndedWell(sluice, 5_000);
});

onEachArtefact("SIGTERM: a slow reader gets the whole of a large packet, then DISCONNECT 0x8B", {}, async (t, artefact) => {
  const { sluice, open } = await setUp(t, artefact);
  const { client, broker } = await open({ version: 5 });
  const packet = m.publish({ version: 5, payload: new Uint8Array(32 * 1024 * 1024).fill(7) });
  const sent = broker.send(packet, 20_000);
  await client.expect(packet.subarray(0, 1_000));
  client.stopReading();
  // the packet is larger than all buffers together: most of it is still at the broker
  sluice.child.signal("SIGTERM");
  await sluice.waitForEvent("drain.start");
  client.resumeReading();
  await sent;
  const rest = packet.subarray(1_000);
  assert.equal(Buffer.compare(await client.take(rest.length, 20_000), rest), 0);
  await client.expect(SHUTTING_DOWN);
  assert.equal(await client.expectEndWithoutData(), "fin");
  await broker.expectEnd();
  await assertEndedWell(sluice, 5_000);
});

onEachArtefact("SIGTERM: a client between CONNECT and CONNACK is refused in its own words", {}, async (t, artefact) => {
  const broker = await RawBroker.start(t);
  const { sluice, port } = await startFront(t, artefact, { mayEnd: true, words: brokerUrls(broker) });
  const waiting: [RawClient, Uint8Array][] = [];
  for (const [version, refusal] of [[4, m.hex("20 02 00 03")], [5, m.hex("20 03 00 88 00")]] as const) {
    const client = await RawClient.open({ port });
    t.after(() => client.close());
    await client.send(m.connect({ version }));
    await broker.accept();
    waiting.push([client, refusal]);
  }
  sluice.child.signal("SIGTERM");
  for (const [client, refusal] of waiting) {
    await client.expect(refusal);
    await client.expectEndWithoutData();
  }
  await assertEndedWell(sluice, 3_000);
});

onEachArtefact("a second signal ends everything at once, with exit code 0", {}, async (t, artefact) => {
  const { sluice, open } = await setUp(t, artefact, asConfig("60s"));
  const { client, broker } = await open({ version: 4 });
  sluice.child.signal("SIGTERM");
  await sluice.waitForEvent("drain.start");
  await client.expectSilence(50);
  const ends = elapsed(() => Promise.all([client.expectEnd(), broker.expectEnd(), sluice.child.exited]));
  sluice.child.signal("SIGINT");
  assert.ok((await ends) < 2_000);
  assert.deepEqual(sluice.child.exit, { code: 0, signal: null });
});

onEachArtefact("SIGHUP says that there is nothing to reload yet, and harms nobody", {}, async (t, artefact) => {
  const { sluice, open } = await setUp(t, artefact, { mayEnd: false });
  const { client, broker } = await open({ version: 4 });
  sluice.child.signal("SIGHUP");
  const line = await sluice.waitForEvent("config.warning");
  assert.match(String(line["msg"]), /SIGHUP.*restart/);
  await client.send(m.pingreq());
  await broker.expect(m.pingreq());
  await open({ version: 5, clientId: "new" });
});
