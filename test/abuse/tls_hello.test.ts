import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConfigInput } from "../../src/config/schema.ts";
import { pause, until } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import type { TestScope } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";
import { alpn, extension, helloMessage, records, serverName, vector } from "../transport/tls_hello/hello_bytes.ts";
import { certificateIn, clearHello, type Flight, takeFlight } from "./clear_hello.ts";
import { type Rig, type RigOptions, startRig } from "./rig.ts";

const FILES = "test/fixtures/tls";
const file = (name: string) => ({ cert: `${FILES}/${name}.pem`, key: `${FILES}/${name}.key` });
const TLS = { ...file("server"), certificates: [file("other"), { ...file("self_signed"), names: ["*.wild.example"] }] };
const LISTENERS: NonNullable<ConfigInput["listeners"]> = [
  { name: "mqtts", listen: "mqtts://127.0.0.1:0", tls: TLS },
  { name: "wss", listen: "wss://127.0.0.1:0", tls: TLS },
  { name: "any", listen: "any://127.0.0.1:0", tls: TLS },
];
const [MQTTS, WSS, ANY] = [0, 1, 2] as const;

const start = (scope: TestScope, options: RigOptions = {}): Promise<Rig> =>
  startRig(scope, { configure: () => ({ listeners: LISTENERS }), everyLine: true, enter: (rig) => RawClient.open({ port: rig.port, tls: {} }), ...options });

async function say(rig: Rig, listener: number, hello: Uint8Array): Promise<Flight> {
  const client = await rig.knock(listener);
  await client.send(hello);
  const flight = await takeFlight(client);
  await client.close();
  return flight;
}

/** No control character, no line break, no mark that turns text around: one line of JSON that people can look at. */
function checkLine(line: string): void {
  assert.doesNotMatch(line, /[\p{Cc}\u2028\u2029\u202e]|\\u00|\\[nr]/u);
  JSON.parse(line);
}

const chosen: readonly (readonly [what: string, name: Uint8Array | undefined, certificate: string])[] = [
  ["none", undefined, "server"],
  ["unknown", m.bytes("nobody.example"), "server"],
  ["exact", m.bytes("broker.example"), "other"],
  ["upper case", m.bytes("BROKER.Example"), "other"],
  ["a dot at the end", m.bytes("broker.example."), "other"],
  ["below a wildcard", m.bytes("a.wild.example"), "self_signed"],
  ["two labels below a wildcard", m.bytes("b.a.wild.example"), "server"],
  ["the wildcard's own domain", m.bytes("wild.example"), "server"],
  ["253 bytes", m.bytes(`${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(61)}`), "server"],
  ["an underscore", m.bytes("my_broker.example"), "server"],
];

test("T3: the certificate is chosen by the server name, in any case, with or without its last dot; the first one is for all others", async (t) => {
  const rig = await start(t);
  for (const listener of [MQTTS, WSS, ANY]) {
    for (const [what, name, certificate] of chosen) {
      const flight = await say(rig, listener, clearHello(...(name === undefined ? [] : [serverName(name)])));
      assert.equal(flight.certificate, certificateIn(`${FILES}/${certificate}.pem`), `${what}: alert ${flight.alert}`);
    }
  }
  await rig.canary();
  await rig.settled();
});

const refused: readonly (readonly [what: string, name: Uint8Array])[] = [
  ["empty", m.bytes("")],
  ["256 bytes", m.bytes(`${"a".repeat(63)}.`.repeat(4))],
  ["65 KB promised", m.hex("ffff")],
  ["NUL", m.bytes("broker.example\0.evil.example")],
  ["CR LF (CVE-2023-27493)", m.bytes("a\r\nX-Allow: 1")],
  ["an escape sequence", m.bytes("a\x1b[31m.example")],
  ["UTF-8", m.bytes("brøker.example")],
  ["a bidi override", m.bytes("a\u202e.example")],
  ["not UTF-8", m.hex("ff fe")],
  ["a port", m.bytes("broker.example:8883")],
  ["a wildcard", m.bytes("*.wild.example")],
  ["an empty label", m.bytes("a..example")],
  ["a path", m.bytes("../../etc/passwd")],
  ["a template", m.bytes("${jndi:ldap://x}")],
];

test("T3, I1: a server name that cannot be one is refused, and nothing of it reaches the log", async (t) => {
  const rig = await start(t);
  for (const [what, name] of refused) {
    const client = await rig.knock();
    await client.send(clearHello(serverName(name)));
    await client.expectEndWithoutData(1_000).catch((error: Error) => assert.fail(`${what}: ${error.message}`));
    await client.close();
  }
  const twice = [serverName("a.example"), serverName("b.example")];
  for (const hello of [clearHello(...twice), clearHello(extension(0, vector(2, [0], vector(2, "a.example"), [0], vector(2, "b.example")))), clearHello(extension(0))]) {
    const client = await rig.knock();
    await client.send(hello);
    await client.expectEndWithoutData(1_000);
    await client.close();
  }
  assert.equal(rig.refusals("handshake_failed"), refused.length + 3);
  assert.equal(rig.log.length, refused.length + 3);
  for (const line of rig.log) {
    checkLine(line);
    assert.match(line, /"msg":"127\.0\.0\.1: TLS: [a-z0-9 ]+"/);
  }
  await rig.canary();
  await rig.settled();
});

