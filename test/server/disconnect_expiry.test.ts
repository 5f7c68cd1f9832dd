import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ConfigInput } from "../../src/config/schema.ts";
import { type BrokerConnection, type BrokerOptions, hexOf } from "../abuse/recording_broker.ts";
import { type Rig, startRig } from "../abuse/rig.ts";
import { pause, until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import { needs, startMosquitto } from "../support/mosquitto.ts";
import type { TestScope } from "../support/process.ts";
import type { RawClient } from "../support/raw_client.ts";

/* MQTT 5 section 3.14.2.2.2: a client may say in its DISCONNECT how long its MQTT session is kept, whatever its CONNECT said. */

type Pool = Partial<NonNullable<ConfigInput["pools"]>[string]>;

const HOUR = m.hex("e0 07 00 05 11 00 00 0e 10");
const MINUTE = m.hex("e0 07 00 05 11 00 00 00 3c");
const LIMITED: Pool = { connect: { session_expiry_max: "60s" } };
const AFFINE: Pool = { affinity: "session", balance: "round_robin" };
const expiring = (seconds: number, clientId = "keeper"): m.ConnectFields => ({ version: 5, clientId, properties: m.PROPERTY.sessionExpirySeconds(seconds) });

const start = (t: TestScope, pool: Pool, brokers: readonly BrokerOptions[] = [{}]): Promise<Rig> =>
  startRig(t, { brokers, configure: (urls) => ({ pools: { default: { balance: "first", brokers: [...urls], ...pool } } }) });

/** One byte at a time, each in a packet of the network's own as far as that can be had. */
async function trickle(client: RawClient, bytes: Uint8Array): Promise<void> {
  for (const byte of bytes) {
    await client.send(Uint8Array.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function expectReceived(broker: BrokerConnection, want: Uint8Array): Promise<void> {
  await broker.untilEnded();
  assert.equal(hexOf(broker.received), hexOf(want));
}

/** A session that ends by these bytes: what the broker has got of them. */
async function last(rig: Rig, bytes: Uint8Array, fields = expiring(1)): Promise<{ client: RawClient; broker: BrokerConnection; got: () => Promise<string> }> {
  const { client, broker, connect } = await rig.session(fields);
  await client.send(bytes);
  const got = async () => {
    await broker.untilEnded();
    return hexOf(broker.received.subarray(connect.length));
  };
  return { client, broker, got };
}

describe("session_expiry_max and DISCONNECT", () => {
  test("CONNECT with 1 s and DISCONNECT with 3,600: the broker gets 60", async (t) => {
    const rig = await start(t, LIMITED);
    const { client, got } = await last(rig, HOUR);
    assert.equal(await got(), hexOf(MINUTE));
    await client.expectEndWithoutData();
    await rig.settled();
  });

  test("wherever it is cut, and byte by byte; what comes before it goes on at once", async (t) => {
    const rig = await start(t, LIMITED);
    const before = m.bytes(m.publish({ version: 5, payload: "before" }), m.pingreq());
    const { user, sessionExpirySeconds, reasonString } = m.PROPERTY;
    const said = (seconds: number) => m.disconnect({ version: 5, code: 4, properties: m.bytes(user("k", "\x11"), sessionExpirySeconds(seconds), reasonString("bye")) });
    const stream = m.bytes(before, said(3_600));
    for (let cut = 1; cut <= stream.length; cut++) {
      const { client, broker, connect } = await rig.session(expiring(1));
      await client.send(stream.subarray(0, cut));
      if (cut > before.length) await broker.untilReceived(connect.length + before.length);
      if (cut < stream.length) await client.send(stream.subarray(cut));
      await expectReceived(broker, m.bytes(connect, before, said(60)));
      await client.close();
    }
    const { client, broker, connect } = await rig.session(expiring(1));
    await trickle(client, stream);
    await expectReceived(broker, m.bytes(connect, before, said(60)));
    await client.close();
    await rig.settled();
    assert.ok(rig.ends.every(({ blame, bytesUpstream }) => blame === undefined && bytesUpstream === connect.length + stream.length));
  });

  test("what is within the limit, says nothing of it, or is another version's or another pool's is passed on as it is", async (t) => {
    const passed = [m.hex("e0 00"), m.hex("e0 01 04"), m.disconnect({ version: 5, code: 0 }), MINUTE, m.hex("e0 07 00 05 11 00 00 00 00")];
    const limited = await start(t, LIMITED);
    for (const bytes of passed) assert.equal(await (await last(limited, bytes)).got(), hexOf(bytes));
    assert.equal(await (await last(limited, m.disconnect(), { version: 4 })).got(), hexOf(m.disconnect()));
    await limited.settled();
    const free = await start(t, {});
    const odd = m.hex("e0 0c 00 0a 11 00 00 0e 10 11 00 00 0e 10");
    for (const bytes of [HOUR, odd]) assert.equal(await (await last(free, bytes)).got(), hexOf(bytes));
    await free.settled();
  });

  test("sent behind CONNECT in one go, whole or cut: the broker gets 60, in its order", async (t) => {
    const rig = await start(t, LIMITED);
    const connect = m.connect(expiring(1));
    const behind = m.publish({ version: 5, payload: "before" });
    for (const cut of [0, 1, 2, 5, HOUR.length]) {
      const index = rig.broker.connections.length;
      const client = await rig.open();
      await client.send(m.bytes(connect, behind, HOUR.subarray(0, cut)));
      await client.expect(m.connack({ version: 5 }));
      await client.send(HOUR.subarray(cut));
      await expectReceived(await rig.broker.connection(index), m.bytes(connect, behind, MINUTE));
      await client.close();
    }
    const index = rig.broker.connections.length;
    const client = await rig.open({ allowHalfOpen: true });
    await client.send(m.bytes(connect, HOUR));
    client.end();
    await expectReceived(await rig.broker.connection(index), m.bytes(connect, MINUTE));
    await rig.settled();
  });

  test("in the middle of an AUTH exchange too", async (t) => {
    const method = m.PROPERTY.authenticationMethod("X");
    for (const isHeld of [true, false]) {
      const rig = await start(t, { ...LIMITED, ...AFFINE }, [{
        packet: (connection, { type }) => {
          if (type === 1) connection.send(m.auth({ properties: method }));
          else if (type === 14) connection.send(m.connack({ version: 5 }));
        },
        ended: (connection) => connection.end(),
      }]);
      const client = await rig.open();
      const connect = m.connect({ ...expiring(1), properties: m.bytes(method, m.PROPERTY.sessionExpirySeconds(1)) });
      await client.send(isHeld ? m.bytes(connect, HOUR) : connect);
      await client.expect(m.auth({ properties: method }));
      if (!isHeld) await trickle(client, HOUR);
      await client.expect(m.connack({ version: 5 }));
      await client.close();
      await expectReceived(await rig.broker.connection(0), m.bytes(connect, MINUTE));
      await rig.settled();
    }
  });

  test("one that cannot be read, or raises an expiry that CONNECT did not have, ends the session, and the broker sees none", async (t) => {
    const filler = m.PROPERTY.user("k", "v".repeat(40_000));
    const cases: readonly (readonly [bytes: Uint8Array, code: number, fields?: m.ConnectFields])[] = [
      [m.hex("e0 0c 00 0a 11 00 00 0e 10 11 00 00 0e 10"), 0x81],
      [m.hex("e0 08 00 05 11 00 00 0e 10 00"), 0x81],
      [m.hex("e0 07 00 06 11 00 00 0e 10"), 0x81],
      [m.hex("e0 05 00 03 21 00 05"), 0x81],
      [HOUR, 0x82, { version: 5 }],
      [HOUR, 0x82, expiring(0)],
      [m.disconnect({ version: 5, properties: m.bytes(m.PROPERTY.sessionExpirySeconds(3_600), filler, filler) }), 0x95],
    ];
    for (const pool of [LIMITED, AFFINE]) {
      const rig = await start(t, pool);
      for (const [bytes, code, fields = expiring(1)] of cases) {
        for (const size of [bytes.length, 1, 3]) {
          if (size < bytes.length && bytes.length > 100) continue;
          const { client, broker, connect } = await rig.session(fields);
          const before = m.publish({ version: 5 });
          await client.send(before);
          for (let at = 0; at < bytes.length; at += size) await client.send(bytes.subarray(at, at + size)).catch(() => {}); // it is cut off before the end
          await client.expect(m.disconnect({ version: 5, code }));
          await client.expectEndWithoutData();
          await expectReceived(broker, m.bytes(connect, before));
        }
      }
      await rig.canary();
      await rig.settled();
      assert.ok(rig.ends.every(({ clientId, reason, blame }) => clientId.startsWith("canary") || (blame === "client" && reason !== "client_disconnect")));
    }
  });

  test("such a one that was sent behind CONNECT: the session ends as it begins, with AUTH and CONNACK in one piece too", async (t) => {
    const bad = m.hex("e0 08 00 05 11 00 00 0e 10 00");
    const connect = m.connect(expiring(1));
    for (const fin of [false, true]) {
      const rig = await start(t, LIMITED);
      const client = await rig.open({ allowHalfOpen: true });
      await client.send(m.bytes(connect, bad));
      if (fin) client.end();
      await client.expect(m.connack({ version: 5 }));
      if (!fin) await client.expect(m.disconnect({ version: 5, code: 0x81 }));
      await client.expectEndWithoutData();
      await expectReceived(await rig.broker.connection(0), connect);
      await rig.settled();
    }
    const method = m.PROPERTY.authenticationMethod("X");
    const rig = await start(t, LIMITED, [{ packet: (connection) => connection.send(m.bytes(m.auth({ properties: method }), m.connack({ version: 5 }))) }]);
    const client = await rig.open();
    const asks = m.connect({ ...expiring(1), properties: m.bytes(method, m.PROPERTY.sessionExpirySeconds(1)) });
    await client.send(m.bytes(asks, bad));
    await client.expect(m.bytes(m.auth({ properties: method }), m.connack({ version: 5, code: 0x81 })));
    await client.expectEndWithoutData();
    await expectReceived(await rig.broker.connection(0), asks);
    assert.ok(!rig.log.some((line) => line.includes("internal")), "nothing was thrown");
    await rig.settled();
  });

  test("bytes behind it are the client's fault, and reach nobody", async (t) => {
    const rig = await start(t, LIMITED);
    for (const behind of [m.pingreq(), HOUR, m.hex("e0"), m.connect({ version: 5 })]) {
      const { client, got } = await last(rig, m.bytes(HOUR, behind));
      assert.equal(await got(), hexOf(MINUTE));
      await client.expect(m.disconnect({ version: 5, code: 0x82 }));
      await client.expectEndWithoutData();
    }
    await rig.settled();
    assert.ok(rig.ends.every(({ reason }) => reason === "protocol_error"));
  });

  test("half of one is no DISCONNECT: the broker sees none when the client leaves in the middle of it", async (t) => {
    const rig = await start(t, { ...LIMITED, ...AFFINE });
    for (let cut = 1; cut < HOUR.length; cut++) {
      const { client, broker, connect } = await rig.session(expiring(1));
      await client.send(HOUR.subarray(0, cut));
      await client.close();
      await expectReceived(broker, connect);
    }
    await rig.settled();
  });

  test("a stop while one is on its way, and the broker's packet too: what the client gets is whole", async (t) => {
    const rig = await start(t, LIMITED);
    const { client, broker } = await rig.session(expiring(1));
    const message = m.publish({ version: 5, payload: "x".repeat(100) });
    await client.send(HOUR.subarray(0, 5));
    broker.send(message.subarray(0, 50));
    await client.expect(message.subarray(0, 50));
    const stopped = rig.proxy.stop();
    broker.send(message.subarray(50));
    await client.expect(m.bytes(message.subarray(50), m.disconnect({ version: 5, code: 0x8b })));
    await client.expectEndWithoutData();
    await stopped;
  });
});

/** Comes back for the session that was left: on which broker, and whether the proxy knew. */
async function comeBack(rig: Rig): Promise<readonly [broker: string | undefined, decidedBy: string | undefined]> {
  const client = await rig.open();
  await client.send(m.connect({ ...expiring(1), clean: false }));
  await client.takePacket();
  await client.close();
  const { broker, decidedBy } = rig.opens.at(-1)!;
  return [broker, decidedBy];
}

describe("affinity and DISCONNECT", () => {
  test("with an expiry that is longer than CONNECT's, the client finds its broker as long as that", async (t) => {
    const rig = await start(t, AFFINE, [{}, {}]);
    const { client } = await rig.session(expiring(1));
    const home = rig.opens[0]?.broker;
    await client.send(HOUR);
    await client.expectEndWithoutData();
    await until(() => rig.ends.length === 1, 3_000, "the session to end");
    await pause(1_500); // the second that its CONNECT asked for is over
    assert.deepEqual(await comeBack(rig), [home, "affinity"]);
    await rig.settled();
  });

  test("with none any more it is balanced like a new one, also where there is a limit", async (t) => {
    const rig = await start(t, { ...AFFINE, ...LIMITED }, [{}, {}]);
    const { client, broker, connect } = await rig.session(expiring(30));
    await client.send(m.hex("e0 07 00 05 11 00 00 00 00"));
    await expectReceived(broker, m.bytes(connect, m.hex("e0 07 00 05 11 00 00 00 00")));
    await client.expectEndWithoutData();
    await until(() => rig.ends.length === 1, 3_000, "the session to end");
    assert.equal((await comeBack(rig))[1], "round_robin");
    await rig.settled();
  });

  test("without a DISCONNECT, with one that cannot be read, or says nothing of it, CONNECT's expiry holds", async (t) => {
    for (const bytes of [m.hex(""), m.hex("e0 00"), m.hex("e0 07 00 05 11 00 00 00"), m.hex("e0 0c 00 0a 11 00 00 00 00 11 00 00 00 00")]) {
      const rig = await start(t, AFFINE, [{}, {}]);
      const { client } = await rig.session(expiring(600));
      const home = rig.opens[0]?.broker;
      await client.send(bytes);
      await client.close();
      await until(() => rig.ends.length === 1, 3_000, "the session to end");
      assert.deepEqual(await comeBack(rig), [home, "affinity"]);
      await rig.settled();
    }
  });

  test("real brokers: the session that an hour's expiry in DISCONNECT has kept is found again", needs("mosquitto"), async (t) => {
    const brokers = [await startMosquitto(), await startMosquitto()];
    for (const broker of brokers) t.after(() => broker.stop());
    const urls = brokers.map(({ port }) => `mqtt://127.0.0.1:${port}`);
    const rig = await startRig(t, { brokers: [], urls, configure: () => ({ pools: { default: { brokers: urls, ...AFFINE } } }) });
    const client = await rig.open();
    await client.send(m.bytes(m.connect(expiring(1)), m.subscribe([["news", 1]], { version: 5 })));
    await client.takePacket();
    await client.takePacket();
    await client.send(HOUR);
    await client.expectEnd();
    await until(() => rig.ends.length === 1, 3_000, "the session to end");
    await pause(2_500); // mosquitto looks once a second for what CONNECT's expiry has ended
    const again = await rig.open();
    await again.send(m.connect({ ...expiring(1), clean: false }));
    assert.deepEqual((await again.takePacket()).body.subarray(0, 2), Uint8Array.of(1, 0), "the session is present");
  });

  test("real brokers: an hour's expiry in DISCONNECT is over with the limit", needs("mosquitto"), async (t) => {
    const broker = await startMosquitto();
    t.after(() => broker.stop());
    const urls = [`mqtt://127.0.0.1:${broker.port}`];
    const rig = await startRig(t, { brokers: [], urls, configure: () => ({ pools: { default: { brokers: urls, connect: { session_expiry_max: "1s" } } } }) });
    const client = await rig.open();
    await client.send(m.connect(expiring(1)));
    await client.takePacket();
    await client.send(HOUR);
    await client.expectEnd();
    await pause(3_500); // the limit, and the seconds in which mosquitto counts
    const again = await rig.open();
    await again.send(m.connect({ ...expiring(1), clean: false }));
    assert.deepEqual((await again.takePacket()).body.subarray(0, 2), Uint8Array.of(0, 0), "no session is present");
  });
});
