import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import * as m from "../support/mqtt_bytes.ts";
import { needs } from "../support/needs.ts";
import { ARTEFACTS, runToEnd } from "../support/process.ts";
import { type Rabbitmq, startRabbitmq } from "../support/rabbitmq.ts";
import { RawClient } from "../support/raw_client.ts";
import { startFront, writeTemporary } from "./front.ts";
import { openSession } from "./sessions.ts";

const NEEDS = needs("rabbitmq-server");
const GATE = { username: "gate", password: "s3cret-of-the-gate" };
const DEVICE = { username: "ada", password: "secret-of-ada" };

/** RabbitMQ checks passwords and keeps identifiers apart: that a device gets in shows whose credentials it saw. */
describe("RabbitMQ behind sluice", { ...NEEDS, timeout: 240_000 }, () => {
  let broker: Rabbitmq | undefined;
  before(async () => {
    if (NEEDS.skip === undefined) broker = await startRabbitmq(GATE);
  });
  after(() => broker?.stop());

  for (const [name, artefact] of Object.entries(ARTEFACTS)) {
    test(`devices' credentials end at sluice, and RabbitMQ sees its own: ${name}`, async (t) => {
      const rabbitmq = broker as Rabbitmq;
      const users = writeTemporary(t, { users: "" })("users");
      await runToEnd([...artefact, "passwd", users, DEVICE.username], { input: `${DEVICE.password}\n` });
      const config = `
[authentication]
checks = [{ type = "password_file", file = "${users}" }]
[pools.default]
brokers = ["mqtt://127.0.0.1:${rabbitmq.port}"]
[pools.default.connect]
client_id = "\${username}-\${client.id}"
username = "${GATE.username}"
password = "${GATE.password}"
`;
      const { port, sluice } = await startFront(t, artefact, { config });
      assert.equal(await codeOf(rabbitmq.port, DEVICE), 4, "RabbitMQ does not know the device");
      for (const version of [3, 4] as const) {
        const clientId = `${name}-${version}`;
        assert.equal(await codeOf(port, { ...DEVICE, password: "wrong", version }), 4);
        const client = await openSession(t, port, { version, clientId, ...DEVICE });
        await rabbitmq.untilLogged(`ada-${clientId}`);
        await client.send(m.bytes(m.subscribe([[`${clientId}/t`, 1]], { version }), m.publish({ version, topic: `${clientId}/t`, payload: "through", qos: 1, packetId: 7 })));
        const packets = [await client.takePacket(), await client.takePacket(), await client.takePacket()];
        assert.deepEqual(packets.map(({ type }) => type).sort(), [3, 4, 9], "SUBACK, PUBACK, and the message itself");
        const message = packets.find(({ type }) => type === 3);
        assert.ok(new TextDecoder().decode(message?.body).endsWith("through"));
        await client.send(m.disconnect());
        await client.expectEnd();
      }
      assert.ok(!sluice.child.stderr.includes(GATE.password) && !sluice.child.stderr.includes(DEVICE.password), "no password is in the log");
    });
  }
});

async function codeOf(port: number, fields: m.ConnectFields): Promise<number | undefined> {
  const client = await RawClient.open({ port });
  try {
    await client.send(m.connect(fields));
    return (await client.takePacket(10_000)).body[1];
  } finally {
    await client.close();
  }
}
