import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConfigInput } from "../../src/config/schema.ts";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import type { TestScope } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";
import { frame } from "../transport/websocket/frames.ts";
import { request } from "../transport/websocket/heads.ts";
import { clearHello } from "./clear_hello.ts";
import { type Rig, startRig } from "./rig.ts";

const PAIR = { cert: "test/fixtures/tls/server.pem", key: "test/fixtures/tls/server.key" };

type Listener = NonNullable<ConfigInput["listeners"]>[number];
type Transport = "mqtt" | "mqtts" | "ws" | "wss";

const LISTENERS: readonly (readonly [Listener, readonly Transport[]])[] = [
  [{ listen: "mqtt://127.0.0.1:0" }, ["mqtt"]],
  [{ listen: "mqtts://127.0.0.1:0", tls: PAIR }, ["mqtts"]],
  [{ listen: "ws://127.0.0.1:0" }, ["ws"]],
  [{ listen: "wss://127.0.0.1:0", tls: PAIR }, ["wss"]],
  [{ listen: "any://127.0.0.1:0" }, ["mqtt", "ws"]],
  [{ name: "all", listen: "any://127.0.0.1:0", tls: PAIR }, ["mqtt", "mqtts", "ws", "wss"]],
  [{ name: "secure", listen: "any://127.0.0.1:0", tls: PAIR, accept: ["mqtts", "wss"] }, ["mqtts", "wss"]],
  [{ name: "mqtts alone", listen: "any://127.0.0.1:0", tls: PAIR, accept: ["mqtts"] }, ["mqtts"]],
  [{ name: "wss alone", listen: "any://127.0.0.1:0", tls: PAIR, accept: ["wss"] }, ["wss"]],
  [{ name: "mqtt and wss", listen: "any://127.0.0.1:0", tls: PAIR, accept: ["mqtt", "wss"] }, ["mqtt", "wss"]],
  [{ name: "ws and mqtts", listen: "any://127.0.0.1:0", tls: PAIR, accept: ["ws", "mqtts"] }, ["ws", "mqtts"]],
  [{ name: "mqtt alone", listen: "any://127.0.0.1:0", accept: ["mqtt"] }, ["mqtt"]],
  [{ name: "ws alone", listen: "any://127.0.0.1:0", accept: ["ws"] }, ["ws"]],
];

const MASK = [1, 2, 3, 4] as const;
const UPGRADE = m.bytes(request(), frame(m.connect(), { key: MASK }));
const SECURE: Readonly<Record<Transport, boolean>> = { mqtt: false, mqtts: true, ws: false, wss: true };
const FIRST: Readonly<Record<Transport, Uint8Array>> = { mqtt: m.connect(), mqtts: m.connect(), ws: UPGRADE, wss: UPGRADE };

const start = (scope: TestScope): Promise<Rig> =>
  startRig(scope, {
    limits: { handshake_timeout: "500ms" }, // a line of text may be the first of HTTP: only time tells
    configure: () => ({ listeners: LISTENERS.map(([listener], index) => ({ name: `listener ${index}`, ...listener })) }),
    everyLine: true,
  });

const countOf = ({ proxy }: Rig) => [...proxy.refusals.values()].reduce((sum, count) => sum + count, 0);

/** Says it, by TLS or not; nothing comes of it but an end, a line in the log and a count. */
async function turnedAway(rig: Rig, listener: number, said: Uint8Array, options: { tls?: boolean; what: string }): Promise<string> {
  const [refusals, lines, contacts] = [countOf(rig), rig.log.length, rig.contacts.length];
  const client = rig.keep(await RawClient.open({ port: rig.portOf(listener), ...(options.tls === true && { tls: {} }) }));
  await client.send(said).catch(() => {});
  await client.expectEnd(2_000).catch((error: Error) => assert.fail(`${options.what}: ${error.message}`));
  await client.close();
  await until(() => countOf(rig) > refusals, 2_000, `a count of ${options.what}`);
  assert.equal(countOf(rig), refusals + 1, options.what);
  assert.equal(rig.log.length, lines + 1, `${options.what}: ${rig.log.slice(lines).join("\n")}`);
  assert.match(rig.log.at(-1) as string, /"event":"client\.reject"/);
  assert.equal(rig.contacts.length, contacts, options.what);
  return rig.log.at(-1) as string;
}

