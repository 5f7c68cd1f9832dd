import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { startRig } from "./rig.ts";
import { eachOf } from "./speak.ts";

const SESSIONS = 1_000;

test(`U6: a broker that dies with ${SESSIONS} sessions: all are closed at once, none is dialed again by itself, and all find the other broker`, async (t) => {
  const rig = await startRig(t, { brokers: [{ records: false }, { records: false }], configure: (urls) => ({ pools: { default: { brokers: [...urls], balance: "first", redirects: "pass" } } }) });
  await rig.markBase();
  const [dying, other] = rig.brokers;
  const come = (round: number) => eachOf(Array.from({ length: SESSIONS }, (_, index) => index), 50, async (index) => {
    const client = await rig.open();
    await client.send(m.connect({ version: index % 2 === 0 ? 5 : 4, clientId: `c${round}-${index}` }));
    assert.equal((await client.takePacket()).body[1], 0);
    clients.push(client);
  });
  let clients: Awaited<ReturnType<typeof rig.open>>[] = [];
  await come(0);
  assert.deepEqual([dying?.connections.length, other?.connections.length], [SESSIONS, 0]);
  await dying?.close();
  await Promise.all(clients.map((client) => client.expectEnd()));
  assert.equal(other?.connections.length, 0, "a proxy does not move a session by itself");
  await Promise.all(clients.map((client) => client.close()));
  await until(() => rig.proxy.sessionCount === 0, 5_000, "the sessions to end");
  clients = [];
  await come(1);
  assert.equal(other?.connections.length, SESSIONS);
  assert.ok(rig.log.filter((line) => line.includes("broker.down")).length <= 2, "a death is told once, not for every client");
  await Promise.all(clients.map((client) => client.close()));
  await rig.settled();
});

test("I8: lines of the log without what is not known: no CONNECT, no client id, no TLS, no broker", async (t) => {
  const rig = await startRig(t, { everyLine: true, configure: () => ({ pools: { default: { brokers: ["mqtt://127.0.0.1:1"] } } }) });
  const ends: Uint8Array[] = [m.hex(""), m.hex("10"), m.hex("16 03 01"), m.bytes("GET / HTTP/1.1\r\n\r\n"), m.connect({ clientId: "" }), m.connect({ version: 3, clientId: "" }), m.connect({ version: 5, clientId: "" }), m.connect({ protocolLevel: 9 }), m.connect({ protocolName: "X" })];
  for (const bytes of ends) {
    const client = await rig.open();
    await client.send(bytes);
    client.end();
    await client.expectEnd();
    await client.close();
  }
  await until(() => rig.ends.length === ends.length, 5_000, "all to have ended");
  for (const line of rig.log) {
    const fields = JSON.parse(line) as Record<string, unknown>;
    assert.ok(!Object.values(fields).some((value) => value === "undefined" || value === null), line);
    assert.ok(!line.includes("undefined") && !line.includes("NaN"), line);
  }
  assert.ok(!rig.log.some((line) => line.includes("internal.error")));
  await rig.settled();
});
