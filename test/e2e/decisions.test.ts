import assert from "node:assert/strict";
import { startAedes } from "../support/aedes.ts";
import { until } from "../support/deadline.ts";
import { needs, startMosquitto } from "../support/mosquitto.ts";
import * as m from "../support/mqtt_bytes.ts";
import { runToEnd, type TestScope } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";
import { linesAbout, onEachArtefact, startFront, writeTemporary } from "./front.ts";
import { brokerOf, openSession, portOf } from "./sessions.ts";

/* Where a client goes, between mosquitto and aedes. */

const NEEDS = needs("mosquitto");

async function startBoth(t: TestScope) {
  const mosquitto = await startMosquitto();
  t.after(() => mosquitto.stop());
  return { mosquitto, aedes: await startAedes(t) };
}

onEachArtefact("routes: the client id, the user name, the version and a user property lead to a pool, or to a refusal in MQTT's words", NEEDS, async (t, artefact) => {
  const { mosquitto, aedes } = await startBoth(t);
  const front = await startFront(t, artefact, {
    config: `
[[routes]]
client_id = "lab-*"
version = ["3.1.1"]
pool = "lab"
[[routes]]
name = "property"
user_property = { place = "l?b" }
refuse = "server_busy"
[[routes]]
username = "root"
refuse = "not_authorized"
[pools.default]
brokers = ["mqtt://127.0.0.1:${mosquitto.port}"]
[pools.lab]
brokers = ["mqtt://127.0.0.1:${aedes.port}"]
`,
  });
  assert.equal(await brokerOf(t, front, "lab-1"), aedes.port);
  assert.equal(await brokerOf(t, front, "other"), mosquitto.port);
  await openSession(t, front.port, { version: 5, clientId: "lab-2" });
  const [, , five] = await linesAbout(front.sluice, "client.open", 3);
  assert.equal(portOf(five!), mosquitto.port, "another version, another way");
  for (const [fields, code, by] of [
    [{ version: 5, properties: m.PROPERTY.user("place", "lab") }, 0x89, ["property", "server_busy"]],
    [{ username: "root" }, 5, ["routes[2]", "not_authorized"]],
    [{ version: 5, username: "root" }, 0x87, ["routes[2]", "not_authorized"]],
  ] as const) {
    const client = await RawClient.open({ port: front.port });
    t.after(() => client.close());
    const local = client.socket.localPort;
    await client.send(m.connect({ clientId: "refused", ...fields }));
    assert.equal((await client.takePacket()).body[1], code);
    const reject = await front.sluice.waitForEvent("client.reject", (line) => line["client.port"] === local);
    assert.deepEqual([reject["route"], reject["reason"]], by);
  }
});

onEachArtefact("affinity: who left a session behind goes back to its broker, mosquitto or aedes, and finds what waited for it", NEEDS, async (t, artefact) => {
  const { mosquitto, aedes } = await startBoth(t);
  const front = await startFront(t, artefact, { config: `[pools.default]\naffinity = "session"\nbrokers = ["mqtt://127.0.0.1:${mosquitto.port}", "mqtt://127.0.0.1:${aedes.port}"]\n` });
  const homes = new Map<string, number>();
  for (const clientId of ["one", "two"]) {
    const client = await openSession(t, front.port, { clientId, clean: false });
    await client.send(m.subscribe([[`to/${clientId}`, 1]]));
    await client.takePacket();
    const line = await front.sluice.waitForEvent("client.open", (one) => one["client.id"] === clientId);
    homes.set(clientId, portOf(line));
    await client.send(m.disconnect());
    await client.expectEnd();
    const publisher = await openSession(t, portOf(line), { clientId: `from-${clientId}` });
    await publisher.send(m.publish({ topic: `to/${clientId}`, payload: "waited", qos: 1, packetId: 1 }));
    await publisher.expect(m.puback(1));
  }
  assert.deepEqual([...homes.values()].sort(), [mosquitto.port, aedes.port].sort(), "one on each");
  await brokerOf(t, front, "odd"); // the turn is the other one's
  for (const clientId of ["one", "two"]) {
    const client = await RawClient.open({ port: front.port });
    t.after(() => client.close());
    await client.send(m.connect({ clientId, clean: false }));
    await client.expect(m.connack({ sessionPresent: true }));
    assert.match(new TextDecoder().decode((await client.takePacket()).body), new RegExp(`to/${clientId}.*waited`, "s"));
  }
  const back = (await linesAbout(front.sluice, "client.open", 5)).slice(3);
  assert.deepEqual(back.map((line) => [line["client.id"], portOf(line), line["decided_by"]]), ["one", "two"].map((id) => [id, homes.get(id), "affinity"]));
});

onEachArtefact("health: a frozen broker still takes connections; the mqtt probe finds it, tcp does not, and check says the same", NEEDS, async (t, artefact) => {
  const { mosquitto, aedes } = await startBoth(t);
  const config = (probe: string) => `
[pools.default]
brokers = ["mqtt://127.0.0.1:${mosquitto.port}", "mqtt://127.0.0.1:${aedes.port}"]
evict_within = "200ms"
health = { probe = "${probe}", interval = "200ms", fast_interval = "100ms", timeout = "500ms", rise = 1, fall = 2 }
`;
  const [byMqtt, byTcp] = [await startFront(t, artefact, { config: config("mqtt") }), await startFront(t, artefact, { config: config("tcp") })];
  const there = await openSession(t, byMqtt.port, { version: 5, clientId: "there" });
  const [line] = await linesAbout(byMqtt.sluice, "client.open", 1);
  assert.equal(portOf(line!), mosquitto.port);
  mosquitto.freeze();
  const down = await byMqtt.sluice.waitForEvent("broker.down");
  assert.equal(portOf(down), mosquitto.port);
  assert.match(String(down["msg"]), /no answer within 500 ms/);
  await there.expect(m.disconnect({ version: 5, code: 0x8b }));
  assert.equal(await brokerOf(t, byMqtt, "next"), aedes.port);
  const files = writeTemporary(t, { "mqtt.toml": config("mqtt"), "tcp.toml": config("tcp") });
  for (const [probe, expected] of [["mqtt", /does not answer.*takes a connection, and does not answer CONNECT/], ["tcp", /answers in \d+ ms[\s\S]*answers in \d+ ms/]] as const) {
    const checked = await runToEnd([...artefact, "check", "--listen", "mqtt://127.0.0.1:0", "--config", files(`${probe}.toml`)]);
    assert.equal(checked.code, 0);
    assert.match(checked.stderr, expected);
  }
  assert.ok(!byTcp.sluice.log().some(({ event }) => event === "broker.down"), "tcp sees nothing");
  mosquitto.thaw();
  const up = await byMqtt.sluice.waitForEvent("broker.up");
  assert.equal(portOf(up), mosquitto.port);
  await until(() => byMqtt.sluice.log().filter(({ event }) => event === "broker.up").length === 1, 1_000, "it to be said once");
});