for (const [index, [listener, accepted]] of LISTENERS.entries()) {
  const name = JSON.stringify({ ...listener, tls: listener.tls && "…" });
  test(`T13, W9: ${name} lets in ${accepted.join(", ")}; what else comes leaves a line and a count`, async (t) => {
    const rig = await start(t);
    for (const transport of ["mqtt", "mqtts", "ws", "wss"] as const) {
      const isSecure = SECURE[transport];
      if (accepted.includes(transport)) {
        const opens = rig.opens.length;
        const client = rig.keep(await RawClient.open({ port: rig.portOf(index), ...(isSecure && { tls: {} }) }));
        await client.send(FIRST[transport]);
        await until(() => rig.opens.length > opens, 2_000, `a session by ${transport}`);
        assert.equal(rig.opens.at(-1)?.transport, transport);
        await client.close();
        await until(() => rig.proxy.sessionCount === 0, 2_000, "the session to end");
        rig.forgetLines();
      } else if (!isSecure) await turnedAway(rig, index, FIRST[transport], { what: transport });
      else if (accepted.some((each) => SECURE[each])) await turnedAway(rig, index, FIRST[transport], { tls: true, what: transport });
      else await turnedAway(rig, index, clearHello(), { what: transport });
      rig.forgetLines();
    }
    for (const [what, said] of [["SSH", m.bytes("SSH-2.0-OpenSSH_9.6\r\n")], ["PROXY", m.bytes("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n")], ["zeros", new Uint8Array(100)], ["PINGREQ", m.pingreq()]] as const) {
      await turnedAway(rig, index, said, { what });
    }
    await rig.settled();
  });
}

test("any://: marks that come byte by byte are told apart all the same, and half a mark ends with handshake_timeout", async (t) => {
  const rig = await startRig(t, { limits: { handshake_timeout: "500ms" }, configure: () => ({ listeners: [{ listen: "any://127.0.0.1:0", tls: PAIR }] }) });
  for (const said of [m.connect(), UPGRADE]) {
    const opens = rig.opens.length;
    const client = await rig.knock();
    await client.sendSplit(said, Array.from({ length: 20 }, (_, index) => index + 1), 0);
    await until(() => rig.opens.length > opens, 3_000, "a session");
    await client.close();
  }
  const begin = performance.now();
  await Promise.all([[0x16], [...m.bytes("GET")], [...m.bytes("PROXY")], [0x0d, 0x0a, 0x0d], []].map(async (bytes) => {
    const client = await rig.knock();
    if (bytes.length > 0) await client.send(Uint8Array.from(bytes));
    await client.expectEndWithoutData(2_000);
  }));
  assert.ok(performance.now() - begin < 3_000);
  assert.equal(rig.refusals("connect_timeout"), 5);
  // The same inside TLS: the handshake is done, and MQTT or HTTP does not come.
  const opens = rig.opens.length;
  await Promise.all([[], [...m.bytes("GE")]].map(async (bytes) => {
    const client = rig.keep(await RawClient.open({ port: rig.port, tls: {} }));
    if (bytes.length > 0) await client.send(Uint8Array.from(bytes));
    await client.expectEndWithoutData(2_000);
  }));
  assert.equal(rig.refusals("connect_timeout"), 7);
  assert.equal(rig.opens.length, opens);
  await rig.settled();
});

test("any://: TLS in TLS and a second hello are no MQTT", async (t) => {
  const rig = await start(t);
  const all = LISTENERS.findIndex(([{ name }]) => name === "all");
  for (const said of [clearHello(), m.bytes("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", m.connect()), m.bytes("SSH-2.0-x\r\n")]) {
    await turnedAway(rig, all, said, { tls: true, what: "bytes inside TLS" });
  }
  await rig.settled();
});
