import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { crc32c } from "../../../src/transport/proxy_protocol/crc32c.ts";
import { type ProxyHeader, ProxyHeaderReader } from "../../../src/transport/proxy_protocol/read.ts";
import { bytes, hex } from "../../support/mqtt_bytes.ts";
import { type SeededRandom, seeded } from "../../support/seed.ts";
import { HAPROXY_HEADERS } from "./haproxy_headers.ts";
import { ENDS4, ENDS6, field, LOCAL, PROXY, SIGNATURE, TCP4, TCP6, tlsField, version2, withFields } from "./header_bytes.ts";
import { feed, judged, mutated, pieces, restOf } from "./pieces.ts";

const read = (stream: Uint8Array) => new ProxyHeaderReader().push(stream);

function accepted(stream: Uint8Array): ProxyHeader {
  const answer = read(stream);
  assert.ok(answer !== undefined && "header" in answer, JSON.stringify(judged(answer)));
  return answer.header;
}

function refused(stream: Uint8Array, reason: RegExp): void {
  const answer = read(stream);
  assert.ok(answer !== undefined && "refused" in answer, JSON.stringify(judged(answer)));
  assert.match(answer.refused, reason);
}

describe("ProxyHeaderReader: headers from HAProxy", () => {
  for (const { name, stream, header } of HAPROXY_HEADERS) {
    test(name, () => {
      for (const chunks of [[stream], Array.from(stream, (byte) => Uint8Array.of(byte))]) {
        const { answer, used } = feed(new ProxyHeaderReader(), chunks);
        assert.deepEqual(judged(answer), { header });
        assert.deepEqual(restOf(answer, chunks, used), bytes("hello"));
      }
    });
  }
});

