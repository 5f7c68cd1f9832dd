import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { pause, until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { RawClient } from "../support/raw_client.ts";
import { type Rig, startRig } from "./rig.ts";

const TOO_FAST = { 3: m.connack({ code: 3 }), 4: m.connack({ code: 3 }), 5: m.connack({ version: 5, code: 0x9f }) } as const;
const VERSIONS = [3, 4, 5] as const;

async function toldTooFast(client: RawClient, fields: m.ConnectFields = {}): Promise<void> {
  await client.send(m.connect(fields));
  await client.expect(TOO_FAST[fields.version ?? 4]);
  await client.expectEndWithoutData(2_000);
  await client.close();
}

/** Comes again until it is in; answers how often it was turned away. */
async function comeUntilIn(rig: Rig, first: RawClient, clientId: string, version: m.Version): Promise<number> {
  for (let refused = 0; ; refused++) {
    const client = refused === 0 ? first : await RawClient.open({ port: rig.port, timeoutMs: 20_000 });
    await client.send(m.connect({ clientId, version }));
    const { type, body } = await client.takePacket(20_000);
    assert.equal(type, 2);
    if (body[1] === 0) {
      rig.keep(client);
      return refused;
    }
    assert.equal(body[1], version === 5 ? 0x9f : 3);
    await client.expectEndWithoutData(10_000);
    await client.close();
    await pause(300 + Math.random() * 1_000);
  }
}

describe("connect_rate of a listener", () => {
  test("a storm of 1,000 clients is let in at the rate, the rest are told 3 or 0x9F, and all are in when they have come again", async (t) => {
    const perSecond = 200;
    const rig = await startRig(t, {
      brokers: [{ records: false }],
      limits: { connect_timeout: "60s" },
      configure: () => ({ listeners: [{ listen: "mqtt://127.0.0.1:0", connect_rate: `${perSecond}/s` }] }),
    });
    const crowd = await Promise.all(Array.from({ length: 1_000 }, () => RawClient.open({ port: rig.port, timeoutMs: 30_000 })));
    const begin = performance.now();
    const admittedAt: number[] = [];
    const clients = crowd.map(async (client, index) => {
      const refused = await comeUntilIn(rig, client, `storm-${index}`, VERSIONS[index % 3]!);
      admittedAt.push(performance.now() - begin);
      return refused;
    });
    const refusals = (await Promise.all(clients)).reduce((sum, count) => sum + count, 0);
    const took = performance.now() - begin;
    assert.ok(took > 3_900, `1,000 in ${took} ms: the first ${perSecond} at once, the others at the rate`);
    for (const at of [1_000, 2_000, 3_000]) {
      const admitted = admittedAt.filter((each) => each <= at).length;
      assert.ok(admitted <= perSecond * (1 + at / 1_000) + 5, `${admitted} after ${at} ms`);
    }
    assert.ok(refusals >= 500, `${refusals} refusals`);
    await until(() => rig.refusals("connection_rate_exceeded") === refusals, 5_000, "all refusals to be counted");
    assert.equal(rig.opens.length, 1_000);
    await rig.settled(20_000);
  });

  test("it is that listener's alone", async (t) => {
    const rig = await startRig(t, { configure: () => ({ listeners: [{ name: "slow", listen: "mqtt://127.0.0.1:0", connect_rate: "2/h" }, { name: "quick", listen: "mqtt://127.0.0.1:0" }] }) });
    for (let count = 0; count < 2; count++) await rig.session();
    for (const version of VERSIONS) await toldTooFast(await rig.knock(0), { version });
    for (let count = 0; count < 4; count++) {
      const client = await rig.knock(1);
      await client.send(m.connect());
      await client.expect(m.connack());
    }
    assert.equal(rig.contacts.length, 6, "no broker heard of those");
    await rig.settled();
  });
});

describe("limits.connect_rate_per_address", () => {
  test("an address that is too fast takes none of the listener's rate from others", async (t) => {
    const rig = await startRig(t, {
      everyLine: true,
      limits: { connect_rate_per_address: "2/h" },
      configure: () => ({ listeners: [{ listen: "mqtt://127.0.0.1:0", connect_rate: "4/h", proxy_protocol: { from: ["127.0.0.0/8"] } }] }),
    });
    const from = async (address: string): Promise<RawClient> => {
      const client = await rig.knock();
      await client.send(m.bytes(`PROXY TCP4 ${address} 198.51.100.2 50000 1883\r\n`));
      return client;
    };
    for (const address of ["192.0.2.1", "192.0.2.2"]) {
      for (let count = 0; count < 2; count++) {
        const client = await from(address);
        await client.send(m.connect());
        await client.expect(m.connack());
      }
      for (let count = 0; count < 5; count++) await toldTooFast(await from(address), { version: 5 });
    }
    await rig.line("192.0.2.1 connects too fast");
    await toldTooFast(await from("192.0.2.3"));
    await rig.line("clients connect to this listener too fast");
    await rig.settled();
  });

  test("whose address is banned takes none of what the others may have", async (t) => {
    const rig = await startRig(t, {
      configure: (urls) => ({
        listeners: [{ listen: "mqtt://127.0.0.1:0", connect_rate: "3/h", proxy_protocol: { from: ["127.0.0.0/8"], mode: "optional" } }],
        pools: { default: { brokers: [...urls] } },
        authentication: { bans: { addresses: "192.0.2.0/24" } },
      }),
    });
    for (let count = 0; count < 20; count++) {
      const banned = await rig.open();
      await banned.send(m.bytes("PROXY TCP4 192.0.2.9 192.0.2.1 1000 1883\r\n", m.connect({ version: 5 })));
      await banned.expect(m.connack({ version: 5, code: 0x8a }));
    }
    for (let count = 0; count < 3; count++) await rig.session({ clientId: `honest-${count}` });
    await toldTooFast(await rig.open());
  });

  test("nobody is asked who it is before the rate has let it pass", async (t) => {
    const rig = await startRig(t, {
      limits: { connect_rate_per_address: "1/h" },
      configure: (urls) => ({
        listeners: [{ listen: "mqtt://127.0.0.1:0" }],
        pools: { default: { brokers: [...urls] } },
        authentication: { bans: { usernames: ["eve"] } },
      }),
    });
    const first = await rig.open();
    await first.send(m.connect({ version: 5, username: "eve" }));
    await first.expect(m.connack({ version: 5, code: 0x8a }));
    for (let count = 0; count < 5; count++) await toldTooFast(await rig.open(), { version: 5, username: "eve" });
    await rig.settled();
  });
});

describe("connect_rate of a broker", () => {
  const pool = (brokers: readonly { url: string; connect_rate?: string }[]) => ({ pools: { default: { balance: "first" as const, brokers: [...brokers] } } });
  const served = async (rig: Rig, index: number): Promise<void> => {
    const client = await rig.open();
    await client.send(m.connect());
    await client.expect(m.connack());
    await until(() => rig.brokers[index]!.connections.some(({ isClosed }) => !isClosed), 2_000, `broker ${index}`);
    assert.equal(rig.opens.at(-1)?.broker, `127.0.0.1:${rig.brokers[index]!.port}`);
  };

  test("a broker that had it is passed over, and an alternative that was only listed has lost none of its own", async (t) => {
    const rig = await startRig(t, {
      brokers: [{}, {}],
      configure: ([a, b]) => pool([{ url: a!, connect_rate: "2/h" }, { url: b!, connect_rate: "1/h" }]),
    });
    for (const index of [0, 0, 1]) await served(rig, index);
    for (const version of VERSIONS) await toldTooFast(await rig.open(), { version });
    await rig.settled();
  });

  test("one that is dialed after another failed counts, and one that had its rate meanwhile is not dialed", async (t) => {
    const rig = await startRig(t, {
      brokers: [{ opened: (connection) => void setTimeout(() => connection.reset(), 300), packet: () => {} }, {}],
      configure: ([a, b]) => pool([{ url: a! }, { url: b!, connect_rate: "1/h" }]),
    });
    const both = [await rig.open(), await rig.open()];
    await Promise.all(both.map((client) => client.send(m.connect())));
    const codes = await Promise.all(both.map(async (client) => (await client.takePacket()).body[1]));
    assert.deepEqual(codes.sort(), [0, 3]);
    assert.equal(rig.brokers[1]?.connections.length, 1);
    await until(() => rig.refusals("connection_rate_exceeded") === 1, 2_000, "the refusal to be counted");
    assert.ok(!rig.log.some((line) => line.includes("broker.down") && line.includes(`${rig.brokers[1]!.port}`)), "it is not the broker's fault");
    await rig.settled();
  });

  test("connections_max holds for alternatives too", async (t) => {
    const rig = await startRig(t, {
      brokers: [{ opened: (connection) => void setTimeout(() => connection.reset(), 300), packet: () => {} }, {}],
      configure: ([a, b]) => ({ pools: { default: { balance: "first" as const, brokers: [a!, { url: b!, connections_max: 1 }] } } }),
    });
    const all = await Promise.all([1, 2, 3].map(() => rig.open()));
    await Promise.all(all.map((client) => client.send(m.connect({ version: 5 }))));
    const codes = await Promise.all(all.map(async (client) => (await client.takePacket()).body[1]));
    assert.deepEqual(codes.sort(), [0, 0x89, 0x89]);
    assert.equal(rig.brokers[1]?.connections.length, 1);
    await rig.settled();
  });
});
