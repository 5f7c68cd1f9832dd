import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import type { ConfigInput } from "../../src/config/schema.ts";
import { pause } from "../support/deadline.ts";
import * as m from "../support/mqtt_bytes.ts";
import type { TestScope } from "../support/process.ts";
import { RawClient } from "../support/raw_client.ts";
import * as header from "../transport/proxy_protocol/header_bytes.ts";
import { frame } from "../transport/websocket/frames.ts";
import { request } from "../transport/websocket/heads.ts";
import { Relay } from "./relay.ts";
import { type Rig, type RigOptions, startRig } from "./rig.ts";
import { temporaryFolder } from "../support/temporary_folder.ts";

const PAIR = { cert: "test/fixtures/tls/server.pem", key: "test/fixtures/tls/server.key" };
const HERE = ["127.0.0.0/8"];
const ELSEWHERE = ["10.0.0.0/8", "unix", "::/0"];
const V1 = m.bytes("PROXY TCP4 192.0.2.1 198.51.100.2 50000 1883\r\n");
const V2 = header.version2(header.PROXY, header.TCP4, header.ENDS4);
const V2_IPV6 = header.version2(header.PROXY, header.TCP6, header.ENDS6);
const LOCAL = header.version2(header.LOCAL, 0);

type Listeners = NonNullable<ConfigInput["listeners"]>;

/** A listener for each number of the tests; honest clients come through the first, which wants a header. */
const LISTENERS: Listeners = [
  { name: "required", listen: "mqtt://127.0.0.1:0", proxy_protocol: { from: HERE } },
  { name: "optional", listen: "mqtt://127.0.0.1:0", proxy_protocol: { from: HERE, mode: "optional" } },
  { name: "required of others", listen: "mqtt://127.0.0.1:0", proxy_protocol: { from: ELSEWHERE } },
  { name: "optional for others", listen: "mqtt://127.0.0.1:0", proxy_protocol: { from: ELSEWHERE, mode: "optional" } },
  { name: "tls", listen: "mqtts://127.0.0.1:0", tls: PAIR, proxy_protocol: { from: HERE } },
  { name: "any", listen: "any://127.0.0.1:0", tls: PAIR, proxy_protocol: { from: HERE, mode: "optional" } },
  { name: "ws", listen: "ws://127.0.0.1:0", proxy_protocol: { from: HERE } },
  { name: "certificates", listen: "mqtts://127.0.0.1:0", tls: { ...PAIR, ca: "test/fixtures/tls/clients/ca.pem" }, proxy_protocol: { from: HERE } },
  { name: "plain", listen: "mqtt://127.0.0.1:0" },
];
const [REQUIRED, OPTIONAL, REQUIRED_OF_OTHERS, OPTIONAL_FOR_OTHERS, TLS, ANY, WS, CERTIFICATES, PLAIN] = LISTENERS.map((_, index) => index) as [number, number, number, number, number, number, number, number, number];

const start = (scope: TestScope, options: RigOptions = {}): Promise<Rig> =>
  startRig(scope, {
    configure: () => ({ listeners: LISTENERS }),
    everyLine: true,
    async enter(rig, more) {
      const client = await RawClient.open({ port: rig.port, ...more });
      await client.send(V1);
      return client;
    },
    ...options,
  });

/** Says all of this at once, and is served. */
async function served(rig: Rig, listener: number, ...parts: readonly Uint8Array[]): Promise<RawClient> {
  const client = await rig.knock(listener);
  await client.send(m.bytes(...parts, m.connect()));
  await client.expect(m.connack());
  return client;
}

/** Says it and is turned away without a byte, with a line in the log that says this. */
async function turnedAway(rig: Rig, listener: number, said: Uint8Array, ...words: readonly string[]): Promise<void> {
  const [lines, contacts] = [rig.log.length, rig.contacts.length];
  const refusals = [...rig.proxy.refusals.values()].reduce((sum, count) => sum + count, 0);
  const client = await rig.knock(listener).catch(() => undefined); // the RST can be there before the connection is
  await client?.send(said).catch(() => {});
  await client?.expectEndWithoutData(1_000).catch((error: Error) => assert.fail(`${words.join(" ")}: ${error.message}`));
  await client?.close();
  assert.equal(rig.contacts.length, contacts);
  const line = await rig.line(...words);
  assert.equal(rig.log.length, lines + 1, rig.log.slice(lines).join("\n"));
  assert.equal(rig.log.at(-1), line);
  assert.equal([...rig.proxy.refusals.values()].reduce((sum, count) => sum + count, 0), refusals + 1);
  rig.forgetLines();
}

