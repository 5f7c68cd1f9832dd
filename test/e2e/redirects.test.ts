import assert from "node:assert/strict";
import mqtt, { type IClientOptions } from "mqtt";
import { until } from "../support/deadline.ts";
import { needs, startMosquitto } from "../support/mosquitto.ts";
import type { TestScope } from "../support/process.ts";
import { RedirectingBroker } from "../support/redirecting_broker.ts";
import { onEachArtefact, startFront } from "./front.ts";

const NEEDS = needs("mosquitto");
const VERSIONS: Readonly<Record<string, IClientOptions>> = { "3.1": { protocolVersion: 3, protocolId: "MQIsdp" }, "3.1.1": { protocolVersion: 4 }, "5": { protocolVersion: 5 } };

/** A broker that sends its clients to mosquitto, and sluice in front of both. */
async function start(t: TestScope, artefact: readonly string[], at: "connect" | "any_time") {
  const mosquitto = await startMosquitto();
  t.after(() => mosquitto.stop());
  const pointer = await RedirectingBroker.start(t, { at, to: `127.0.0.1:${mosquitto.port}` });
  const config = `[pools.default]\nbalance = "first"\nbrokers = ["mqtt://127.0.0.1:${pointer.port}", "mqtt://127.0.0.1:${mosquitto.port}"]\n`;
  return { mosquitto, pointer, front: await startFront(t, artefact, { config }) };
}

for (const [version, options] of Object.entries(VERSIONS)) {
  onEachArtefact(`MQTT.js, MQTT ${version}: a broker that sends it elsewhere is followed for it`, NEEDS, async (t, artefact) => {
    const { mosquitto, pointer, front } = await start(t, artefact, "connect");
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${front.port}`, { ...options, clientId: "wanderer", reconnectPeriod: 0, connectTimeout: 10_000 }, false);
    t.after(() => client.endAsync(true));
    const heard: string[] = [];
    client.on("message", (_topic, payload) => heard.push(String(payload)));
    await client.subscribeAsync("here", { qos: 1 });
    await client.publishAsync("here", "arrived", { qos: 1 });
    await until(() => heard.length === 1, 5_000, "its own message");
    const line = await front.sluice.waitForEvent("client.open", (one) => one["client.id"] === "wanderer");
    assert.equal(line["broker"], `127.0.0.1:${mosquitto.port}`);
    assert.deepEqual(pointer.versions, version === "5" ? [5] : [version === "3.1" ? 3 : 4, 5], "3.x is refused, and asked about in 5");
  });
}

onEachArtefact("MQTT.js, MQTT 5: a broker that moves its clients finds them where it sent them", NEEDS, async (t, artefact) => {
  const { mosquitto, pointer, front } = await start(t, artefact, "any_time");
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${front.port}`, { protocolVersion: 5, clientId: "wanderer", reconnectPeriod: 50, connectTimeout: 10_000 }, false);
  t.after(() => client.endAsync(true));
  const codes: (number | undefined)[] = [];
  client.on("disconnect", ({ reasonCode, properties }) => {
    codes.push(reasonCode);
    assert.equal(properties?.serverReference, undefined);
  });
  pointer.moveAll();
  const { port } = mosquitto;
  const line = await front.sluice.waitForEvent("client.open", (one) => one["broker"] === `127.0.0.1:${port}`);
  assert.equal(line["client.id"], "wanderer");
  await client.publishAsync("here", "arrived", { qos: 1 });
  assert.deepEqual(codes, [0x9c]);
});
