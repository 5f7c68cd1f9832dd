import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ConfigInput } from "../../src/config/schema.ts";
import { pause, until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import type { RawClient } from "../support/raw_client.ts";
import { type Rig, type RigOptions, startRig } from "./rig.ts";

type Pool = NonNullable<ConfigInput["pools"]>[string];
type Waiting = NonNullable<Pool["waiting"]>;

const BUSY = { 3: m.connack({ code: 3 }), 4: m.connack({ code: 3 }), 5: m.connack({ version: 5, code: 0x89 }) } as const;

/** A pool whose only broker takes one session, and those who come meanwhile wait. */
const narrow = (waiting: Waiting, limits: RigOptions["limits"] = {}): RigOptions => ({
  limits,
  configure: ([url]) => ({ pools: { default: { brokers: [{ url: url!, connections_max: 1 }], waiting } } }),
});

async function come(rig: Rig, clientId: string, fields: m.ConnectFields = {}): Promise<RawClient> {
  const client = await rig.open();
  await client.send(m.connect({ clientId, ...fields }));
  return client;
}

/** They have come in this order, and stand there. */
async function queue(rig: Rig, clientIds: readonly string[], fields: m.ConnectFields = {}): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (const clientId of clientIds) {
    clients.push(await come(rig, clientId, fields));
    await until(() => rig.proxy.sessionCount === 1 + clients.length, 2_000, `${clientId} to be there`);
    await pause(30);
  }
  return clients;
}

describe("[pools.x.waiting] (U11)", () => {
  test("who finds no room waits, and is let in in the order of coming as sessions end", async (t) => {
    const rig = await startRig(t, narrow({ timeout: "10s" }));
    let inside = (await rig.session({ clientId: "first" })).client;
    const ids = ["a", "b", "c", "d"];
    const waiting = await queue(rig, ids);
    await waiting[0]!.expectSilence(300);
    assert.equal(rig.contacts.length, 1, "the broker heard of one");
    for (const [index, client] of waiting.entries()) {
      await inside.close();
      await client.expect(m.connack());
      for (const later of waiting.slice(index + 1)) assert.equal(later.receivedTotal, 0, "the next ones wait on");
      inside = client;
    }
    assert.deepEqual(rig.opens.map(({ clientId }) => clientId), ["first", ...ids]);
    await rig.settled();
  });

  test("what a waiting client sends already is kept, and goes to the broker behind its CONNECT", async (t) => {
    const rig = await startRig(t, narrow({ timeout: "10s" }));
    const { client } = await rig.session();
    const [waiting] = await queue(rig, ["waiting"]);
    await waiting!.send(m.publish({ qos: 1, packetId: 9 }));
    await client.close();
    await waiting!.expect(m.bytes(m.connack(), m.puback(9)));
    await rig.settled();
  });

  test("whose time is over is told that the server is busy", async (t) => {
    const rig = await startRig(t, narrow({ timeout: "500ms" }));
    await rig.session();
    for (const version of [3, 4, 5] as const) {
      const begin = performance.now();
      const client = await come(rig, "late", { version });
      await client.expect(BUSY[version]);
      await client.expectEndWithoutData(2_000);
      assert.ok(performance.now() - begin > 490, `after ${performance.now() - begin} ms`);
      await client.close();
    }
    await until(() => rig.refusals("server_busy") === 3, 2_000, "three refusals");
    assert.equal(rig.contacts.length, 1);
    await rig.settled();
  });

  test("answer_timeout bounds the waiting as well", async (t) => {
    const rig = await startRig(t, narrow({ timeout: "30s" }, { answer_timeout: "500ms" }));
    const { client: inside } = await rig.session();
    const client = await come(rig, "impatient", { version: 5 });
    await client.expect(m.connack({ version: 5, code: 0x88 }));
    await client.expectEndWithoutData(2_000);
    await inside.close();
    await rig.canary();
    await rig.settled();
  });

  test("the line is bounded: more are told at once", async (t) => {
    const rig = await startRig(t, narrow({ clients_max: 2, timeout: "10s" }));
    const { client } = await rig.session();
    const waiting = await queue(rig, ["a", "b"]);
    const third = await come(rig, "c");
    await third.expect(BUSY[4]);
    await third.close();
    await client.close();
    await waiting[0]!.expect(m.connack());
    await rig.settled();
  });

  for (const [how, leave] of [
    ["FIN", (client: RawClient) => client.end()],
    ["DISCONNECT and FIN", async (client: RawClient) => { await client.send(m.disconnect()); client.end(); }],
    ["RST", (client: RawClient) => client.reset()],
  ] as const) {
    test(`who leaves (${how}) leaves the line, and the broker never hears of it`, async (t) => {
      const rig = await startRig(t, narrow({ clients_max: 1, timeout: "10s" }));
      const { client } = await rig.session({ clientId: "first" });
      const [gone] = await queue(rig, ["gone"]);
      await leave(gone!);
      await until(() => rig.proxy.sessionCount === 1, 3_000, "it to be gone");
      const [next] = await queue(rig, ["next"]);
      await client.close();
      await next!.expect(m.connack());
      assert.deepEqual(rig.contacts.map(({ clientId }) => clientId), ["first", "next"]);
      await rig.settled();
    });
  }

  test("a newcomer does not overtake the line", async (t) => {
    const rig = await startRig(t, narrow({ timeout: "10s" }));
    const { client } = await rig.session({ clientId: "first" });
    await queue(rig, ["a", "b"]);
    // The end of the first and the newcomer's CONNECT arrive together.
    const newcomer = await rig.open();
    client.end();
    await newcomer.send(m.connect({ clientId: "newcomer" }));
    await until(() => rig.opens.length === 2, 2_000, "the next one");
    assert.equal(rig.opens[1]?.clientId, "a");
    await newcomer.expectSilence(200);
    await rig.settled();
  });

  test("a client whose broker's rate is used up waits until it has refilled; whose time is over hears of the rate", async (t) => {
    const rig = await startRig(t, { configure: ([url]) => ({ pools: { default: { brokers: [{ url: url!, connect_rate: "5/s" }], waiting: { timeout: "2s" } } } }) });
    const begin = performance.now();
    const clients = await Promise.all(Array.from({ length: 30 }, (_, index) => come(rig, `${index}`, { version: 5 })));
    const codes = await Promise.all(clients.map(async (client) => (await client.takePacket()).body[1]));
    const took = performance.now() - begin;
    const admitted = codes.filter((code) => code === 0).length;
    assert.ok(took > 1_900 && took < 6_000, `${took} ms`);
    assert.ok(admitted >= 13 && admitted <= 5 + (5 * took) / 1_000, `${admitted} in ${took} ms`);
    assert.equal(codes.filter((code) => code === 0x9f).length, 30 - admitted);
    await rig.settled();
  });

  test("everything waits for everybody and nothing is left: many clients, few places, all get in", async (t) => {
    // A place is free when both connections of its session are closed: by then its broker has seen the end, so it never has more than its three.
    const most = [0, 0];
    const countAt = (index: number) => rig.brokers[index]!.connections.filter(({ ending }) => ending === "open").length;
    const counting = (index: number) => ({ opened: () => void (most[index] = Math.max(most[index]!, 1 + countAt(index))) });
    const rig = await startRig(t, {
      brokers: [counting(0), counting(1)],
      configure: (urls) => ({ pools: { default: { brokers: urls.map((url) => ({ url, connections_max: 3 })), waiting: { timeout: "10s" } } } }),
    });
    await Promise.all(Array.from({ length: 60 }, async (_, index) => {
      const client = await come(rig, `crowd-${index}`);
      await client.expect(m.connack(), 10_000);
      await pause(20);
      await client.close();
    }));
    assert.equal(rig.opens.length, 60);
    assert.deepEqual(most, [3, 3], "connections at each broker at once");
    await rig.settled();
  });
});

