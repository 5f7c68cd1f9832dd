import assert from "node:assert/strict";
import { createServer, type AddressInfo } from "node:net";
import { test } from "node:test";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { freePort } from "../support/ports.ts";
import { RawBroker } from "../support/raw_broker.ts";
import { RawClient } from "../support/raw_client.ts";
import { importLibrary } from "./program.ts";

const { createProxy, ConfigurationError } = await importLibrary();

const LISTENER = { listen: "mqtt://127.0.0.1:0" };

test("createProxy refuses a configuration with a ConfigurationError that names every problem and its place", async () => {
  const input = {
    listeners: [{ listen: "mqtt://127.0.0.1:0", tsl: {} }],
    pools: { default: { brokers: ["mqtt://127.0.0.1:99999"] } },
    limits: { dial_timeout: "soon" },
  };
  const error = await createProxy(input as never).then(() => undefined, (thrown: unknown) => thrown);
  assert.ok(error instanceof ConfigurationError);
  assert.ok(error instanceof Error);
  assert.equal(error.name, "ConfigurationError");
  assert.equal(error.problems.length, 3, error.message);
  for (const words of [/tsl[^]*tls/, /99999/, /soon/]) assert.match(error.message, words);
});

test("createProxy refuses files that are not there with a ConfigurationError, before anything listens", async () => {
  const port = await freePort();
  const input = {
    listeners: [{ listen: `mqtts://127.0.0.1:${port}`, tls: { cert: "/nowhere/cert.pem", key: "/nowhere/key.pem" } }],
    pools: { default: { brokers: ["mqtt://127.0.0.1:1"] } },
  };
  await assert.rejects(createProxy(input), (error) => error instanceof ConfigurationError && /\/nowhere\/cert\.pem/.test(error.message));
  await assert.rejects(RawClient.open({ port }));
});

test("createProxy rejects when another program has the port, and leaves nothing running", async (t) => {
  const other = createServer();
  await new Promise<void>((ready) => other.listen({ host: "127.0.0.1", port: 0 }, ready));
  t.after(() => new Promise<void>((done) => void other.close(() => done())));
  const { port } = other.address() as AddressInfo;
  const free = await freePort();
  const input = {
    listeners: [{ listen: `mqtt://127.0.0.1:${free}` }, { listen: `mqtt://127.0.0.1:${port}` }],
    pools: { default: { brokers: ["mqtt://127.0.0.1:1"] } },
  };
  await assert.rejects(createProxy(input), (error) => error instanceof Error && new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}.*in use`).test(error.message));
  await assert.rejects(RawClient.open({ port: free }));
});

test("createProxy tells of sessions that open and end, probes its brokers, and stops", async (t) => {
  const broker = await RawBroker.start(t);
  const down = await freePort();
  const opened: unknown[] = [];
  const closed: { reason: string; clientId: string; packetsUpstream: number }[] = [];
  const proxy = await createProxy(
    { listeners: [LISTENER], pools: { default: { brokers: [`mqtt://127.0.0.1:${broker.port}`, `mqtt://127.0.0.1:${down}`], balance: "client_id" } } },
    { onOpen: (session) => opened.push(session), onClose: (session) => closed.push(session) },
  );
  t.after(() => proxy.stopNow());
  const port = proxy.addresses[0]!.port;
  assert.deepEqual(proxy.addresses, [{ name: "mqtt://127.0.0.1:0", url: `mqtt://127.0.0.1:${port}`, scheme: "mqtt", host: "127.0.0.1", port, pool: "default" }]);
  const answers = await proxy.probe();
  assert.deepEqual(answers.map((answer) => [answer.broker, answer.error?.code]), [[`127.0.0.1:${broker.port}`, undefined], [`127.0.0.1:${down}`, "refused"]]);

  const client = await RawClient.open({ port });
  t.after(() => client.close());
  await client.send(m.connect({ version: 5, clientId: "" }));
  const connection = await broker.accept();
  const connack = m.connack({ version: 5, properties: m.PROPERTY.assignedClientId("auto-1") });
  await connection.send(connack);
  await client.expect(connack);
  const { decidedBy } = opened[0] as { decidedBy: string };
  assert.match(decidedBy, /^(client_id|fail_over)$/, "the hash, or what comes behind the broker that is down");
  assert.deepEqual(opened, [
    { clientId: "auto-1", address: "127.0.0.1", port: client.socket.localPort, listener: "mqtt://127.0.0.1:0", pool: "default", broker: `127.0.0.1:${broker.port}`, decidedBy, version: "5", route: undefined, transport: "mqtt", proxyAddress: undefined, tls: undefined },
  ]);
  assert.equal(proxy.sessionCount, 1);
  const stopped = proxy.stop();
  await client.expect(m.hex("e0 02 8b 00"));
  await client.expectEnd();
  await stopped;
  assert.deepEqual(closed.map(({ reason, clientId, packetsUpstream }) => [reason, clientId, packetsUpstream]), [["shutting_down", "auto-1", 1]]);
  assert.equal(proxy.sessionCount, 0);
  await assert.rejects(RawClient.open({ port }));
  await proxy.stop(); // once more does no harm
});

