import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConfigInput } from "../../src/config/schema.ts";
import { pause, until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import type { TestScope } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";
import { goodbye } from "../transport/websocket/frames.ts";
import { type Headers, KEY, request } from "../transport/websocket/heads.ts";
import { type Rig, type RigOptions, startRig } from "./rig.ts";
import { masked, takeAnswer, WebSocketClient } from "./web_socket_client.ts";

/*
 * Through the whole proxy. What concerns frames alone is tried where they are read (test/transport/websocket/): W1 by frame_reader.test.ts,
 * stalls.test.ts and the ws package's own client and server, W7 by server_upgrade.test.ts; the rest of W stands there as well as here.
 */

const PAIR = { cert: "test/fixtures/tls/server.pem", key: "test/fixtures/tls/server.key" };
const PAGES = { origins: ["https://app.example.com", "https://*.pages.example.com"] };
/** Honest clients come by TCP. */
const LISTENERS: NonNullable<ConfigInput["listeners"]> = [
  { listen: "mqtt://127.0.0.1:0" },
  { listen: "ws://127.0.0.1:0/broker", websocket: PAGES },
  { listen: "wss://127.0.0.1:0/broker", tls: PAIR, websocket: PAGES },
];
const [WS, WSS] = [1, 2] as const;
const ON_PATH = "GET /broker HTTP/1.1";

const start = (scope: TestScope, options: RigOptions = {}): Promise<Rig> =>
  startRig(scope, { configure: () => ({ listeners: LISTENERS }), everyLine: true, enter: (rig, more) => RawClient.open({ port: rig.port, ...more }), ...options });

async function knock(rig: Rig, listener: number): Promise<RawClient> {
  return rig.keep(await RawClient.open({ port: rig.portOf(listener), ...(listener === WSS && { tls: {} }) }));
}

async function enter(rig: Rig, listener: number, options: Parameters<typeof WebSocketClient.upgrade>[1] = {}): Promise<WebSocketClient> {
  return WebSocketClient.upgrade(await knock(rig, listener), { firstLine: ON_PATH, ...options });
}

test("W2: the first subprotocol that is spoken here is answered, in either name", async (t) => {
  const rig = await start(t);
  for (const listener of [WS, WSS]) {
    for (const [offered, agreed] of [["mqtt", "mqtt"], ["mqttv3.1", "mqttv3.1"], ["soap, mqttv3.1, mqtt", "mqttv3.1"], ["wamp,mqtt", "mqtt"]] as const) {
      const socket = await enter(rig, listener, { headers: { "Sec-WebSocket-Protocol": offered } });
      assert.equal(socket.headers.get("sec-websocket-protocol"), agreed);
      assert.equal(socket.headers.get("sec-websocket-extensions"), undefined);
      await socket.send(m.connect());
      await socket.expect(m.connack());
      await socket.client.close();
    }
  }
  await rig.settled();
});

const refusals: readonly (readonly [what: string, status: number, bytes: Uint8Array])[] = [
  ["W2: no subprotocol", 400, request({ "Sec-WebSocket-Protocol": undefined }, ON_PATH)],
  ["W2: others only", 400, request({ "Sec-WebSocket-Protocol": "soap, MQTT, mqtt5" }, ON_PATH)],
  ["W9: a page that is not allowed", 403, request({ Origin: "https://evil.example.com" }, ON_PATH)],
  ["W9: a page that looks like one", 403, request({ Origin: "https://evil.example/.pages.example.com" }, ON_PATH)],
  ["W9: another path", 404, request({}, "GET /mqtt HTTP/1.1")],
  ["W9: a longer path", 404, request({}, "GET /broker/ HTTP/1.1")],
  ["W9: a path with dots", 404, request({}, "GET /x/../broker HTTP/1.1")],
  ["W9: another's Host twice", 400, request({ Host: ["a.example", "b.example"] }, ON_PATH)],
  ["W9: no Host", 400, request({ Host: undefined }, ON_PATH)],
  ["W9: HTTP/1.0", 400, request({}, "GET /broker HTTP/1.0")],
  ["W9: HTTP/2.0", 505, request({}, "GET /broker HTTP/2.0")],
  ["W9: POST", 405, request({}, "POST /broker HTTP/1.1")],
  ["W9: no Upgrade", 426, request({ Upgrade: undefined }, ON_PATH)],
  ["W9: another Upgrade", 426, request({ Upgrade: "h2c" }, ON_PATH)],
  ["W9: no Connection", 400, request({ Connection: "keep-alive" }, ON_PATH)],
  ["W9: a smuggled body", 400, m.bytes(request({ "Content-Length": "25" }, ON_PATH), m.connect())],
  ["W9: a smuggled chunked body", 400, m.bytes(request({ "Transfer-Encoding": "chunked" }, ON_PATH), "19\r\n", m.connect())],
  ["W9: a version that is none", 426, request({ "Sec-WebSocket-Version": "8" }, ON_PATH)],
  ["W9: a key that is none", 400, request({ "Sec-WebSocket-Key": KEY.slice(4) }, ON_PATH)],
  ["W8: 3,000 headers", 431, m.bytes(`${ON_PATH}\r\n`, "a: b\r\n".repeat(3_000))],
  ["W8: a line of a megabyte", 431, m.bytes(`${ON_PATH}\r\nHost: `, "a".repeat(1_000_000))],
];

test("W2, W8, W9: what is no upgrade to us gets its status, a line and a count, and no broker hears of it", async (t) => {
  const rig = await start(t);
  for (const listener of [WS, WSS]) {
    for (const [what, status, bytes] of refusals) {
      const [count, lines] = [rig.refusals("wrong_protocol"), rig.log.length];
      const client = await knock(rig, listener);
      client.send(bytes).catch(() => {});
      const answer = await takeAnswer(client).catch((error: Error) => assert.fail(`${what}: ${error.message}`));
      assert.equal(answer.status, status, what);
      await client.expectEnd(3_000);
      assert.equal(client.received.length, 0, what);
      await client.close();
      assert.equal(rig.refusals("wrong_protocol"), count + 1, what);
      assert.equal(rig.log.length, lines + 1, what);
      assert.doesNotMatch(rig.log.at(-1) as string, /evil|smuggled|\\u00/);
    }
  }
  assert.equal(rig.contacts.length, 0);
  await rig.canary();
  await rig.settled();
});

test("W9: MQTT without WebSocket, and TLS where none is, are named", async (t) => {
  const rig = await start(t);
  for (const [listener, bytes, why] of [
    [WS, m.connect(), "MQTT without WebSocket on a listener for ws"],
    [WSS, m.connect(), "MQTT without WebSocket on a listener for wss"],
    [WS, m.hex("16 03 01 00 05 01 00 00 01 03"), "a TLS handshake on a listener for ws"],
    [WS, m.hex("00 01 02"), "what came is not HTTP"],
  ] as const) {
    const client = await knock(rig, listener);
    await client.send(bytes);
    assert.equal((await takeAnswer(client)).status, 400, why);
    await client.close();
    await rig.line(why);
    rig.forgetLines();
  }
  await rig.settled();
});

test("W9: allowed pages, and programs that are no page, come in", async (t) => {
  const rig = await start(t);
  const allowed: readonly Headers[] = [{ Origin: "https://app.example.com" }, { Origin: "HTTPS://a.b.Pages.example.com" }, { Origin: undefined }];
  for (const headers of allowed) {
    const socket = await enter(rig, WS, { headers });
    await socket.send(m.connect());
    await socket.expect(m.connack());
    await socket.client.close();
  }
  await rig.settled();
});

test("W13: addresses that a client says of itself in headers are not believed", async (t) => {
  const rig = await start(t);
  const headers = { "X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9", Forwarded: "for=203.0.113.9", "X-Client-Cert": "CN=admin", "True-Client-IP": "203.0.113.9" };
  const socket = await enter(rig, WS, { headers });
  await socket.send(m.connect());
  await socket.expect(m.connack());
  const info = rig.opens.at(-1);
  assert.deepEqual([info?.address, info?.port, info?.proxyAddress, info?.tls], ["127.0.0.1", socket.client.socket.localPort, undefined, undefined]);
  await socket.client.close();
  await rig.settled();
  assert.ok(rig.log.every((line) => !line.includes("203.0.113.9")));
});

test("W10: MQTT in the segment of the upgrade reaches the broker, whole and in order", async (t) => {
  const rig = await start(t);
  for (const listener of [WS, WSS]) {
    const index = rig.broker.connections.length;
    const said = [m.connect(), m.publish({ qos: 1, packetId: 5 }), m.pingreq()];
    const socket = await enter(rig, listener, { behind: m.bytes(...said.map((packet) => masked(packet))) });
    await socket.expect(m.bytes(m.connack(), m.puback(5), m.pingresp()));
    assert.deepEqual((await rig.broker.connection(index)).received, m.bytes(...said));
    await socket.client.close();
  }
  await rig.settled();
});

test("W4: packets over three frames, five in one, a byte a frame, empty frames and pings between fragments are the same stream", async (t) => {
  const rig = await start(t);
  const packets = [m.connect(), m.publish({ qos: 1, packetId: 1, payload: new Uint8Array(300) }), m.publish({ qos: 1, packetId: 2 }), m.pingreq(), m.publish({ qos: 1, packetId: 3 })];
  const stream = m.bytes(...packets);
  const half = Math.floor(stream.length / 2);
  const ways: readonly Uint8Array[] = [
    masked(stream),
    m.bytes(...Array.from(stream, (byte) => masked(Uint8Array.of(byte)))),
    m.bytes(masked(stream.subarray(0, 3), { final: false }), masked("are you there", { opcode: 9 }), masked(stream.subarray(3, half), { opcode: 0, final: false }), masked("", { opcode: 0, final: false }), masked(stream.subarray(half), { opcode: 0 })),
    m.bytes(masked(), masked(stream.subarray(0, half)), masked(), masked(stream.subarray(half)), masked()),
  ];
  for (const bytes of ways) {
    const index = rig.broker.connections.length;
    const socket = await enter(rig, WS);
    await socket.client.send(bytes);
    await socket.expect(m.bytes(m.connack(), m.puback(1), m.puback(2), m.pingresp(), m.puback(3)));
    assert.deepEqual((await rig.broker.connection(index)).received, stream);
    await socket.client.close();
  }
  await rig.settled();
});

const violations: readonly (readonly [what: string, code: number, bytes: Uint8Array])[] = [
  ["W3: text", 1003, masked("hello", { opcode: 1 })],
  ["W6: not masked", 1002, masked(m.pingreq(), { key: undefined as never })],
  ["W6: a reserved bit", 1002, masked(m.pingreq(), { reserved: 4 })],
  ["W6: a fragmented ping", 1002, masked("", { opcode: 9, final: false })],
  ["W6: an unknown opcode", 1002, masked("", { opcode: 3 })],
  ["W6: 2^63 bytes", 1002, masked("", { lengthBits: 64, length: 1n << 63n })],
];

test("W3, W6: a peer that breaks a rule is told its code; the broker sees an end without DISCONNECT, and nothing of the frame", async (t) => {
  const rig = await start(t);
  for (const [what, code, bytes] of violations) {
    const early = await enter(rig, WS);
    await early.client.send(bytes);
    assert.equal(await early.closeCode(), code, what);
    await early.client.expectEnd(2_000);
    await early.client.close();

    const index = rig.broker.connections.length;
    const socket = await enter(rig, WS);
    const said = m.bytes(m.connect(), m.publish());
    await socket.send(said);
    await socket.expect(m.connack());
    await socket.client.send(bytes);
    assert.equal(await socket.closeCode(), code, what);
    const broker = await rig.broker.connection(index);
    await broker.untilEnded();
    assert.deepEqual(broker.received, said, what);
    await socket.client.close();
    await rig.line("client.close", "WebSocket: ");
    rig.forgetLines();
  }
  await rig.settled();
});

test("W5, CVE-2026-25627: a packet that says 4096 and has three bytes in its message is waited for, and what comes later is its rest", async (t) => {
  const rig = await start(t, { limits: { connect_timeout: "500ms" } });
  const index = rig.broker.connections.length;
  const socket = await enter(rig, WS);
  const publish = m.publish({ payload: new Uint8Array(4_096 - 12).fill(7) });
  await socket.send(m.connect());
  await socket.expect(m.connack());
  await socket.send(publish.subarray(0, 6));
  await socket.send(m.bytes(publish.subarray(6), m.pingreq()));
  await socket.expect(m.pingresp());
  assert.deepEqual((await rig.broker.connection(index)).received, m.bytes(m.connect(), publish, m.pingreq()));
  await socket.client.close();

  const stuck = await enter(rig, WS);
  await stuck.send(m.hex("10 80 20 00 04 4d"));
  await stuck.client.expectEnd(2_000);
  await rig.line("connect_timeout");
  await rig.settled();
});

test("W11: an upgrade that is never whole, or comes byte by byte, ends with handshake_timeout; what a refused client still says is dropped", async (t) => {
  const rig = await start(t, { limits: { handshake_timeout: "500ms" } });
  await rig.canary();
  await rig.markBase();
  const begin = performance.now();
  const head = request({}, ON_PATH);
  const waits = [WS, WSS].flatMap((listener) => [
    ...[new Uint8Array(0), head.subarray(0, 1), head.subarray(0, -2)].map(async (bytes) => {
      const client = await knock(rig, listener);
      if (bytes.length > 0) await client.send(bytes);
      await client.expectEndWithoutData(2_000);
      await client.close();
    }),
    (async () => {
      const client = await knock(rig, listener);
      for (const byte of head) {
        await client.send(Uint8Array.of(byte)).catch(() => {});
        await Promise.race([pause(30), client.expectEnd(5_000)]);
        if (client.ending !== "open") break;
      }
      await client.close();
    })(),
  ]);
  await Promise.all(waits);
  assert.ok(performance.now() - begin < 3_000);
  assert.equal(rig.refusals("connect_timeout"), waits.length);
  assert.equal(rig.contacts.length, 0);
  // Told 404, and it does not close but talks on.
  const stubborn = rig.keep(await RawClient.open({ port: rig.portOf(WS), allowHalfOpen: true }));
  await stubborn.send(request({}, "GET /nothing HTTP/1.1"));
  await until(() => stubborn.received.length > 0, 1_000, "the answer");
  for (let count = 0; count < 5; count++) await stubborn.send(new Uint8Array(10_000)).catch(() => {});
  await stubborn.close();
  await rig.settled();
});

test("W12: a Close frame, a FIN and a RST are each an end without DISCONNECT; ours is 1000, and 1001 when sluice stops", async (t) => {
  const rig = await start(t);
  const ends: readonly (readonly [what: string, end: (socket: WebSocketClient) => Promise<void>, code: number | undefined])[] = [
    ["Close 1000", (socket) => socket.client.send(masked(goodbye(1000), { opcode: 8 })), 1000],
    ["Close 1001", (socket) => socket.client.send(masked(goodbye(1001, "away"), { opcode: 8 })), 1001],
    ["Close without a code", (socket) => socket.client.send(masked("", { opcode: 8 })), undefined],
    ["FIN", async (socket) => socket.client.end(), undefined],
    ["RST", async (socket) => socket.client.reset(), undefined],
  ];
  for (const [what, end, code] of ends) {
    const index = rig.broker.connections.length;
    const socket = await enter(rig, WS);
    await socket.send(m.connect());
    await socket.expect(m.connack());
    await end(socket);
    const broker = await rig.broker.connection(index);
    await broker.untilEnded();
    assert.deepEqual(broker.received, m.connect(), what);
    if (code !== undefined) assert.equal(await socket.closeCode(), code, what);
    await socket.client.close();
  }
  const disconnecting = await enter(rig, WS);
  await disconnecting.send(m.bytes(m.connect(), m.disconnect()));
  await disconnecting.expect(m.connack());
  assert.equal(await disconnecting.closeCode(), 1000); // the broker closes
  await disconnecting.client.close();

  const [five, four] = [await enter(rig, WS), await enter(rig, WSS)];
  await five.send(m.connect({ version: 5 }));
  await five.expect(m.connack({ version: 5 }));
  await four.send(m.connect());
  await four.expect(m.connack());
  const stopping = rig.proxy.stop();
  await five.expect(m.hex("e0 02 8b 00"));
  assert.equal(await five.closeCode(), 1001);
  await five.client.close();
  await stopping;
  await four.client.expectEnd(); // MQTT 3.x is cut when the time to drain is over
  assert.equal(rig.proxy.sessionCount, 0);
});