test("T4: one of ours is agreed on, none is needed, and a client that offers only others is refused", async (t) => {
  const rig = await start(t);
  const served: readonly (readonly [listener: number, offered: readonly string[], agreed: string | undefined])[] = [
    [MQTTS, [], undefined],
    [MQTTS, ["mqtt"], "mqtt"],
    [MQTTS, ["x-amzn-mqtt-ca"], "x-amzn-mqtt-ca"],
    [MQTTS, ["h2", "http/1.1", "mqtt"], "mqtt"],
    [MQTTS, [...Array.from({ length: 1_000 }, (_, index) => `other-${index}`), "mqtt"], "mqtt"],
    [WSS, ["http/1.1"], "http/1.1"],
    [WSS, ["h2", "http/1.1"], "http/1.1"],
    [ANY, ["http/1.1"], "http/1.1"],
    [ANY, ["mqtt"], "mqtt"],
  ];
  for (const [listener, offered, agreed] of served) {
    const flight = await say(rig, listener, clearHello(...(offered.length === 0 ? [] : [alpn(...offered)])));
    assert.equal(flight.alpn, agreed);
    assert.ok(flight.certificate !== undefined, `${listener} ${offered.slice(0, 5).join()}: alert ${flight.alert}`);
  }
  const others: readonly (readonly [number, readonly (string | Uint8Array)[]])[] = [
    [MQTTS, ["http/1.1"]], [MQTTS, ["MQTT"]], [MQTTS, ["mqt"]], [MQTTS, ["mqttt"]], [MQTTS, [m.hex("0a0a")]], [MQTTS, ["\r\nmqtt"]],
    [WSS, ["mqtt"]], [WSS, ["h2"]], [ANY, ["h2"]],
  ];
  for (const [listener, offered] of others) {
    const flight = await say(rig, listener, clearHello(alpn(...offered)));
    assert.equal(flight.certificate, undefined, `${listener} ${String(offered)}`);
  }
  const lines = () => rig.log.filter((line) => line.includes("handshake_failed") && line.includes("no common application protocol (ALPN)")).length;
  await until(() => lines() === others.length, 2_000, `a line for each of ${others.length}`);
  for (const line of rig.log.filter((each) => each.includes("client.reject"))) checkLine(line);
  await rig.canary();
  await rig.settled();
});

test("T4: an ALPN list that is empty, lies or has 65 KB is refused before TLS sees it", async (t) => {
  const rig = await start(t);
  const lists = [
    clearHello(extension(16)),
    clearHello(extension(16, vector(2))),
    clearHello(extension(16, vector(2, [0]))),
    clearHello(extension(16, vector(2, [200], "mqtt"))),
    clearHello(alpn("mqtt"), alpn("mqtt")),
    records(helloMessage({ extensions: [alpn(...Array.from({ length: 250 }, () => "x".repeat(255)))] })),
  ];
  for (const [index, hello] of lists.entries()) {
    const client = await rig.knock();
    await client.send(hello).catch(() => {});
    await client.expectEndWithoutData(1_000).catch((error: Error) => assert.fail(`list ${index}: ${error.message}`));
    await client.close();
  }
  assert.equal(rig.refusals("handshake_failed"), lists.length);
  await rig.canary();
  await rig.settled();
});

test("T2: silence, a half hello, one byte at a time and silence behind a hello: all end with handshake_timeout, once, while others are served", async (t) => {
  const rig = await start(t, { limits: { handshake_timeout: "500ms" } });
  await rig.canary();
  await rig.markBase();
  const hello = clearHello(serverName("localhost"));
  const begin = performance.now();
  const waits: Promise<void>[] = [];
  for (const listener of [MQTTS, WSS, ANY]) {
    for (const bytes of [new Uint8Array(0), hello.subarray(0, 1), hello.subarray(0, 60), hello]) {
      waits.push((async () => {
        const client = await rig.knock(listener);
        if (bytes.length > 0) await client.send(bytes);
        await client.expectEnd(4_000);
        await client.close();
      })());
    }
    waits.push((async () => {
      const client = await rig.knock(listener);
      for (const byte of hello) {
        await client.send(Uint8Array.of(byte)).catch(() => {});
        await Promise.race([pause(30), client.expectEnd(5_000)]);
        if (client.ending !== "open") break;
      }
      await client.close();
    })());
  }
  let canaries = 0;
  for (; performance.now() - begin < 400; canaries++) await rig.canary();
  assert.ok(canaries > 1);
  await Promise.all(waits);
  assert.ok(performance.now() - begin < 3_000);
  assert.equal(rig.refusals("connect_timeout"), waits.length);
  assert.equal(rig.contacts.length, 0);
  await rig.canary();
  await rig.settled();
});

test("T13: TLS records after the hello that are none, and a flood of them, end the handshake and nothing else", async (t) => {
  const rig = await start(t, { limits: { handshake_timeout: "1s" } });
  await rig.canary();
  await rig.markBase();
  const hello = clearHello(serverName("localhost"));
  const junk = m.bytes(...Array.from({ length: 2_000 }, () => records(new Uint8Array(1_000).fill(0x55))));
  for (const behind of [m.connect(), new Uint8Array(100_000), junk, m.hex("15 03 03 00 02 02 28"), m.hex("17 03 03 00 10"), m.hex("14 03 03 00 01 01")]) {
    const client = await rig.knock();
    client.send(m.bytes(hello, behind)).catch(() => {});
    await client.expectEnd(2_500);
    await client.close();
  }
  assert.equal(rig.refusals("handshake_failed") + rig.refusals("connect_timeout") + rig.refusals("client_lost"), 6);
  assert.equal(rig.contacts.length, 0);
  await rig.canary();
  await rig.settled();
});