test("the address that a header carries is the client's: in the session, its log lines and its end, however it is cut", async (t) => {
  const rig = await start(t);
  const cases = [
    [V1, "192.0.2.1", 50_000],
    [V2, "192.0.2.1", 50_000],
    [V2_IPV6, "2001:db8::1", 50_000],
    [m.bytes("PROXY TCP6 ::ffff:192.0.2.7 ::1 65535 1\r\n"), "192.0.2.7", 65_535],
    [header.version2(header.PROXY, 0x31, new Uint8Array(216).fill(0x41)), "unix", 0],
  ] as const;
  for (const listener of [REQUIRED, OPTIONAL]) {
    for (const [bytes, address, port] of cases) {
      for (const isWhole of bytes.length < 100 ? [true, false] : [true]) {
        const client = await rig.knock(listener);
        const said = m.bytes(bytes, m.connect(), m.publish({ qos: 1, packetId: 3 }));
        if (isWhole) await client.send(said);
        else await client.sendByteByByte(said, 0);
        await client.expect(m.bytes(m.connack(), m.puback(3)));
        const info = rig.opens.at(-1);
        assert.deepEqual([info?.address, info?.port, info?.proxyAddress, info?.transport], [address, port, "127.0.0.1", "mqtt"]);
        const line = JSON.parse(await rig.line("client.open", `"client.address":"${address}"`)) as Record<string, unknown>;
        assert.deepEqual([line["client.port"], line["proxy.address"]], [port, "127.0.0.1"]);
        const ends = rig.ends.length;
        await client.send(m.disconnect());
        await client.expectEnd();
        await client.close();
        await rig.line("client.close", address);
        assert.deepEqual([rig.ends.length, rig.ends.at(-1)?.address], [ends + 1, address]);
        rig.forgetLines();
      }
    }
  }
  await rig.settled();
});

test("LOCAL, UNKNOWN and no header where none is required: the connection's own address counts", async (t) => {
  const rig = await start(t);
  const headers = [LOCAL, header.version2(header.LOCAL, header.TCP4, header.ENDS4, "whatever"), header.version2(header.PROXY, 0, "\0\xff?"), m.bytes("PROXY UNKNOWN\r\n"), m.bytes("PROXY UNKNOWN 1.2.3.4 \0 9\r\n")];
  for (const listener of [REQUIRED, OPTIONAL]) {
    for (const each of headers) {
      const client = await served(rig, listener, each);
      assert.deepEqual([rig.opens.at(-1)?.address, rig.opens.at(-1)?.port, rig.opens.at(-1)?.proxyAddress], ["127.0.0.1", client.socket.localPort, undefined]);
    }
  }
  for (const listener of [OPTIONAL, OPTIONAL_FOR_OTHERS, PLAIN]) {
    const client = await served(rig, listener);
    assert.deepEqual([rig.opens.at(-1)?.address, rig.opens.at(-1)?.port, rig.opens.at(-1)?.proxyAddress], ["127.0.0.1", client.socket.localPort, undefined]);
  }
  await rig.settled();
});

test("I7, W13: a header from who is not trusted is believed by no listener, and a required one cannot be left out", async (t) => {
  const rig = await start(t);
  for (const bytes of [V1, V2, LOCAL]) {
    for (const listener of [OPTIONAL_FOR_OTHERS, PLAIN]) await turnedAway(rig, listener, m.bytes(bytes, m.connect()), "client.reject", '"client.address":"127.0.0.1"', "protocol");
    await turnedAway(rig, REQUIRED_OF_OTHERS, m.bytes(bytes, m.connect()), '"client.address":"127.0.0.1"', "not from a network whose PROXY header is trusted");
  }
  await turnedAway(rig, REQUIRED_OF_OTHERS, m.connect(), "not from a network whose PROXY header is trusted");
  for (const listener of [REQUIRED, TLS, WS, CERTIFICATES]) {
    for (const bytes of [m.connect(), m.hex("16 03 01 00 05 01 00 00 01 03"), request()]) await turnedAway(rig, listener, bytes, "PROXY header: neither version 1 nor version 2");
  }
  await rig.canary();
  await rig.settled();
});