describe("ProxyHeaderReader: version 1 (section 2.1)", () => {
  const lines: [line: string, source: string | undefined, port: number][] = [
    ["PROXY TCP4 192.168.0.1 192.168.0.11 56324 443", "192.168.0.1", 56_324],
    ["PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535", "255.255.255.255", 65_535],
    ["PROXY TCP4 0.0.0.0 0.0.0.0 0 0", "0.0.0.0", 0],
    ["PROXY TCP6 2001:0DB8:0:0:0:0:0:1 ::1 1 2", "2001:db8::1", 1],
    [`PROXY TCP6 ${"ffff:".repeat(7)}ffff ${"ffff:".repeat(7)}ffff 65535 65535`, `${"ffff:".repeat(7)}ffff`, 65_535],
    ["PROXY TCP6 ::ffff:192.0.2.7 ::ffff:c000:208 1 2", "192.0.2.7", 1],
    ["PROXY UNKNOWN", undefined, 0],
    ["PROXY UNKNOWN ", undefined, 0],
    [`PROXY UNKNOWN ${"ffff:".repeat(7)}ffff ${"ffff:".repeat(7)}ffff 65535 65535`, undefined, 0],
    ["PROXY UNKNOWN \0 whatever  \xff", undefined, 0],
  ];
  for (const [line, address, port] of lines) {
    test(`reads ${JSON.stringify(line)}`, () => {
      const { source, destination } = accepted(hex(Buffer.from(`${line}\r\n`, "latin1").toString("hex")));
      assert.deepEqual(source, address === undefined ? undefined : { address, port });
      assert.equal(destination === undefined, address === undefined);
    });
  }

  const wrong: [what: string, line: string, RegExp][] = [
    ["two blanks", "PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n", /single spaces/],
    ["a tab", "PROXY TCP4\t1.1.1.1 2.2.2.2 1 2\r\n", /single spaces/],
    ["a blank at the end", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n", /single spaces/],
    ["a word too many", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n", /single spaces/],
    ["a word too few", "PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n", /single spaces/],
    ["UDP4", "PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n", /single spaces/],
    ["tcp4", "PROXY tcp4 1.1.1.1 2.2.2.2 1 2\r\n", /single spaces/],
    ["UNKNOWNS", "PROXY UNKNOWNS\r\n", /single spaces/],
    ["nothing", "PROXY \r\n", /single spaces/],
    ["leading zeros in an address", "PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n", /none for TCP4/],
    ["leading zeros in a port", "PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n", /none for TCP4/],
    ["a port above 65535", "PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n", /none for TCP4/],
    ["a signed port", "PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n", /none for TCP4/],
    ["a hexadecimal port", "PROXY TCP4 1.1.1.1 2.2.2.2 0x1 2\r\n", /none for TCP4/],
    ["IPv6 for TCP4", "PROXY TCP4 ::1 2.2.2.2 1 2\r\n", /none for TCP4/],
    ["IPv4 for TCP6", "PROXY TCP6 ::1 2.2.2.2 1 2\r\n", /none for TCP6/],
    ["a name", "PROXY TCP4 localhost 2.2.2.2 1 2\r\n", /none for TCP4/],
    ["a zone", "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", /none for TCP6/],
    ["brackets", "PROXY TCP6 [::1] ::1 1 2\r\n", /none for TCP6/],
    ["LF alone", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n", /LF without CR/],
    ["CR alone", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rGET", /CR without LF/],
    ["CR in the middle", "PROXY UNKNOWN a\rb\r\n", /CR without LF/],
    ["108 bytes without an end", `PROXY UNKNOWN ${"x".repeat(94)}`, /more than 107 bytes/],
    ["an end at byte 108", `PROXY UNKNOWN ${"x".repeat(92)}\r\n`, /more than 107 bytes/],
    ["lower case", "proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n", /neither version/],
    ["PROXY without a blank", "PROXYTCP4", /neither version/],
    ["HTTP", "POST / HTTP/1.1\r\n", /neither version/],
    ["MQTT (I7)", "\x10\x0c\0\x04MQTT", /neither version/],
  ];
  for (const [what, line, reason] of wrong) test(`refuses ${what} (I7)`, () => refused(bytes(line), reason));

  test("refuses at the first byte that is wrong, and waits for the CR LF otherwise", () => {
    refused(bytes("PROXI"), /neither version/);
    refused(bytes("X"), /neither version/);
    const line = bytes("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n");
    for (let length = 0; length < line.length; length++) assert.equal(read(line.subarray(0, length)), undefined);
  });

  test("takes the longest line that is allowed: 107 bytes", () => {
    const line = bytes(`PROXY UNKNOWN ${"x".repeat(91)}\r\n`);
    assert.equal(line.length, 107);
    assert.equal(accepted(line).source, undefined);
  });
});

describe("ProxyHeaderReader: version 2 (section 2.2)", () => {
  const ends4 = { source: { address: "192.0.2.1", port: 50_000 }, destination: { address: "198.51.100.2", port: 8_883 } };

  test("IPv4, IPv6, IPv4-mapped and unix", () => {
    const { source, destination } = accepted(version2(PROXY, TCP4, ENDS4));
    assert.deepEqual({ source, destination }, ends4);
    assert.deepEqual(accepted(version2(PROXY, TCP6, ENDS6)).source, { address: "2001:db8::1", port: 50_000 });
    const mapped = bytes(new Uint8Array(10), hex("ffff 0a000001"), new Uint8Array(16), hex("0001 0002"));
    assert.deepEqual(accepted(version2(PROXY, TCP6, mapped)).source, { address: "10.0.0.1", port: 1 });
    assert.deepEqual(accepted(version2(PROXY, 0x31, bytes("/run/a\r\n", new Uint8Array(208)))).source, { address: "unix", port: 0 });
  });

  const local: [what: string, stream: Uint8Array][] = [
    ["LOCAL without a block (Envoy's CVE-2024-23327)", version2(LOCAL, 0)],
    ["LOCAL with a family but no addresses (Envoy's CVE-2024-23327)", version2(LOCAL, TCP4)],
    ["LOCAL with addresses", version2(LOCAL, TCP4, ENDS4)],
    ["LOCAL with a family that there is not", version2(LOCAL, 0xff, "x")],
    ["LOCAL with a block that is no fields", version2(LOCAL, 0, hex("01 ff ff"))],
    ["PROXY of a family and protocol that are not specified", version2(PROXY, 0)],
    ["the same with a block", version2(PROXY, 0, hex("01 ff ff"))],
    ["PROXY of a family that is not specified", version2(PROXY, 0x01, "xyz")],
    ["PROXY of a protocol that is not specified", version2(PROXY, 0x10, "xyz")],
  ];
  for (const [what, stream] of local) {
    test(`${what}: nothing is told, the block is skipped`, () => {
      const answer = read(bytes(stream, "rest"));
      assert.ok(answer !== undefined && "header" in answer);
      assert.ok(Object.values(answer.header).every((value) => value === undefined));
      assert.deepEqual(bytes(answer.rest), bytes("rest"));
    });
  }

  const wrong: [what: string, stream: Uint8Array, RegExp][] = [
    ["a wrong byte of the signature, at once", hex("0d 0a 0d 0a 01"), /neither version/],
    ["version 1 in binary", bytes(SIGNATURE, [0x11]), /version 1/],
    ["version 3", bytes(SIGNATURE, [0x31]), /version 3/],
    ["command 2", bytes(SIGNATURE, [0x22]), /command 2/],
    ["UDP over IPv4", bytes(SIGNATURE, [PROXY, 0x12]), /family 1 with protocol 2/],
    ["UDP over IPv6", bytes(SIGNATURE, [PROXY, 0x22]), /family 2 with protocol 2/],
    ["unix datagrams", bytes(SIGNATURE, [PROXY, 0x32]), /family 3 with protocol 2/],
    ["datagrams of no family", bytes(SIGNATURE, [PROXY, 0x02]), /family 0 with protocol 2/],
    ["protocol 3", bytes(SIGNATURE, [PROXY, 0x13]), /family 1 with protocol 3/],
    ["family 4", bytes(SIGNATURE, [PROXY, 0x41]), /family 4/],
    ["a length over the limit, before anything is kept", bytes(SIGNATURE, [PROXY, TCP4, 0x10, 0x01]), /a length of 4097, the limit is 4096/],
    ["a length over the limit, of LOCAL", bytes(SIGNATURE, [LOCAL, 0, 0xff, 0xff]), /a length of 65535/],
    ["a length below IPv4's addresses", bytes(SIGNATURE, [PROXY, TCP4, 0, 11]), /addresses alone have 12/],
    ["a length below IPv6's addresses", bytes(SIGNATURE, [PROXY, TCP6, 0, 35]), /addresses alone have 36/],
    ["a length below unix's addresses", bytes(SIGNATURE, [PROXY, 0x31, 0, 215]), /addresses alone have 216/],
    ["a field of one byte", withFields([1]), /ALPN is cut short/],
    ["a field without a value", withFields([1, 0]), /ALPN is cut short/],
    ["a field longer than the block", withFields(field(0x04, "x", 2)), /field 4 is cut short/],
    ["a byte after the last field", withFields(field(0x04, "x"), [0]), /cut short/],
  ];
  for (const [what, stream, reason] of wrong) test(`refuses ${what} (I7)`, () => refused(stream, reason));

  test("takes a block of exactly the limit", () => {
    const padding = 4_096 - ENDS4.length - 3;
    assert.deepEqual(accepted(withFields(field(0x04, new Uint8Array(padding)))).source, ends4.source);
  });

  test("waits for the last byte of every header that is cut (U12)", () => {
    const stream = withFields(field(0x02, "a.example"), tlsField(1, 0, field(0x21, "TLSv1.2")));
    for (let length = 0; length < stream.length; length++) assert.equal(read(stream.subarray(0, length)), undefined);
  });
});

describe("ProxyHeaderReader: fields (sections 2.2.1 to 2.2.8)", () => {
  test("ALPN, authority, unique id; NOOP and unknown ones are skipped, however often", () => {
    const skipped = bytes(field(0x04, "pad"), field(0xe0, "custom"), field(0x30, "netns"), field(0x04, ""), field(0xe0, "custom"));
    const header = accepted(withFields(skipped, field(0x01, "mqtt"), field(0x02, "Broker.Example."), field(0x05, hex("00 ff"))));
    assert.deepEqual([header.alpn, header.authority, header.uniqueId], ["mqtt", "broker.example", hex("00 ff")]);
  });

  test("an empty text, and an address as authority, say nothing", () => {
    const header = accepted(withFields(field(0x01, ""), field(0x02, "")));
    assert.deepEqual([header.alpn, header.authority], [undefined, undefined]);
    assert.equal(accepted(withFields(field(0x02, "10.0.0.1"))).authority, undefined);
  });

  test("a unique id of 128 bytes", () => {
    assert.equal(accepted(withFields(field(0x05, new Uint8Array(128)))).uniqueId?.length, 128);
  });

  const texts = [field(0x21, "TLSv1.3"), field(0x22, "Ünit 7"), field(0x23, "TLS_AES_128_GCM_SHA256"), field(0x24, "SHA256"), field(0x25, "EC256"), field(0x28, "der")];
  const verifications: [what: string, client: number, verify: number, verified: boolean][] = [
    ["a certificate in the connection and session, verified", 7, 0, true],
    ["a certificate in the connection, verified", 3, 0, true],
    ["a certificate in the session, verified", 5, 0, true],
    ["a certificate that was not verified", 7, 1, false],
    ["a certificate that was not verified, high bit", 7, 0x80000000, false],
    ["no certificate, although verify is zero", 1, 0, false],
  ];
  for (const [what, client, verify, verified] of verifications) {
    test(`TLS: ${what}`, () => {
      const { tls } = accepted(withFields(tlsField(client, verify, ...texts)));
      assert.deepEqual(tls, { version: "1.3", cipher: "TLS_AES_128_GCM_SHA256", verified, clientCommonName: verified ? "Ünit 7" : undefined });
    });
  }

  test("TLS: without its bit the client came without TLS, whatever else stands there", () => {
    assert.equal(accepted(withFields(tlsField(0, 0))).tls, undefined);
    assert.equal(accepted(withFields(tlsField(6, 0, ...texts))).tls, undefined);
  });

  test("TLS: a version that is no TLSv is told as it is; none is undefined", () => {
    assert.equal(accepted(withFields(tlsField(1, 0, field(0x21, "SSLv3")))).tls?.version, "SSLv3");
    assert.equal(accepted(withFields(tlsField(1, 0))).tls?.version, undefined);
  });

  const wrong: [what: string, fields: readonly Uint8Array[], RegExp][] = [
    ["an authority of 256 bytes", [field(0x02, "a".repeat(256))], /authority is longer than 255/],
    ["CR LF in the authority (I3)", [field(0x02, "a\r\nX-Allow: 1")], /authority is no host name/],
    ["NUL in the authority", [field(0x02, "a\0b")], /authority is no host name/],
    ["a port in the authority", [field(0x02, "a.example:8883")], /authority is no host name/],
    ["UTF-8 in the authority", [field(0x02, "ä.example")], /authority is no host name/],
    ["CR LF in ALPN", [field(0x01, "mqtt\r\n")], /ALPN is not of/],
    ["ALPN of 256 bytes", [field(0x01, "a".repeat(256))], /ALPN is not of/],
    ["a unique id of 129 bytes", [field(0x05, new Uint8Array(129))], /unique id of 129 bytes/],
    ["two authorities", [field(0x02, "a"), field(0x02, "b")], /authority twice/],
    ["two unique ids", [field(0x05, "a"), field(0x05, "a")], /unique id twice/],
    ["two TLS fields", [tlsField(1, 0), tlsField(0, 0)], /TLS field twice/],
    ["a TLS field of four bytes", [field(0x20, new Uint8Array(4))], /TLS field is cut short/],
    ["CR LF in the common name (T6)", [tlsField(7, 0, field(0x22, "a\r\nb"))], /common name holds control/],
    ["NUL in the common name", [tlsField(7, 0, field(0x22, "a\0"))], /common name holds control/],
    ["U+0085 in the common name", [tlsField(7, 0, field(0x22, "a\u0085b"))], /common name holds control/],
    ["a common name that is no UTF-8", [tlsField(7, 0, field(0x22, hex("ff")))], /common name is not valid UTF-8/],
    ["a wrong common name, even without TLS", [tlsField(0, 0, field(0x22, "\n"))], /common name holds control/],
    ["two common names (T6)", [tlsField(7, 0, field(0x22, "a"), field(0x22, "b"))], /common name twice/],
    ["a TLS version with control characters", [tlsField(1, 0, field(0x21, "TLSv1.3\n"))], /TLS version is not of/],
    ["a cipher with blanks", [tlsField(1, 0, field(0x23, "a b"))], /cipher is not of/],
    ["a field inside the TLS field that is longer than it", [tlsField(1, 0, field(0x21, "TLSv1.3", 8))], /TLS version is cut short/],
    ["a byte at the end of the TLS field", [tlsField(1, 0, [9])], /cut short/],
    ["a CRC32c of three bytes", [field(0x03, new Uint8Array(3))], /CRC32c of 3 bytes/],
    ["a CRC32c that does not fit", [field(0x03, new Uint8Array(4))], /CRC32c does not fit/],
  ];
  for (const [what, fields, reason] of wrong) test(`refuses ${what}`, () => refused(withFields(...fields), reason));

  test("a single bit that is changed behind the lengths is found by CRC32c", () => {
    const { stream } = HAPROXY_HEADERS.find(({ name }) => name.includes("crc32c")) as { stream: Uint8Array };
    const length = stream.length - "hello".length;
    for (const at of [16, 20, 24, 26, 31, length - 1]) {
      const changed = stream.slice();
      changed[at] = (changed[at] as number) ^ 0x10;
      refused(changed, /CRC32c does not fit/);
    }
  });

  test("crc32c gives the check value of its definition, in any parts", () => {
    assert.equal(crc32c(bytes("123456789")), 0xe3069283);
    assert.equal(crc32c(bytes("1234"), bytes(""), bytes("56789")), 0xe3069283);
    assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa); // RFC 3720 appendix B.4
    assert.equal(crc32c(), 0);
  });
});

describe("ProxyHeaderReader: fuzz", () => {
  const someHeader = (random: SeededRandom): Uint8Array => {
    const fields = random.shuffle([field(0x01, "mqtt"), field(0x02, "a.example"), field(0x04, "xx"), field(0x05, random.bytes(9)), tlsField(7, 0, field(0x21, "TLSv1.3"), field(0x22, "cn"))]);
    return random.pick([
      () => random.pick(HAPROXY_HEADERS).stream,
      () => withFields(...fields.slice(0, random.integer(0, 5))),
      () => version2(LOCAL, 0, random.bytes(random.integer(0, 30))),
      () => bytes("PROXY TCP6 2001:db8::1 ::1 1 2\r\n"),
      () => bytes("PROXY UNKNOWN\r\n"),
    ])();
  };

  test("any chunking gives the same answer and rest; mutations never throw, and no more than the limit is kept", () => seeded((random) => {
    for (let round = 0; round < 4_000; round++) {
      const start = someHeader(random);
      const stream = bytes(random.chance(0.3) ? start : mutated(random, start), random.bytes(random.integer(0, 9)));
      const whole = read(stream);
      const chunks = pieces(random, stream);
      const { answer, used } = feed(new ProxyHeaderReader(), chunks);
      assert.deepEqual(judged(answer), judged(whole));
      if (whole !== undefined && "rest" in whole) assert.deepEqual(restOf(answer, chunks, used), bytes(whole.rest));
    }
  }));

  test("an endless stream ends within the limit of its version", () => seeded((random) => {
    for (let round = 0; round < 200; round++) {
      const [start, limit] = random.pick([[bytes("PROXY UNKNOWN "), 107], [bytes(SIGNATURE, [PROXY, TCP4, 0x10, 0x00], ENDS4), 16 + 4_096]] as const);
      const stream = bytes(start, new Uint8Array(5_000).fill(0x20));
      const reader = new ProxyHeaderReader();
      let kept = 0;
      while (reader.push(stream.subarray(kept, kept + 13)) === undefined) kept += 13;
      assert.ok(kept < limit, `${kept} bytes were kept, the limit is ${limit}`);
    }
  }));
});
