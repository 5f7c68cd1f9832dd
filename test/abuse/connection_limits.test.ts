import assert from "node:assert/strict";
import { connect } from "node:net";
import { describe, test } from "node:test";
import type { ConfigInput } from "../../src/config/schema.ts";
import type { Admissions } from "../../src/server/admissions.ts";
import { until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { RawClient } from "../support/raw_client.ts";
import { temporaryFolder } from "../support/temporary_folder.ts";
import { serverName } from "../transport/tls_hello/hello_bytes.ts";
import { clearHello } from "./clear_hello.ts";
import { type Rig, startRig } from "./rig.ts";

/** Clients over a limit that are let in to be told. */
const TOLD_MAX = 24;
const REFUSALS = [
  [3, m.connack({ code: 3 })],
  [4, m.connack({ code: 3 })],
  [5, m.connack({ version: 5, code: 0x97 })],
] as const;

const countedOf = (rig: Rig): number => (rig.proxy as unknown as { admissions: Admissions }).admissions.size;

/** Nobody is left, and nobody is counted any more. */
async function settled(rig: Rig): Promise<void> {
  await rig.settled();
  await until(() => countedOf(rig) === 0, 2_000, "everybody's places to come back");
}

async function served(client: RawClient, fields: m.ConnectFields = {}): Promise<RawClient> {
  await client.send(m.connect(fields));
  await client.expect(m.connack({ version: fields.version ?? 4 }));
  return client;
}

async function toldTooMany(client: RawClient, fields: m.ConnectFields = {}): Promise<void> {
  await client.send(m.connect(fields));
  await client.expect(m.connack(fields.version === 5 ? { version: 5, code: 0x97 } : { code: 3 }));
  await client.expectEndWithoutData(2_000);
  await client.close();
}

/** The door is shut, maybe before the client has seen it open. */
async function meetsShutDoor(rig: Rig, listener = 0): Promise<void> {
  const client = await rig.knock(listener).catch((error: Error) => {
    assert.match(error.message, /ECONNRESET|before it was open/);
  });
  await client?.expectEndWithoutData(2_000);
}

const HERE = ["127.0.0.0/8"];
const BEHIND_PROXY: ConfigInput["listeners"] = [{ listen: "mqtt://127.0.0.1:0", proxy_protocol: { from: HERE, mode: "optional" } }];
const from4 = (address: string): Uint8Array => m.bytes(`PROXY TCP4 ${address} 198.51.100.2 50000 1883\r\n`);
const from6 = (address: string): Uint8Array => m.bytes(`PROXY TCP6 ${address} 2001:db8::1 50000 1883\r\n`);

async function comeFrom(rig: Rig, header: Uint8Array): Promise<RawClient> {
  const client = await rig.knock();
  await client.send(header);
  return client;
}

describe("limits.connections_per_address_max", () => {
  for (const tls of [false, true]) {
    test(`R3: clients over it are told so, a flood is closed at once, and slots come back (${tls ? "TLS" : "TCP"})`, async (t) => {
      const rig = await startRig(t, { tls, limits: { connections_per_address_max: 3 } });
      const sessions = [];
      for (let count = 0; count < 3; count++) sessions.push(await rig.session({ clientId: `in-${count}` }));
      for (const [version, refusal] of REFUSALS) {
        const client = await rig.open();
        await client.send(m.bytes(m.connect({ version }), m.publish({ version })));
        await client.expect(refusal);
        await client.expectEndWithoutData(2_000);
        await client.close();
      }
      await until(() => countedOf(rig) === 3, 2_000, "the refused to be gone");
      const waiting = await Promise.all(Array.from({ length: TOLD_MAX }, () => rig.knock()));
      await until(() => countedOf(rig) === 3 + TOLD_MAX, 2_000, "those who may be told");
      for (let count = 0; count < 5; count++) await meetsShutDoor(rig);
      assert.equal(rig.refusals("too_many_connections"), 3 + 5);
      assert.equal(rig.contacts.length, 3, "no broker heard of them");
      await Promise.all(waiting.map((client) => client.close()));
      await until(() => countedOf(rig) === 3, 2_000, "those to be gone");
      await sessions[1]?.client.close();
      await until(() => countedOf(rig) === 2, 2_000, "a slot to come back");
      await rig.canary();
      await settled(rig);
    });
  }

  test("one address that is full and floods takes nothing from the others; a PROXY header says whose it is, and IPv6 counts by /64", async (t) => {
    const rig = await startRig(t, { limits: { connections_per_address_max: 2 }, configure: () => ({ listeners: BEHIND_PROXY }) });
    for (const [one, same, other] of [
      [from4("192.0.2.1"), from4("192.0.2.1"), from4("192.0.2.2")],
      [from6("2001:db8:0:1::1"), from6("2001:db8:0:1:ffff::9"), from6("2001:db8:0:2::1")],
    ] as const) {
      for (let count = 0; count < 2; count++) await served(await comeFrom(rig, one));
      await toldTooMany(await comeFrom(rig, same), { version: 5 });
      const flood = await Promise.all(Array.from({ length: 3 * TOLD_MAX }, () => comeFrom(rig, same)));
      await until(() => flood.filter(({ ending }) => ending !== "open").length >= 2 * TOLD_MAX, 5_000, "the flood to be closed");
      for (let count = 0; count < 2; count++) await served(await comeFrom(rig, other));
      await toldTooMany(await comeFrom(rig, other));
    }
    // No header: its own address counts, which the proxy's clients did not use up.
    for (let count = 0; count < 2; count++) await served(await rig.knock());
    await toldTooMany(await rig.knock());
    await settled(rig);
  });

  test("clients count while they are still in their handshake, and leave it with their place", async (t) => {
    const rig = await startRig(t, { tls: true, limits: { connections_per_address_max: 2, handshake_timeout: "1s" } });
    const begun = [await rig.knock(), await rig.knock()];
    await until(() => countedOf(rig) === 2, 2_000, "both to be counted");
    await toldTooMany(await rig.open());
    await Promise.all(begun.map((client) => client.expectEnd(3_000)));
    await until(() => countedOf(rig) === 0, 2_000, "their places to come back");
    await rig.canary();
    await settled(rig);
  });

  test("who came over the limit and sends CONNECT when there is room again is served", async (t) => {
    const rig = await startRig(t, { limits: { connections_per_address_max: 1 } });
    const { client } = await rig.session();
    const next = await rig.open();
    await until(() => countedOf(rig) === 2, 2_000, "the next one");
    await client.close();
    await until(() => countedOf(rig) === 1, 2_000, "the first to be gone");
    await served(next);
    await toldTooMany(await rig.open());
    await settled(rig);
  });

  test("those who come together do not keep each other out: as many as may are in", async (t) => {
    const rig = await startRig(t, { limits: { connections_per_address_max: 5 } });
    const all = await Promise.all(Array.from({ length: 15 }, () => rig.open()));
    await Promise.all(all.map((client) => client.send(m.connect())));
    const codes = await Promise.all(all.map(async (client) => (await client.takePacket()).body[1]));
    assert.deepEqual([codes.filter((code) => code === 0).length, codes.filter((code) => code === 3).length], [5, 10]);
    await settled(rig);
  });

  test("peers of a unix socket are many behind one name, and not counted", async (t) => {
    const folder = temporaryFolder(t);
    const rig = await startRig(t, {
      limits: { connections_per_address_max: 1, connect_rate_per_address: "1/h" },
      configure: () => ({ listeners: [{ listen: `unix://${folder}/front.sock` }] }),
    });
    for (let count = 0; count < 4; count++) {
      const socket = connect({ path: `${folder}/front.sock` });
      await served(rig.keep(RawClient.adopt(socket)));
    }
    await settled(rig);
  });

  test("TLS that is passed through counts, and can only be closed", async (t) => {
    const hello = clearHello(serverName("a.example"));
    const rig = await startRig(t, {
      brokers: [{ packet: () => {} }],
      limits: { connections_per_address_max: 2, connect_rate_per_address: "3/h" },
      configure: () => ({ listeners: [{ listen: "mqtts://127.0.0.1:0", tls: "passthrough" }] }),
    });
    const tunnel = async (): Promise<RawClient> => {
      const client = await rig.knock();
      await client.send(hello);
      return client;
    };
    const open = [await tunnel(), await tunnel()];
    await until(() => rig.opens.length === 2, 2_000, "two tunnels");
    await (await tunnel()).expectEndWithoutData(2_000);
    assert.equal(rig.refusals("too_many_connections"), 1);
    await open[0]?.close();
    await until(() => countedOf(rig) === 1, 2_000, "a place to come back");
    await tunnel();
    await until(() => rig.opens.length === 3, 2_000, "a third tunnel");
    await open[1]?.close();
    await until(() => countedOf(rig) === 1, 2_000, "another place to come back");
    await (await tunnel()).expectEndWithoutData(2_000);
    assert.equal(rig.refusals("connection_rate_exceeded"), 1);
    await settled(rig);
  });
});

describe("connections_max of a listener", () => {
  test("R3: it is that listener's alone, before and after TLS", async (t) => {
    const pair = { cert: "test/fixtures/tls/server.pem", key: "test/fixtures/tls/server.key" };
    const rig = await startRig(t, {
      configure: () => ({
        listeners: [
          { name: "narrow", listen: "mqtt://127.0.0.1:0", connections_max: 1 },
          { name: "wide", listen: "mqtt://127.0.0.1:0" },
          { name: "narrow tls", listen: "mqtts://127.0.0.1:0", tls: pair, connections_max: 1 },
        ],
      }),
    });
    const secure = async (): Promise<RawClient> => rig.keep(await RawClient.open({ port: rig.portOf(2), tls: {} }));
    const first = await served(await rig.knock(0));
    const firstSecure = await served(await secure());
    for (const [version] of REFUSALS) {
      await toldTooMany(await rig.knock(0), { version });
      await toldTooMany(await secure(), { version });
    }
    for (let count = 0; count < 3; count++) await served(await rig.knock(1));
    const told = await Promise.all(Array.from({ length: TOLD_MAX }, () => rig.knock(0)));
    await until(() => countedOf(rig) === 5 + TOLD_MAX, 2_000, "those who may be told");
    await meetsShutDoor(rig, 0);
    await Promise.all([first, firstSecure, ...told].map((client) => client.close()));
    await until(() => countedOf(rig) === 3, 2_000, "slots to come back");
    await served(await rig.knock(0));
    await served(await secure());
    await settled(rig);
  });
});

describe("limits.connections_per_username_max", () => {
  test("R3: more of one user are told so; others, and those without a name, are not concerned", async (t) => {
    const rig = await startRig(t, { limits: { connections_per_username_max: 2 } });
    const fields = (username: string, clientId: string) => ({ username, clientId });
    const ada = [await rig.session(fields("ada", "1")), await rig.session(fields("ada", "2"))];
    for (const [version] of REFUSALS) await toldTooMany(await rig.open(), { version, username: "ada", clientId: "3" });
    for (let count = 0; count < 4; count++) await rig.session({ clientId: `nobody-${count}` });
    await rig.session(fields("grace", "1"));
    const long = "n".repeat(65_000);
    for (let count = 0; count < 3; count++) await (await rig.open()).send(m.connect({ username: long, clientId: `${count}` }));
    await until(() => rig.refusals("too_many_connections") === 4, 2_000, "the third of a long name");
    await ada[0]?.client.close();
    await until(() => rig.ends.some(({ clientId, reason }) => clientId === "1" && reason === "client_closed"), 2_000, "the first to be gone");
    await rig.session(fields("ada", "4"));
    await toldTooMany(await rig.open(), fields("ada", "5"));
    await settled(rig);
  });

  test("a broker that refuses, or that cannot be reached, gives the place back", async (t) => {
    const rig = await startRig(t, {
      brokers: [{ packet: (connection) => connection.send(m.connack({ code: 5 })) }],
      limits: { connections_per_username_max: 1, connections_per_address_max: 1 },
    });
    for (let count = 0; count < 3; count++) {
      const client = await rig.open();
      await client.send(m.connect({ username: "ada" }));
      await client.expect(m.connack({ code: 5 }));
      await client.close();
      await until(() => countedOf(rig) === 0, 5_000, "the place to come back");
    }
    await settled(rig);
  });
});
