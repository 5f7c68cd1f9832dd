import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConfigInput } from "../../src/config/schema.ts";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import type { TestScope } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";
import { SIGNATURE } from "../transport/proxy_protocol/header_bytes.ts";
import { extension } from "../transport/tls_hello/hello_bytes.ts";
import { request } from "../transport/websocket/heads.ts";
import { clearHello } from "./clear_hello.ts";
import { type Rig, type RigOptions, startRig } from "./rig.ts";
import { usedMemory } from "./used_memory.ts";

const PAIR = { cert: "test/fixtures/tls/server.pem", key: "test/fixtures/tls/server.key" };
/** Honest clients come by TCP; the last one's broker is behind a forward proxy that never answers. */
const LISTENERS: NonNullable<ConfigInput["listeners"]> = [
  { name: "mqtt", listen: "mqtt://127.0.0.1:0" },
  { name: "mqtts", listen: "mqtts://127.0.0.1:0", tls: PAIR },
  { name: "any", listen: "any://127.0.0.1:0", tls: PAIR },
  { name: "ws", listen: "ws://127.0.0.1:0" },
  { name: "proxied", listen: "mqtt://127.0.0.1:0", proxy_protocol: { from: ["127.0.0.1"] } },
  { name: "tunnel", listen: "mqtts://127.0.0.1:0", tls: "passthrough", pool: "nowhere" },
];
const [MQTT, MQTTS, ANY, WS, PROXIED, TUNNEL] = [0, 1, 2, 3, 4, 5] as const;

const start = (scope: TestScope, options: RigOptions = {}): Promise<Rig> =>
  startRig(scope, {
    brokers: [{}, { packet: () => {} }],
    configure: ([broker, silent]) => ({
      listeners: LISTENERS,
      pools: { default: { brokers: [broker as string] }, nowhere: { brokers: ["mqtt://192.0.2.1:8883"], via: (silent as string).replace("mqtt://", "http://") } },
      limits: { drain_timeout: "1s", handshake_timeout: "600ms", ...options.limits },
    }),
    enter: (rig, more) => RawClient.open({ port: rig.portOf(MQTT), ...more }),
    ...options,
  });

async function knockAndSay(rig: Rig, listener: number, bytes: Uint8Array): Promise<RawClient> {
  const client = await rig.knock(listener, { allowHalfOpen: true });
  if (bytes.length > 0) await client.send(bytes).catch(() => {});
  return client;
}

/** Every stage in which a client can be before its session. */
const STAGES: readonly (readonly [what: string, reach: (rig: Rig) => Promise<RawClient>])[] = [
  ["nothing said to a TLS listener", (rig) => knockAndSay(rig, MQTTS, new Uint8Array(0))],
  ["half a hello", (rig) => knockAndSay(rig, MQTTS, clearHello().subarray(0, 50))],
  ["half a handshake", (rig) => knockAndSay(rig, MQTTS, clearHello())],
  ["half a mark", (rig) => knockAndSay(rig, ANY, m.bytes("PO"))],
  ["TLS without MQTT in it", async (rig) => rig.keep(await RawClient.open({ port: rig.portOf(ANY), tls: {} }))],
  ["half an upgrade", (rig) => knockAndSay(rig, WS, request().subarray(0, 40))],
  ["a refused upgrade", (rig) => knockAndSay(rig, WS, request({}, "GET /nothing HTTP/1.1"))],
  ["half a PROXY header", (rig) => knockAndSay(rig, PROXIED, m.bytes("PROXY TCP4 1.2.3.4"))],
];

test("R3: a flood of half-finished arrivals is bounded, and others are served as soon as it has timed out; nothing of it is left", async (t) => {
  const rig = await start(t, { limits: { connections_max: 5 } });
  await rig.canary();
  await rig.markBase();
  for (const [what, bytes, listener] of [["silence", new Uint8Array(0), MQTTS], ["half a hello", clearHello().subarray(0, 50), MQTTS], ["half a handshake", clearHello(), ANY], ["half an upgrade", request().subarray(0, 40), WS]] as const) {
    const flood = await Promise.all(Array.from({ length: 60 }, () => knockAndSay(rig, listener, bytes)));
    // 5 and 24 more are let in to be told what is wrong; beyond these the door is shut.
    await until(() => flood.filter(({ ending }) => ending !== "open").length >= 31, 2_000, `the 31 that are too many (${what})`);
    assert.equal(flood.filter(({ ending }) => ending === "open").length, 29, what);
    const outside = await rig.knock(MQTT);
    await outside.expectEndWithoutData(1_000);
    await outside.close();
    await Promise.all(flood.map((client) => client.expectEnd(2_000)));
    await rig.canary();
    await Promise.all(flood.map((client) => client.close()));
    await until(() => rig.proxy.sessionCount === 0, 1_000, "the canary to be gone");
  }
  assert.equal(rig.refusals("connect_timeout"), 4 * 29);
  assert.ok(rig.log.length < 60, `${rig.log.length} lines`);
  assert.equal(rig.contacts.length, 0);
  await rig.settled();
});

