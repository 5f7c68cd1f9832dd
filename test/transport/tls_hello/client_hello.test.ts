import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type ClientHello, ClientHelloReader, HELLO_BYTES_MAX, KEPT_BYTES_MAX, type RefusedHello } from "../../../src/transport/tls_hello/client_hello.ts";
import { EXTENSIONS_MAX } from "../../../src/transport/tls_hello/hello_fields.ts";
import { bytes, hex } from "../../support/mqtt_bytes.ts";
import { type SeededRandom, seeded } from "../../support/seed.ts";
import { feed, judged, mutated, pieces } from "../proxy_protocol/pieces.ts";
import { alpn, extension, type HelloParts, helloMessage, records, serverName, supportedVersions, vector } from "./hello_bytes.ts";
import { REAL_HELLOS } from "./real_hellos.ts";

function read(stream: Uint8Array): ClientHello | RefusedHello | undefined {
  return new ClientHelloReader().push(stream);
}

function accepted(stream: Uint8Array): ClientHello {
  const answer = read(stream);
  assert.ok(answer !== undefined && !("refused" in answer), JSON.stringify(judged(answer)));
  return answer;
}

function withExtensions(...extensions: readonly Uint8Array[]): Uint8Array {
  return records(helloMessage({ extensions }));
}

describe("ClientHelloReader: real clients", () => {
  for (const { name, bytes: stream, serverName, alpn, version } of REAL_HELLOS) {
    test(`${name}, in one piece, in two segments, byte for byte, and in small records`, () => {
      const expected = { serverName, alpn, version };
      for (const chunks of [[stream], [stream.subarray(0, 100), stream.subarray(100)], Array.from(stream, (byte) => Uint8Array.of(byte))]) {
        const { answer, used } = feed(new ClientHelloReader(), chunks);
        assert.deepEqual(judged(answer), expected);
        assert.equal(used, chunks.length, "not before its last byte");
        assert.deepEqual(answer?.bytes, stream);
      }
      assert.deepEqual(judged(read(records(stream.subarray(5), 61))), expected);
    });
  }

  test("one with a post-quantum key share, over two segments", () => {
    const big = REAL_HELLOS.find((hello) => hello.name === "bun")?.bytes as Uint8Array;
    assert.ok(big.length > 1_448, "longer than a segment on Ethernet");
    const reader = new ClientHelloReader();
    assert.equal(reader.push(big.subarray(0, 1_448)), undefined);
    const hello = reader.push(big.subarray(1_448)) as ClientHello;
    assert.deepEqual(hello.bytes, big);
  });

  test("what comes behind it in the same chunk is kept for the TLS library", () => {
    const stream = bytes(withExtensions(serverName("a.example")), hex("17 03 03 00 01 ff"));
    assert.deepEqual(accepted(stream).bytes, stream);
  });
});

describe("ClientHelloReader: server name (RFC 6066 section 3, T3)", () => {
  const names: [what: string, extensions: readonly Uint8Array[], expected: string | undefined][] = [
    ["none", [], undefined],
    ["upper case is lowered", [serverName("Broker.EXAMPLE")], "broker.example"],
    ["a dot at the end is removed", [serverName("broker.example.")], "broker.example"],
    ["one label", [serverName("localhost")], "localhost"],
    ["an underscore", [serverName("my_broker")], "my_broker"],
    ["an IPv4 address is no name", [serverName("192.168.1.5")], undefined],
    ["an IPv6 address is no name", [serverName("2001:db8::1")], undefined],
    ["255 bytes", [serverName([63, 63, 63, 63].map((length) => "a".repeat(length)).join("."))], [63, 63, 63, 63].map((length) => "a".repeat(length)).join(".")],
    ["a name of another type is skipped", [extension(0, vector(2, [7], vector(2, "\0"), [0], vector(2, "a.example")))], "a.example"],
  ];
  for (const [what, extensions, expected] of names) {
    test(what, () => assert.equal(accepted(withExtensions(...extensions)).serverName, expected));
  }

  const refused: [what: string, stream: Uint8Array, RegExp][] = [
    ["256 bytes", withExtensions(serverName("a".repeat(256))), /longer than 255/],
    ["an empty name", withExtensions(serverName("")), /no host name/],
    ["a dot alone", withExtensions(serverName(".")), /no host name/],
    ["a label of 64 bytes", withExtensions(serverName("a".repeat(64))), /no host name/],
    ["NUL", withExtensions(serverName("a.example\0.evil")), /no host name/],
    ["CR LF (I1)", withExtensions(serverName("a\r\nX-Allow: 1")), /no host name/],
    ["a line feed at the end", withExtensions(serverName("a.example\n")), /no host name/],
    ["UTF-8", withExtensions(serverName("brökér.example")), /no host name/],
    ["a wildcard", withExtensions(serverName("*.example")), /no host name/],
    ["two dots", withExtensions(serverName("a..example")), /no host name/],
    ["a slash", withExtensions(serverName("../etc")), /no host name/],
    ["a bracketed address", withExtensions(serverName("[::1]")), /no host name/],
    ["two names in the list", withExtensions(extension(0, vector(2, [0], vector(2, "a"), [0], vector(2, "b")))), /two server names/],
    ["the extension twice", withExtensions(serverName("a"), serverName("a")), /extension 0 twice/],
    ["an empty list", withExtensions(extension(0, vector(2))), /empty list of server names/],
    ["an empty extension, as only servers send it", withExtensions(extension(0)), /server names is cut short/],
    ["bytes behind the list", withExtensions(extension(0, vector(2, [0], vector(2, "a")), [0])), /bytes after the content of extension 0/],
    ["a name longer than its list", withExtensions(extension(0, vector(2, [0, 0, 9], "a"))), /server name is cut short/],
  ];
  for (const [what, stream, reason] of refused) {
    test(`refuses ${what}`, () => {
      const answer = read(stream);
      assert.ok(answer !== undefined && "refused" in answer, JSON.stringify(judged(answer)));
      assert.match(answer.refused, reason);
      assert.deepEqual(answer.bytes, stream);
    });
  }
});