test("createProxy: a throw in a program's own event handler costs that session at most, never the others", async (t) => {
  const broker = await RawBroker.start(t);
  const ids: string[] = [];
  const proxy = await createProxy(
    { listeners: [LISTENER], pools: { default: { brokers: [`mqtt://127.0.0.1:${broker.port}`] } } },
    {
      onOpen: ({ clientId }) => {
        ids.push(clientId);
        if (clientId === "bad") throw new Error("the program's own mistake");
      },
    },
  );
  t.after(() => proxy.stopNow());
  const port = proxy.addresses[0]!.port;
  const open = async (clientId: string): Promise<{ client: RawClient; connection: RawClient }> => {
    const client = await RawClient.open({ port });
    t.after(() => client.close());
    await client.send(m.connect({ clientId }));
    const connection = await broker.accept();
    await connection.send(m.connack());
    return { client, connection };
  };
  const good = await open("good");
  await good.client.expect(m.connack());
  const bad = await open("bad");
  await until(() => ids.includes("bad"), 5_000, "the throw");
  await good.client.send(m.publish());
  await good.connection.expect(m.bytes(m.connect({ clientId: "good" }), m.publish()));
  await bad.client.close();
  await until(() => proxy.sessionCount === 1, 5_000, "the bad session to be gone");
});

test("createProxy: brokers tells of each, setBroker changes it, and throws a RangeError for one that is not there", async (t) => {
  const [one, two] = [await RawBroker.start(t), await RawBroker.start(t)];
  const names = [one, two].map(({ port }) => `127.0.0.1:${port}`) as [string, string];
  const proxy = await createProxy({ listeners: [LISTENER], pools: { default: { brokers: names.map((name) => `mqtt://${name}`), balance: "first", evict_within: "100ms" } } });
  t.after(() => proxy.stopNow());
  const client = await RawClient.open({ port: proxy.addresses[0]!.port });
  t.after(() => client.close());
  await client.send(m.connect({ version: 5 }));
  await (await one.accept()).send(m.connack({ version: 5 }));
  await client.expect(m.connack({ version: 5 }));
  assert.deepEqual(proxy.brokers.map(({ pool, broker, state, health, sessions, weight }) => [pool, broker, state, health, sessions, weight]), [["default", names[0], "ready", "up", 1, 1], ["default", names[1], "ready", "up", 0, 1]]);
  proxy.setBroker("default", names[0], { state: "maint" });
  await client.expect(m.hex("e0 02 98 00"));
  await client.expectEnd();
  const [changed] = proxy.brokers;
  assert.deepEqual([changed?.state, changed?.cause, changed?.since instanceof Date], ["maint", "the operator said so", true]);
  assert.throws(() => proxy.setBroker("default", "127.0.0.1:1", { state: "drain" }), (error) => error instanceof RangeError && error.message.includes(names[1]));
});

test("createProxy: stopNow ends sessions at once", async (t) => {
  const broker = await RawBroker.start(t);
  const proxy = await createProxy({ listeners: [LISTENER], pools: { default: { brokers: [`mqtt://127.0.0.1:${broker.port}`] } } });
  const client = await RawClient.open({ port: proxy.addresses[0]!.port });
  t.after(() => client.close());
  await client.send(m.connect());
  await (await broker.accept()).send(m.connack());
  await client.expect(m.connack());
  await proxy.stopNow();
  assert.equal(proxy.sessionCount, 0);
  await client.expectEnd();
});

test("createProxy is silent unless the configuration has a log table or the program brings a log", async (t) => {
  const lines: string[] = [];
  const write = (event: string): void => void lines.push(event);
  const proxy = await createProxy(
    { listeners: [LISTENER], pools: { default: { brokers: ["mqtt://127.0.0.1:1"] } } },
    { log: { debug: write, info: write, warn: write, error: write, isOn: () => true } },
  );
  t.after(() => proxy.stopNow());
  const client = await RawClient.open({ port: proxy.addresses[0]!.port });
  t.after(() => client.close());
  await client.send(m.connect());
  await client.expect(m.connack({ code: 3 }));
  await client.expectEnd();
  await until(() => lines.includes("client.reject"), 5_000, "the line of the refusal");
  assert.ok(lines.includes("broker.down"));
});