test("R3: a few too many arrivals, and MQTT's own words for who comes meanwhile", async (t) => {
  const rig = await start(t, { limits: { connections_max: 5 } });
  const { client: inside } = await rig.session({ clientId: "inside" });
  const flood = await Promise.all(Array.from({ length: 10 }, () => knockAndSay(rig, MQTTS, clearHello())));
  await until(() => flood.every(({ received }) => received.length > 0), 2_000, "all handshakes to have begun");
  for (const [version, refusal] of [[4, m.connack({ code: 3 })], [5, m.connack({ version: 5, code: 0x97 })]] as const) {
    const client = await rig.open();
    await client.send(m.connect({ version }));
    await client.expect(refusal);
    await client.expectEndWithoutData(1_000);
  }
  await until(() => rig.refusals("too_many_connections") === 2, 1_000, "both to be counted");
  await inside.send(m.pingreq());
  await inside.expect(m.pingresp());
  await Promise.all(flood.map((client) => client.expectEnd(2_000)));
  await rig.canary();
  await rig.settled();
});

test("R8: a reset or a FIN in every stage leaves nothing, by the hundred", async (t) => {
  const rig = await start(t);
  await rig.canary();
  await rig.markBase();
  const begin = performance.now();
  for (const [what, reach] of STAGES) {
    for (const end of ["reset", "end"] as const) {
      const clients = await Promise.all(Array.from({ length: 15 }, () => reach(rig)));
      for (const client of clients) client[end]();
      await Promise.all(clients.map((client) => client.close()));
    }
    await rig.canary().catch((error: Error) => assert.fail(`${what}: ${error.message}`));
  }
  assert.equal(rig.contacts.length, 0);
  await rig.settled();
  assert.ok(performance.now() - begin < 10_000);
  assert.ok(rig.log.every((line) => !line.includes("internal")), rig.log.join("\n"));
});

/** Memory may differ by this much from one moment to the next; if every hello were kept it would be three times as much. */
const GROWTH_MAX = 20_000_000;

test("R12: arrivals by the thousand, each with all that it may make us keep, leave memory and descriptors as they were", async (t) => {
  const rig = await start(t);
  await rig.canary();
  await rig.markBase();
  const large = clearHello(extension(65_000, new Uint8Array(15_000))).subarray(0, -1);
  const head = m.bytes("GET /mqtt HTTP/1.1\r\nHost: ", "a".repeat(8_000));
  const header = m.bytes(SIGNATURE, [0x21, 0x11], m.uint16(4_096), new Uint8Array(4_000));
  const round = async (count: number) => {
    for (const [listener, bytes] of [[MQTTS, large], [ANY, large], [WS, head], [PROXIED, header], [TUNNEL, large]] as const) {
      for (let batch = 0; batch < count; batch++) {
        await Promise.all(Array.from({ length: 8 }, async (_, index) => {
          const client = await RawClient.open({ port: rig.portOf(listener) });
          await client.send(bytes).catch(() => {});
          if (index % 2 === 0) client.reset();
          else {
            client.end();
            await client.expectEnd(); // who is quicker than the server only fills its queue
          }
          await client.close();
        }));
      }
    }
  };
  await round(20);
  const before = await usedMemory();
  await round(100);
  await rig.canary();
  await rig.settled();
  const growth = (await usedMemory()) - before;
  assert.ok(growth < GROWTH_MAX, `${growth} bytes more after 4,000 arrivals`);
  assert.equal(rig.contacts.length, 0);
});

test("L6: a graceful stop ends arrivals in every stage at once, sessions in their order, and tunnels that are dialed", async (t) => {
  const rig = await start(t);
  await rig.canary();
  await rig.markBase();
  const [five, four] = [await rig.session({ version: 5, clientId: "five" }), await rig.session({ version: 4, clientId: "four" })];
  const reading = await rig.open();
  await reading.send(m.connect().subarray(0, 5));
  const dialing = await knockAndSay(rig, TUNNEL, clearHello());
  await until(() => rig.proxy.sessionCount === 4, 1_000, "all to be there");
  const waiting = await Promise.all(STAGES.map(([, reach]) => reach(rig)));
  await waiting[6]?.take(10); // it was told that there is nothing
  const before = rig.refusals("shutting_down");

  const begin = performance.now();
  const stopping = rig.proxy.stop();
  await Promise.all(waiting.map((client, index) => client.expectEnd(900).catch((error: Error) => assert.fail(`${STAGES[index]?.[0]}: ${error.message}`))));
  assert.ok(performance.now() - begin < 900, "arrivals are not waited for");
  await five.client.expect(m.hex("e0 02 8b 00"));
  await five.client.expectEnd(1_000);
  await five.client.close();
  await stopping;
  assert.ok(performance.now() - begin < 4_000);
  await Promise.all([four.client, reading, dialing].map((client) => client.expectEnd(1_000)));
  // One was refused already, and is not counted twice.
  assert.ok(rig.refusals("shutting_down") - before >= STAGES.length - 1);
  assert.equal(rig.refusals("wrong_protocol"), 1);
  assert.equal(rig.proxy.addresses.length, 0);
  assert.equal(rig.proxy.sessionCount, 0);
  await rig.settled();
});

test("L6: stopNow ends all of them, and asking again does nothing", async (t) => {
  const rig = await start(t);
  await rig.canary();
  await rig.markBase();
  await rig.session({ clientId: "in" });
  await knockAndSay(rig, TUNNEL, clearHello());
  await until(() => rig.proxy.sessionCount === 2, 1_000, "both to be there");
  const waiting = await Promise.all(STAGES.map(([, reach]) => reach(rig)));
  const begin = performance.now();
  await Promise.all([rig.proxy.stopNow(), rig.proxy.stopNow(), rig.proxy.stop()]);
  assert.ok(performance.now() - begin < 3_000);
  await Promise.all(waiting.map((client) => client.expectEnd(1_000)));
  await rig.settled();
});
