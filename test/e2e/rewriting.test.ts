import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import { Aedes, type Client } from "aedes";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { needs, startMosquitto } from "../support/mosquitto.ts";
import { runToEnd, type TestScope } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";
import { onEachArtefact, startFront, writeTemporary } from "./front.ts";
import { received, subscribe } from "./mosquitto_clients.ts";
import { openSession } from "./sessions.ts";

const GATE = { username: "gate", password: "s3cret-of-the-gate" };
const DEVICE = { username: "ada", password: "secret-of-ada" };

/** Devices show their own credentials to sluice, and none of them get any further. */
async function configFor(t: TestScope, artefact: readonly string[], port: number): Promise<string> {
  const users = writeTemporary(t, { users: "" })("users");
  const { code } = await runToEnd([...artefact, "passwd", users, DEVICE.username], { input: `${DEVICE.password}\n` });
  assert.equal(code, 0);
  return `
[limits]
keep_alive_max = "30s"
[authentication]
checks = [{ type = "password_file", file = "${users}" }]
[pools.default]
brokers = ["mqtt://127.0.0.1:${port}"]
[pools.default.connect]
client_id = "\${username}/\${client.id}"
username = "${GATE.username}"
password = "${GATE.password}"
will_topic_prefix = "tenants/\${username}/"
session_expiry_max = "60s"
`;
}

async function codeOf(port: number, fields: m.ConnectFields): Promise<number | undefined> {
  const client = await RawClient.open({ port });
  try {
    await client.send(m.connect(fields));
    return (await client.takePacket()).body[1];
  } finally {
    await client.close();
  }
}

onEachArtefact("mosquitto: devices' credentials end at sluice, and it sees the rewritten identity and will", needs("mosquitto", "mosquitto_sub"), async (t, artefact) => {
  const broker = await startMosquitto({ users: { [GATE.username]: GATE.password, watcher: "w" } });
  t.after(() => broker.stop());
  const { port, sluice } = await startFront(t, artefact, { config: await configFor(t, artefact, broker.port) });
  const watcher = await subscribe(t, broker, { port: broker.port, words: ["-u", "watcher", "-P", "w"] }, { id: "watcher", filters: ["#"], count: 3, format: "%t %p" });
  for (const version of [3, 4, 5] as const) {
    assert.notEqual(await codeOf(broker.port, { ...DEVICE, version }), 0, "mosquitto does not know the device");
    assert.equal(await codeOf(port, { ...DEVICE, password: "wrong", version }), version === 5 ? 0x86 : 4);
    const clientId = `device-${version}`;
    const client = await openSession(t, port, { version, clientId, keepAliveSeconds: 30, ...DEVICE, will: { topic: "gone", payload: clientId } });
    await until(() => new RegExp(` as ada/${clientId} \\(p${version === 3 ? 1 : version === 4 ? 2 : 5}, c1, k30, u'gate'\\)`).test(broker.log), 5_000, `mosquitto to know ada/${clientId}, ${broker.log}`);
    client.reset();
  }
  assert.deepEqual((await received(watcher)).sort(), [3, 4, 5].map((version) => `tenants/ada/gone device-${version}`));
  assert.ok(!sluice.child.stderr.includes(GATE.password) && !sluice.child.stderr.includes(DEVICE.password), "no password is in the log");
});

onEachArtefact("mosquitto: the longest keep-alive and session expiry are told to clients of MQTT 5, and 3.x is refused", needs("mosquitto"), async (t, artefact) => {
  const broker = await startMosquitto({ users: { [GATE.username]: GATE.password } });
  t.after(() => broker.stop());
  const { port } = await startFront(t, artefact, { config: await configFor(t, artefact, broker.port) });
  for (const version of [3, 4] as const) assert.equal(await codeOf(port, { ...DEVICE, version, keepAliveSeconds: 0 }), 5);
  const client = await RawClient.open({ port });
  t.after(() => client.close());
  await client.send(m.connect({ version: 5, clientId: "five", keepAliveSeconds: 0, ...DEVICE, properties: m.PROPERTY.sessionExpirySeconds(0xffff_ffff) }));
  const { whole } = await client.takePacket();
  const text = Buffer.from(whole).toString("hex");
  assert.ok(text.includes("13001e"), `Server Keep Alive 30 in ${text}`);
  assert.ok(text.includes("110000003c"), `Session Expiry 60 in ${text}`);
  await until(() => /as ada\/five \(p5, c1, k30, u'gate'\)/.test(broker.log), 5_000, "mosquitto to know it with the keep-alive that its client was told");
});

onEachArtefact("aedes: it hears the rewritten identity, password and all", {}, async (t, artefact) => {
  const { port: brokerPort, logins } = await startAedes(t);
  const { port } = await startFront(t, artefact, { config: await configFor(t, artefact, brokerPort) });
  for (const version of [3, 4] as const) {
    const client = await openSession(t, port, { version, clientId: `device-${version}`, keepAliveSeconds: 30, ...DEVICE });
    await client.send(m.bytes(m.subscribe([["t", 0]], { version }), m.publish({ version, topic: "t", payload: "x" })));
    assert.deepEqual(new Set([(await client.takePacket()).type, (await client.takePacket()).type]), new Set([9, 3]));
    await client.send(m.disconnect());
    await client.expectEnd();
  }
  assert.deepEqual(logins, [3, 4].map((version) => `ada/device-${version} gate ${GATE.password}`));
});

/** A broker that writes down who came. */
async function startAedes(t: TestScope): Promise<{ readonly port: number; readonly logins: readonly string[] }> {
  const logins: string[] = [];
  const aedes = await Aedes.createBroker({
    authenticate: (client: Client, username: Readonly<string | undefined>, password: Readonly<Buffer | undefined>, done: (error: null, ok: boolean) => void) => {
      logins.push(`${client.id} ${username} ${password?.toString()}`);
      done(null, true);
    },
  });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    aedes.handle(socket);
  });
  await new Promise<void>((resolve) => server.listen({ host: "127.0.0.1", port: 0 }, resolve));
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
    await new Promise<void>((resolve) => aedes.close(resolve));
  });
  return { port: (server.address() as { port: number }).port, logins };
}
