import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { DemoBroker } from "../../src/cli/demo/broker.ts";
import { until } from "../support/deadline.ts";
import { needs, startMosquitto } from "../support/mosquitto.ts";
import * as m from "../support/mqtt_bytes.ts";
import type { TestScope } from "../support/process.ts";
import { RawBroker } from "../support/raw_broker.ts";
import { RawClient } from "../support/raw_client.ts";
import { type Front, linesAbout, onEachArtefact, startFront } from "./front.ts";
import { elapsed, names, openSession, portOf } from "./sessions.ts";

const NEEDS = needs("mosquitto");

/** Has said CONNECT, and waits for the answer. */
async function come(t: TestScope, port: number, fields: m.ConnectFields): Promise<RawClient> {
  const client = await RawClient.open({ port });
  t.after(() => client.close());
  await client.send(m.connect(fields));
  return client;
}

const leaves = async (front: Front, client: RawClient): Promise<void> => {
  const local = client.socket.localPort;
  await client.send(m.disconnect());
  await client.close();
  await front.sluice.waitForEvent("client.close", (line) => line["client.port"] === local);
};

onEachArtefact("a client waits for the mosquitto that holds its MQTT session, and finds there what was published meanwhile", NEEDS, async (t, artefact) => {
  const brokers = [await startMosquitto(), await startMosquitto()] as const;
  for (const broker of brokers) t.after(() => broker.stop());
  const [home, other] = brokers;
  const front = await startFront(t, artefact, {
    config: `
[pools.default]
balance = "first"
affinity = "session"
brokers = [{ url = "mqtt://127.0.0.1:${home.port}", connections_max = 1 }, { url = "mqtt://127.0.0.1:${other.port}", connections_max = 1 }]
waiting = { clients_max = 2, timeout = "20s" }
`,
  });
  const mine = await openSession(t, front.port, { clientId: "mine", clean: false });
  await mine.send(m.subscribe([["to/mine", 1]]));
  await mine.expect(m.suback(1, [1]));
  await leaves(front, mine);

  const guest = await openSession(t, front.port, { clientId: "guest" });
  assert.equal(portOf((await linesAbout(front.sluice, "client.open", 2))[1]!), home.port);
  const back = await come(t, front.port, { clientId: "mine", clean: false });
  await back.expectSilence(500);
  // Others go past it, to where there is room.
  const passing = await openSession(t, front.port, { clientId: "passing" });
  assert.equal(portOf((await linesAbout(front.sluice, "client.open", 3))[2]!), other.port);
  await guest.send(m.publish({ topic: "to/mine", payload: "while you waited", qos: 1, packetId: 5 }));
  await guest.expect(m.puback(5));
  await leaves(front, guest);
  await back.expect(m.connack({ sessionPresent: true }));
  const message = await back.takePacket();
  assert.equal(message.type, 3);
  assert.match(new TextDecoder().decode(message.body), /to\/mine.*while you waited/s);

  // Now both are full for everybody: two may wait, the third may not.
  const waiting = [await come(t, front.port, { clientId: "w1" }), await come(t, front.port, { clientId: "w2" })];
  await waiting[1]!.expectSilence(200);
  await (await come(t, front.port, { clientId: "w3", version: 5 })).expect(m.connack({ version: 5, code: 0x89 }));
  await leaves(front, passing);
  await waiting[0]!.expect(m.connack());
  await leaves(front, back);
  await waiting[1]!.expect(m.connack());
});

onEachArtefact("aedes gets as many clients as it may have, and the others in their turn", {}, async (t, artefact) => {
  const broker = await DemoBroker.start("aedes", () => {});
  t.after(() => broker.close());
  const front = await startFront(t, artefact, { config: `[pools.default]\nbrokers = [{ url = "mqtt://${broker.address}", connections_max = 3 }]\nwaiting = { timeout = "20s" }\n` });
  let inside = 0;
  await Promise.all(names(15).map(async (clientId) => {
    const client = await come(t, front.port, { clientId });
    await client.expect(m.connack(), 20_000);
    assert.ok(++inside <= 3, `${inside} at once`);
    await client.send(m.publish({ topic: "t", qos: 1, packetId: 1 }));
    await client.expect(m.puback(1));
    inside--;
    await leaves(front, client);
  }));
  assert.equal((await linesAbout(front.sluice, "client.open", 15)).length, 15);
});

onEachArtefact("after a mosquitto's restart its clients come back at its connect_rate, and none is lost", { ...NEEDS, atOnce: true }, async (t, artefact) => {
  const broker = await startMosquitto();
  t.after(() => broker.stop());
  const front = await startFront(t, artefact, {
    config: `
[pools.default]
brokers = [{ url = "mqtt://127.0.0.1:${broker.port}", connect_rate = "10/s" }]
waiting = { timeout = "14s" }
`,
  });
  const clientIds = names(40, "device");
  const all = async (): Promise<RawClient[]> => Promise.all(clientIds.map(async (clientId) => {
    const client = await come(t, front.port, { clientId });
    await client.expect(m.connack(), 20_000);
    return client;
  }));
  const first = await all();
  await broker.kill();
  await Promise.all(first.map((client) => client.expectEnd(10_000)));
  await broker.start();
  await until(() => front.sluice.log().filter(({ event }) => event === "client.close").length === 40, 10_000, "the sessions to end");
  // Ten at once at most, with those that came back while the broker was down; thirty at the rate.
  const tookMs = await elapsed(all);
  assert.ok(tookMs > 2_500 && tookMs < 15_000, `${tookMs} ms`);
});

onEachArtefact("a client that resets its connection before its CONNECT is looked at has no address: nobody is asked about it, and no limit by address is passed", {}, async (t, artefact) => {
  const asked: string[] = [];
  const service = createServer((request, response) => {
    request.on("data", (body: Uint8Array) => asked.push(new TextDecoder().decode(body)));
    request.on("end", () => response.end('{"result":"allow"}'));
  });
  await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
  t.after(() => service.close());
  const broker = await RawBroker.start(t);
  const front = await startFront(t, artefact, {
    config: `
[[authentication.checks]]
type = "http"
url = "http://127.0.0.1:${(service.address() as AddressInfo).port}/"
[authentication.bans]
addresses = "127.0.0.0/8"
[pools.default]
brokers = ["mqtt://127.0.0.1:${broker.port}"]
`,
  });
  front.sluice.child.signal("SIGSTOP");
  for (let count = 0; count < 20; count++) {
    const client = await RawClient.open({ port: front.port });
    await client.send(m.connect({ clientId: `gone-${count}` }));
    client.reset();
  }
  front.sluice.child.signal("SIGCONT");
  const last = await RawClient.open({ port: front.port });
  t.after(() => last.close());
  await last.send(m.connect({ version: 5, clientId: "last" }));
  await last.expect(m.connack({ version: 5, code: 0x8a }));
  assert.deepEqual(asked, [], "the address is banned, and nobody else has one");
  assert.ok(!front.sluice.log().some((line) => JSON.stringify(line).includes("undefined")));
});