test("I7: headers that are wrong are refused in our own words, whatever stands in them", async (t) => {
  const rig = await start(t);
  const evil = "\r\n\x1b[31m\u2028";
  const cases: readonly (readonly [Uint8Array, string])[] = [
    [m.bytes("PROXY TCP4 256.0.0.1 1.1.1.1 1 2\r\n"), "version 1: an address or port that is none"],
    [m.bytes("PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n"), "version 1: an address or port that is none"],
    [m.bytes("PROXY TCP4 127.0.0.1\x1b[2J 1.1.1.1 1 2\r\n"), "version 1: an address or port that is none"],
    [m.bytes(`PROXY TCP4 ${"1".repeat(107)}`), "version 1: more than 107 bytes"],
    [m.bytes("PROXY TCP4 1.1.1.1 1.1.1.1 1 2\n"), "version 1: LF without CR"],
    [header.version2(0x31, header.TCP4, header.ENDS4), "version 2: version 3"],
    [header.version2(0x22, header.TCP4, header.ENDS4), "version 2: command 2"],
    [header.version2(header.PROXY, 0x12, header.ENDS4), "version 2: family 1 with protocol 2"],
    [header.version2(header.PROXY, header.TCP4, header.ENDS4.subarray(0, 11)), "version 2: a length of 11"],
    [m.bytes(header.SIGNATURE, [header.PROXY, header.TCP4, 0xff, 0xff]), "version 2: a length of 65535"],
    [header.withFields(header.field(2, "a.example", 500)), "version 2: authority is cut short"],
    [header.withFields(header.field(2, `a.example${evil}X-Allow: 1`)), "version 2: authority is no host name"],
    [header.withFields(header.field(2, "\0")), "version 2: authority is no host name"],
    [header.withFields(header.field(1, `mqtt${evil}`)), "version 2: ALPN is not of 1 to 255 printable"],
    [header.withFields(header.tlsField(5, 0, header.field(0x22, `me${evil}`))), "version 2: common name holds control characters"],
    [header.withFields(header.tlsField(5, 0, header.field(0x22, [0xff, 0xfe]))), "version 2: common name is not valid UTF-8"],
    [header.withFields(header.tlsField(5, 0, header.field(0x21, `TLSv1.3${evil}`))), "version 2: TLS version is not of 1 to 255 printable"],
    [header.withFields(header.field(3, [1, 2, 3, 4])), "version 2: CRC32c does not fit"],
    [header.withFields(header.field(2, "a.example"), header.field(2, "b.example")), "version 2: authority twice"],
  ];
  for (const listener of [REQUIRED, OPTIONAL, TLS, ANY, WS]) {
    for (const [bytes, words] of cases) await turnedAway(rig, listener, m.bytes(bytes, m.connect()), `PROXY header: ${words}`, '"client.address":"127.0.0.1"');
  }
  await rig.canary();
  await rig.settled();
});

test("a second header is what the listener does not speak, and no other address comes of it", async (t) => {
  const rig = await start(t);
  for (const first of [V1, V2, LOCAL]) {
    for (const second of [V1, V2, LOCAL]) {
      const said = m.bytes(first, second, m.connect());
      const words = first === LOCAL ? '"client.address":"127.0.0.1"' : '"client.address":"192.0.2.1"';
      for (const listener of [REQUIRED, OPTIONAL, TLS, ANY]) await turnedAway(rig, listener, said, "protocol", words);
    }
  }
  await rig.canary();
  await rig.settled();
});