describe("[pools.x.waiting] with affinity = \"session\"", () => {
  const start = (t: Parameters<typeof startRig>[0], waiting: Waiting | undefined) =>
    startRig(t, {
      brokers: [{}, {}],
      configure: (urls) => ({ pools: { default: { balance: "first", affinity: "session", brokers: urls.map((url) => ({ url, connections_max: 1 })), ...(waiting && { waiting }) } } }),
    });
  const at = (rig: Rig, index: number) => rig.brokers[index]!.connections.map(({ clientId }) => clientId);

  test("a client waits for the broker that holds its session, though another one has room; others pass it", async (t) => {
    const rig = await start(t, { timeout: "10s" });
    await (await rig.session({ clientId: "mine", clean: false })).client.close();
    await until(() => rig.proxy.sessionCount === 0, 2_000, "it to be gone");
    const other = await rig.session({ clientId: "other" });
    const back = await come(rig, "mine", { clean: false });
    await back.expectSilence(300);
    const third = await come(rig, "third");
    await third.expect(m.connack());
    await other.client.close();
    await back.expect(m.connack());
    assert.deepEqual([at(rig, 0), at(rig, 1)], [["mine", "other", "mine"], ["third"]]);
    await rig.settled();
  });

  test("with a clean start it goes where there is room", async (t) => {
    const rig = await start(t, { timeout: "10s" });
    await (await rig.session({ clientId: "mine", clean: false })).client.close();
    await until(() => rig.proxy.sessionCount === 0, 2_000, "it to be gone");
    await rig.session({ clientId: "other" });
    await (await come(rig, "mine", { clean: true })).expect(m.connack());
    await rig.settled();
  });
});