describe("ClientHelloReader: ALPN (RFC 7301 section 3.1, T4) and versions (RFC 8446 section 4.2.1)", () => {
  test("protocols in the client's order; none, unknown ones and GREASE", () => {
    assert.deepEqual(accepted(withExtensions()).alpn, []);
    assert.deepEqual(accepted(withExtensions(alpn([0x0a, 0x0a], "mqtt", "http/1.1", "x"))).alpn, ["\n\n", "mqtt", "http/1.1", "x"]);
    assert.deepEqual(accepted(withExtensions(alpn([0xff]))).alpn, ["ÿ"]);
  });

  test("a long list, as long as the hello stays under its limit", () => {
    const names = Array.from({ length: 2_000 }, (_, at) => `p${at}`);
    assert.deepEqual(accepted(withExtensions(alpn(...names))).alpn, names);
  });

  const versions: [what: string, parts: HelloParts, expected: string | undefined][] = [
    ["1.3 among others and GREASE", { extensions: [supportedVersions(0x7a7a, 0x0303, 0x0304, 0x7f1c)] }, "1.3"],
    ["1.2 alone in the list", { extensions: [supportedVersions(0x0303)] }, "1.2"],
    ["none that we know", { extensions: [supportedVersions(0x7f1c)] }, undefined],
    ["without the list: what the hello's own version says", { version: 0x0302, extensions: [] }, "1.1"],
    ["without extensions at all", { version: 0x0301 }, "1.0"],
    ["SSL 3.0", { version: 0x0300 }, "SSL 3.0"],
    ["a hello's version above 1.2 means 1.2", { version: 0x0304 }, "1.2"],
    ["a hello's version below SSL 3.0", { version: 0x0200 }, undefined],
  ];
  for (const [what, parts, expected] of versions) {
    test(what, () => assert.equal(accepted(records(helloMessage(parts))).version, expected));
  }

  const refused: [what: string, parts: HelloParts, RegExp][] = [
    ["an empty ALPN list", { extensions: [alpn()] }, /empty ALPN list/],
    ["an empty ALPN protocol", { extensions: [alpn("mqtt", "")] }, /empty ALPN protocol/],
    ["an ALPN protocol longer than its list", { extensions: [extension(16, vector(2, [9], "mqtt"))] }, /ALPN protocol is cut short/],
    ["ALPN twice", { extensions: [alpn("a"), alpn("b")] }, /extension 16 twice/],
    ["an unknown extension twice", { extensions: [extension(99), extension(99)] }, /extension 99 twice/],
    ["an empty list of versions", { extensions: [supportedVersions()] }, /empty list of supported versions/],
    ["half a version", { extensions: [extension(43, vector(1, [3]))] }, /a supported version is cut short/],
  ];
  for (const [what, parts, reason] of refused) {
    test(`refuses ${what}`, () => assert.match((read(records(helloMessage(parts))) as RefusedHello).refused, reason));
  }
});