test("a header and a ClientHello in one segment, and what one proxy says of TLS is no certificate for ours", async (t) => {
  const rig = await start(t);
  const told = header.withFields(header.field(1, "other"), header.field(2, "told.example"), header.tlsField(5, 0, header.field(0x21, "TLSv1.2"), header.field(0x22, "admin")));
  for (const listener of [TLS, ANY]) {
    for (const bytes of [V1, V2, told]) {
      const client = rig.keep(await RawClient.open({ port: (await Relay.start(t, rig.portOf(listener), bytes)).port, tls: {} }));
      await client.send(m.connect());
      await client.expect(m.connack());
      const info = rig.opens.at(-1);
      assert.deepEqual([info?.address, info?.port, info?.proxyAddress, info?.transport], ["192.0.2.1", 50_000, "127.0.0.1", "mqtts"]);
      assert.deepEqual([info?.tls?.serverName, info?.tls?.alpn, info?.tls?.certificate], ["localhost", undefined, undefined]);
      await client.close();
    }
  }
  const stranger = rig.keep(await RawClient.open({ port: (await Relay.start(t, rig.portOf(CERTIFICATES), told)).port, tls: {} }).catch(() => rig.knock(PLAIN)));
  await stranger.send(m.connect()).catch(() => {});
  await rig.line("client.reject", "the client gave no certificate", '"client.address":"192.0.2.1"');
  assert.equal(rig.refusals("handshake_failed"), 1);
  await rig.settled();
});

test("I1: what a trusted proxy tells of TLS arrives as facts; only a verified name counts, and none is raw in a log line", async (t) => {
  const rig = await start(t);
  const tls = (client: number, verify: number, name: string) =>
    header.withFields(header.field(1, "mqtt"), header.field(2, "A.Example."), header.tlsField(client, verify, header.field(0x21, "TLSv1.3"), header.field(0x22, name)));
  await served(rig, REQUIRED, tls(5, 0, "#/+ \u2028\u202ename"));
  const facts = rig.opens.at(-1)?.tls;
  assert.deepEqual([facts?.version, facts?.serverName, facts?.alpn, facts?.certificate?.commonName, facts?.certificate?.fingerprint], ["1.3", "a.example", "mqtt", "#/+ \u2028\u202ename", undefined]);
  const line = await rig.line("client.open", '"tls.server_name":"a.example"', '"tls.client.common_name"');
  assert.doesNotMatch(line, /[\u2028\u202e]|\\u20/);
  for (const bytes of [tls(5, 1, "admin"), tls(1, 0, "admin"), tls(4, 0xffffffff, "admin")]) {
    await served(rig, REQUIRED, bytes);
    assert.equal(rig.opens.at(-1)?.tls?.certificate, undefined);
  }
  await served(rig, REQUIRED, tls(0, 0, "admin"));
  // No TLS, it says: what else it tells of the name that was asked for still counts, and nobody's name is taken from it.
  assert.deepEqual(rig.opens.at(-1)?.tls, { version: undefined, serverName: "a.example", alpn: "mqtt", certificate: undefined });
  await rig.settled();
});

test("an upgrade behind a header, in one segment with it and with MQTT", async (t) => {
  const rig = await start(t);
  for (const listener of [WS, ANY]) {
    const client = await rig.knock(listener);
    await client.send(m.bytes(V2, request({ "X-Forwarded-For": "203.0.113.9", Forwarded: "for=203.0.113.9" }), frame(m.connect(), { key: [1, 2, 3, 4] })));
    await (await rig.broker.connection(rig.broker.connections.length)).untilReceived(m.connect().length);
    await rig.line("client.open", '"client.address":"192.0.2.1"', '"proxy.address":"127.0.0.1"', '"transport":"ws"');
    rig.forgetLines();
    await client.close();
  }
  await rig.settled();
});

test("the checks of another proxy, with LOCAL or its clients' header, are no line in the log", async (t) => {
  const rig = await start(t);
  for (const listener of [REQUIRED, OPTIONAL, TLS, ANY, WS]) {
    for (const bytes of [V1, V2, LOCAL, new Uint8Array(0)]) {
      const client = await rig.knock(listener);
      if (bytes.length > 0) await client.send(bytes);
      client.end();
      await client.expectEnd(1_000);
      await client.close();
    }
  }
  await rig.settled();
  assert.deepEqual(rig.log, []);
  assert.equal(rig.proxy.refusals.size, 0);
});

test("who has no client id goes where its own address says, not that of the proxy before us", async (t) => {
  const rig = await start(t, {
    brokers: [{}, {}, {}],
    configure: (urls) => ({ listeners: LISTENERS, pools: { default: { balance: "client_id", brokers: [...urls] } } }),
  });
  const brokerFor = async (address: string): Promise<string | undefined> => {
    const client = await rig.knock(REQUIRED);
    await client.send(m.bytes(`PROXY TCP4 ${address} 198.51.100.2 50000 1883\r\n`, m.connect({ clientId: "" })));
    await client.expect(m.connack());
    await client.close();
    return rig.opens.at(-1)?.broker;
  };
  const addresses = Array.from({ length: 24 }, (_, index) => `192.0.2.${index}`);
  const brokers: (string | undefined)[] = [];
  for (const address of addresses) brokers.push(await brokerFor(address));
  assert.equal(new Set(brokers).size, 3);
  for (const [index, address] of addresses.entries()) assert.equal(await brokerFor(address), brokers[index]);
  await rig.settled();
});

