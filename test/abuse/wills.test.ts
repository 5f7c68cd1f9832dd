import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { type Mosquitto, needs, startMosquitto } from "../support/mosquitto.ts";
import type { TestScope } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";
import { seeded } from "../support/seed.ts";
import { hexOf } from "./recording_broker.ts";
import { type Rig, startRig } from "./rig.ts";

/** A real mosquitto behind sluice. */
async function start(scope: TestScope): Promise<{ rig: Rig; mosquitto: Mosquitto }> {
  const mosquitto = await startMosquitto();
  scope.after(() => mosquitto.stop());
  return { rig: await startRig(scope, { brokers: [], urls: [`mqtt://127.0.0.1:${mosquitto.port}`] }), mosquitto };
}

async function connected(port: number, fields: m.ConnectFields): Promise<RawClient> {
  const client = await RawClient.open({ port });
  await client.send(m.connect(fields));
  assert.equal((await client.takePacket()).body[1], 0);
  return client;
}

const ENDINGS: readonly [string, boolean, (client: RawClient) => Promise<void> | void][] = [
  ["DISCONNECT and FIN", false, async (client) => {
    await client.send(m.disconnect());
    client.end();
  }],
  ["DISCONNECT in one write with PINGREQ, and FIN", false, async (client) => {
    await client.send(m.bytes(m.pingreq(), m.disconnect()));
    client.end();
  }],
  ["FIN alone", true, (client) => client.end()],
  ["FIN in the middle of DISCONNECT", true, async (client) => {
    await client.send(m.hex("e0"));
    client.end();
  }],
  ["RST", true, (client) => client.reset()],
  ["a packet that is refused", true, (client) => client.send(m.hex("00 00"))],
];

test("P5: whether a will is published is as if sluice were not there", needs("mosquitto"), async (t) => {
  const { rig, mosquitto } = await start(t);
  for (const version of [3, 4, 5] as const) {
    const watcher = await connected(mosquitto.port, { clientId: "watcher" });
    await watcher.send(m.subscribe([["wills/#", 0]]));
    await watcher.takePacket();
    for (const [index, [what, published, end]] of ENDINGS.entries()) {
      const clientId = `ends-${version}-${index}`;
      const topic = `wills/${clientId}`;
      const client = await connected(rig.port, { version, clientId, will: { topic, payload: "gone" } });
      await end(client);
      const line = new RegExp(`${clientId} (disconnected|closed its connection)|Socket error on client ${clientId}`);
      await until(() => line.test(mosquitto.log), 5_000, `mosquitto to see the end of ${clientId}`);
      const marker = await connected(mosquitto.port, { clientId: "marker" });
      await marker.send(m.publish({ topic: "wills/marker", payload: "" }));
      const expected = m.bytes(published ? m.publish({ topic, payload: "gone" }) : [], m.publish({ topic: "wills/marker", payload: "" }));
      await watcher.expect(expected).catch((error: Error) => assert.fail(`${what}, version ${version}: ${error.message}`));
      await Promise.all([client.close(), marker.close()]);
    }
    await watcher.close();
  }
  await rig.settled();
});

test("P6: 1,000 take-overs of one client id: each old one ends, each new one is served, nothing is left", needs("mosquitto"), async (t) => {
  const { rig } = await start(t);
  const warm = await connected(rig.port, { clientId: "warm" });
  await warm.close();
  await rig.markBase();
  let old: RawClient | undefined;
  for (let round = 0; round < 1_000; round++) {
    const client = await connected(rig.port, { version: 5, clientId: "taken" });
    if (old !== undefined) {
      await old.expectEnd(1_000);
      const goodbye = hexOf(old.received); // some versions of mosquitto say why
      assert.ok(["nothing", "e0018e", "e0028e00"].includes(goodbye), goodbye);
      await old.close();
    }
    old = client;
  }
  await old?.send(m.pingreq());
  await old?.expect(m.pingresp());
  await old?.close();
  await rig.settled();
});

test("P6: the bytes for one of two clients with the same id never reach the other", async (t) => {
  const rig = await startRig(t);
  for (let round = 0; round < 50; round++) {
    const old = await rig.session({ clientId: "same" });
    const young = await rig.session({ clientId: "same" });
    old.broker.send(m.publish({ payload: `for the old of ${round}` }));
    young.broker.send(m.publish({ payload: `for the young of ${round}` }));
    old.broker.end();
    await old.client.expect(m.publish({ payload: `for the old of ${round}` }));
    await old.client.expectEndWithoutData(1_000);
    await young.client.expect(m.publish({ payload: `for the young of ${round}` }));
    await young.client.close();
  }
  await rig.settled();
});

test("P13: two clients that send noise on shared topics do not hurt a third", needs("mosquitto"), async (t) => {
  const { rig } = await start(t);
  await seeded(async (random) => {
    const canary = await connected(rig.port, { clientId: "canary" });
    await canary.send(m.subscribe([["canary", 0]]));
    await canary.takePacket();
    const noise = async (name: string): Promise<void> => {
      for (let round = 0; round < 60; round++) {
        const version = random.pick([3, 4, 5] as const);
        const client = await RawClient.open({ port: rig.port });
        await client.send(m.connect({ version, clientId: random.pick([name, "shared"]) }));
        const stream = m.bytes(...Array.from({ length: random.integer(1, 10) }, () => random.pick([
          () => m.publish({ version, topic: random.pick(["shared", "shared/a"]), qos: random.integer(0, 2), packetId: random.integer(0, 3), retain: random.chance(0.3) }),
          () => m.subscribe([[random.pick(["shared/#", "+", "a/+/b"]), random.integer(0, 3)]], { version }),
          () => m.pubrel(random.integer(0, 3)),
          () => random.bytes(random.integer(1, 20)),
        ])()));
        await client.send(stream).catch(() => {});
        if (random.chance(0.5)) client.end();
        else client.reset();
        await client.close();
      }
    };
    await Promise.all([noise("noisy-1"), noise("noisy-2")]);
    await canary.send(m.publish({ topic: "canary", payload: "sings" }));
    await canary.expect(m.publish({ topic: "canary", payload: "sings" }));
    await canary.close();
  });
  await rig.settled();
});