describe("ClientHelloReader: structure", () => {
  const refused: [what: string, stream: Uint8Array, RegExp][] = [
    ["MQTT, at the first byte (P12, T13)", hex("10"), /record of type 16/],
    ["HTTP", bytes("G"), /record of type 71/],
    ["an alert", hex("15 03 01 00 02 02 28"), /record of type 21/],
    ["a hello of SSL 2", hex("80 2e 01"), /record of type 128/],
    ["a record of another major version, at its second byte", hex("16 02"), /record of version 2/],
    ["an empty record", hex("16 03 01 00 00"), /record of 0 bytes/],
    ["a record over 2^14 bytes", hex("16 03 01 40 01"), /record of 16385 bytes/],
    ["another handshake message, at its first byte", hex("16 03 01 00 05 02"), /handshake message of type 2/],
    ["a hello over the limit, at its length", hex("16 03 01 40 00 01 00 40 00"), /16388 bytes, the limit is 16384/],
    ["another record before the hello is whole", hex("16 03 01 00 04 01 00 00 50 17"), /record of type 23/],
    ["session id of 33 bytes", records(helloMessage({ sessionId: new Uint8Array(33) })), /session id of more than 32/],
    ["no cipher suites", records(helloMessage({ suites: new Uint8Array(0) })), /cipher suites of 0 bytes/],
    ["an odd number of cipher suites", records(helloMessage({ suites: new Uint8Array(3) })), /cipher suites of 3 bytes/],
    ["no compression methods", records(helloMessage({ compression: new Uint8Array(0) })), /no compression methods/],
    ["bytes after the extensions", records(helloMessage({ extensions: [], trailing: hex("00") })), /bytes after the extensions/],
    ["one byte where extensions would be", records(helloMessage({ trailing: hex("00") })), /extensions is cut short/],
    ["half an extension", records(helloMessage({ extensions: [hex("00 10 00")] })), /an extension is cut short/],
    ["one extension more than is read", records(helloMessage({ extensions: Array.from({ length: EXTENSIONS_MAX + 1 }, (_, at) => extension(1_000 + at)) })), /more than 256 extensions/],
    ["an empty hello", hex("16 03 01 00 04 01 00 00 00"), /version is cut short/],
  ];
  for (const [what, stream, reason] of refused) {
    test(`refuses ${what}`, () => {
      const answer = read(stream);
      assert.ok(answer !== undefined && "refused" in answer, JSON.stringify(judged(answer)));
      assert.match(answer.refused, reason);
    });
  }

  test("takes as many extensions as are read", () => {
    accepted(withExtensions(...Array.from({ length: EXTENSIONS_MAX }, (_, at) => extension(1_000 + at))));
  });

  test("every hello that is cut waits for more (M6)", () => {
    for (const { bytes: stream } of REAL_HELLOS) {
      for (let length = 0; length < stream.length; length += 7) assert.equal(read(stream.subarray(0, length)), undefined);
    }
  });

  test("takes a hello of exactly the limit, in as many records as are allowed, and not one record more", () => {
    const empty = helloMessage({ extensions: [extension(21)] }).length;
    const message = helloMessage({ extensions: [extension(21, new Uint8Array(HELLO_BYTES_MAX - empty))] });
    assert.equal(message.length, HELLO_BYTES_MAX);
    const stream = records(message, HELLO_BYTES_MAX / 64);
    assert.equal(stream.length, KEPT_BYTES_MAX);
    assert.deepEqual(accepted(stream).bytes, stream);
    assert.match((read(records(message, 255)) as RefusedHello).refused, /more than 64 records/);
  });

  test("memory grows with what arrived, not with what a header promises (R2)", () => {
    const before = process.memoryUsage().arrayBuffers;
    const waiting = Array.from({ length: 1_000 }, () => {
      const reader = new ClientHelloReader();
      assert.equal(reader.push(hex("16 03 01 40 00 01 00 3f fc 03 03")), undefined);
      return reader;
    });
    const grown = process.memoryUsage().arrayBuffers - before;
    assert.ok(grown < 1_000 * 1_000, `${grown} bytes for ${waiting.length} hellos of 11 bytes`);
  });
});

describe("ClientHelloReader: fuzz", () => {
  const someHello = (random: SeededRandom): Uint8Array => {
    if (random.chance(0.3)) return random.pick(REAL_HELLOS).bytes;
    const extensions = random.shuffle([serverName(`host-${random.integer(0, 9)}.example`), alpn("mqtt"), supportedVersions(0x0304, 0x0303), extension(10, random.bytes(random.integer(0, 40)))]);
    return records(helloMessage({ extensions: extensions.slice(0, random.integer(0, 4)) }), random.pick([16_384, 100, 31, 5]));
  };

  test("any chunking gives the same answer; mutations never throw, and no more than the limit is kept", () => seeded((random) => {
    for (let round = 0; round < 1_500; round++) {
      const start = someHello(random);
      const stream = bytes(random.chance(0.3) ? start : mutated(random, start), random.bytes(random.integer(0, 9)));
      const whole = judged(read(stream));
      const chunks = pieces(random, stream);
      const { answer, used } = feed(new ClientHelloReader(), chunks);
      assert.deepEqual(judged(answer), whole);
      if (answer !== undefined) assert.deepEqual(answer.bytes, bytes(...chunks.slice(0, used)));
      else assert.ok(stream.length <= KEPT_BYTES_MAX);
    }
  }));

  test("an endless stream ends in a refusal before the limit", () => seeded((random) => {
    for (let round = 0; round < 30; round++) {
      const reader = new ClientHelloReader();
      const message = bytes(hex("01 00 3f fc"), new Uint8Array(HELLO_BYTES_MAX));
      const stream = records(message, random.integer(1, 300));
      let kept = 0;
      while (reader.push(stream.subarray(kept, kept + 50)) === undefined) kept += 50;
      assert.ok(kept <= KEPT_BYTES_MAX, `${kept}`);
    }
  }));
});