test("who comes through a unix socket is trusted when the configuration says unix, and only then", async (t) => {
  const folder = temporaryFolder(t);
  const rig = await start(t, {
    configure: () => ({
      listeners: [
        { name: "tcp", listen: "mqtt://127.0.0.1:0" },
        { name: "trusting", listen: `unix://${folder}/trusting.sock`, proxy_protocol: { from: ["unix"] } },
        { name: "strict", listen: `unix://${folder}/strict.sock`, proxy_protocol: { from: ["0.0.0.0/0", "::/0"] } },
      ],
    }),
  });
  const open = async (name: string): Promise<RawClient> => {
    const socket = connect({ path: `${folder}/${name}.sock` });
    await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return rig.keep(RawClient.adopt(socket));
  };
  const client = await open("trusting");
  await client.send(m.bytes(V2, m.connect()));
  await client.expect(m.connack());
  assert.deepEqual([rig.opens.at(-1)?.address, rig.opens.at(-1)?.port, rig.opens.at(-1)?.proxyAddress], ["192.0.2.1", 50_000, "unix"]);
  const stranger = await open("strict");
  await stranger.send(m.bytes(V2, m.connect())).catch(() => {});
  await stranger.expectEndWithoutData(1_000);
  await rig.line("not from a network whose PROXY header is trusted", '"client.address":"unix"');
  assert.equal(rig.opens.length, 1);
  await rig.settled();
});

test("R2: a header that is never finished ends after 3 s, and all the while others are served", async (t) => {
  const rig = await start(t, { limits: { handshake_timeout: "300ms" } });
  await rig.canary();
  await rig.markBase();
  const begin = performance.now();
  const unfinished = [new Uint8Array(0), V1.subarray(0, 3), V1.subarray(0, -1), V2.subarray(0, 12), V2.subarray(0, 16), V2.subarray(0, -1)];
  const late: Promise<number>[] = [];
  for (const listener of [REQUIRED, OPTIONAL, TLS, ANY, WS]) {
    for (const bytes of unfinished) {
      late.push((async () => {
        const client = await rig.knock(listener);
        if (bytes.length > 0) await client.send(bytes);
        await client.expectEndWithoutData(6_500);
        return performance.now() - begin;
      })());
    }
    late.push((async () => {
      const client = await rig.knock(listener);
      for (const byte of V1) {
        await client.send(Uint8Array.of(byte)).catch(() => {});
        await Promise.race([pause(150), client.expectEnd(5_000)]);
        if (client.ending !== "open") break;
      }
      return performance.now() - begin;
    })());
  }
  let canaries = 0;
  for (; performance.now() - begin < 2_500; canaries++) await rig.canary();
  assert.ok(canaries > 10, `${canaries} canaries`);
  for (const took of await Promise.all(late)) assert.ok(took > 2_900 && took < 6_000, `ended after ${Math.round(took)} ms`);
  assert.equal(rig.refusals("connect_timeout"), late.length);
  assert.equal(rig.contacts.length, 0);
  await rig.line("no whole PROXY header in time");
  await rig.settled();
});

test("R2: with a header in time, what follows has handshake_timeout, once", async (t) => {
  const rig = await start(t, { limits: { handshake_timeout: "400ms", connect_timeout: "400ms" } });
  const begin = performance.now();
  await Promise.all([TLS, ANY, WS, REQUIRED, OPTIONAL].map(async (listener) => {
    const client = await rig.knock(listener);
    await client.send(V2);
    if (listener === ANY) {
      await pause(300);
      await client.send(m.hex("16")); // the beginning of TLS is no new deadline
    }
    await client.expectEndWithoutData(3_000);
    const took = performance.now() - begin;
    assert.ok(took > 350 && took < 2_500, `listener ${listener} ended after ${Math.round(took)} ms`);
  }));
  await rig.settled();
});
