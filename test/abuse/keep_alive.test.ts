import assert from "node:assert/strict";
import { test } from "node:test";
import { pause } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import type { RawClient } from "../support/raw_client.ts";
import { answer, type BrokerConnection, hexOf } from "./recording_broker.ts";
import { type Rig, startRig } from "./rig.ts";

/** 1.5 seconds, and two ticks of the timer in which it is kept. */
const DUE_MS = { least: 1_400, most: 2_100 };

/** The client id says which Server Keep Alive the broker dictates. */
function dictating(connection: BrokerConnection, packet: m.RawPacket): void {
  const seconds = /^dictate-(\d+)-/.exec(connection.clientId)?.[1];
  if (packet.type !== 1 || seconds === undefined) return answer(connection, packet);
  connection.send(m.connack({ version: 5, properties: m.PROPERTY.serverKeepAliveSeconds(Number(seconds)) }));
}

async function opened(rig: Rig, fields: m.ConnectFields): Promise<RawClient> {
  const client = await rig.open();
  await client.send(m.connect(fields));
  await client.takePacket();
  return client;
}

test("P7: the idle limit is 1.5 times the keep-alive that holds, and never ends who is legally quiet", async (t) => {
  const rig = await startRig(t, { brokers: [{ packet: dictating }] });
  const ends = async (fields: m.ConnectFields, expected: string): Promise<void> => {
    const client = await opened(rig, fields);
    const begin = performance.now();
    await client.expectEnd(DUE_MS.most + 1_000);
    const took = performance.now() - begin;
    assert.ok(took >= DUE_MS.least && took <= DUE_MS.most, `${fields.clientId}: ended after ${took} ms`);
    assert.equal(hexOf(client.received), expected);
  };
  const stays = async (fields: m.ConnectFields): Promise<void> => {
    const client = await opened(rig, fields);
    await client.expectSilence(2_500);
    await client.send(m.pingreq());
    await client.expect(m.pingresp());
  };
  const pings = async (): Promise<void> => {
    const client = await opened(rig, { clientId: "pings", keepAliveSeconds: 1 });
    for (let round = 0; round < 3; round++) {
      await pause(1_000);
      await client.send(m.pingreq());
      await client.expect(m.pingresp());
    }
  };
  await Promise.all([
    ends({ clientId: "one second", keepAliveSeconds: 1 }, "nothing"),
    ends({ clientId: "one second, 3.1", version: 3, keepAliveSeconds: 1 }, "nothing"),
    ends({ clientId: "one second, 5", version: 5, keepAliveSeconds: 1 }, "e0028d00"),
    ends({ clientId: "dictate-1-", version: 5, keepAliveSeconds: 0 }, "e0028d00"),
    ends({ clientId: "dictate-1-of-65535", version: 5, keepAliveSeconds: 65_535 }, "e0028d00"),
    stays({ clientId: "dictate-60-", version: 5, keepAliveSeconds: 1 }),
    stays({ clientId: "dictate-0-", version: 5, keepAliveSeconds: 1 }),
    stays({ clientId: "none", keepAliveSeconds: 0 }),
    stays({ clientId: "long", keepAliveSeconds: 65_535 }),
    pings(),
  ]);
  await rig.settled();
});

test("P7: a broker is told nothing when a client is silent for too long: FIN alone, so that it publishes the will", async (t) => {
  const rig = await startRig(t);
  const { client, broker, connect } = await rig.session({ version: 5, keepAliveSeconds: 1, will: { topic: "w", payload: "" } });
  await client.expectEnd(DUE_MS.most);
  await broker.untilEnded();
  assert.equal(broker.ending, "fin");
  assert.equal(hexOf(broker.received), hexOf(connect));
  await rig.settled();
});

test("P8: a broker's close reaches the client within a second, with what was said before", async (t) => {
  const rig = await startRig(t);
  for (const how of ["fin", "reset"] as const) {
    const { client, broker } = await rig.session({ version: 5 });
    const last = m.disconnect({ version: 5, code: 0x8d });
    broker.send(last);
    if (how === "fin") broker.end();
    await client.expect(last);
    if (how === "reset") broker.reset();
    await client.expectEnd(1_000);
  }
  await rig.settled();
});
