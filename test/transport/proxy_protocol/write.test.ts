import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type ProxyHeader, ProxyHeaderReader } from "../../../src/transport/proxy_protocol/read.ts";
import { proxyHeaderV1, proxyHeaderV2 } from "../../../src/transport/proxy_protocol/write.ts";
import { bytes, hex } from "../../support/mqtt_bytes.ts";
import { type SeededRandom, seeded } from "../../support/seed.ts";
import { HAPROXY_HEADERS } from "./haproxy_headers.ts";
import { ENDS4, ENDS6, LOCAL, PROXY, TCP4, TCP6, version2 } from "./header_bytes.ts";

const at = (address: string, port = 1_000) => ({ address, port });
const text = (header: Uint8Array) => new TextDecoder().decode(header);

function reread(header: Uint8Array): ProxyHeader {
  const answer = new ProxyHeaderReader().push(header);
  assert.ok(answer !== undefined && "header" in answer, JSON.stringify(answer));
  assert.equal(answer.rest.length, 0);
  return answer.header;
}

const LOCAL_HEADER = version2(LOCAL, 0);
const CRC_FIELD = hex("03 0004 00000000");

/** Without the value of the checksum. */
function withoutSum(header: Uint8Array): Uint8Array {
  return bytes(header.subarray(0, -4), new Uint8Array(4));
}

describe("proxyHeaderV1 (section 2.1)", () => {
  const lines: [what: string, source: string | undefined, destination: string | undefined, line: string][] = [
    ["IPv4", "192.0.2.1", "198.51.100.2", "TCP4 192.0.2.1 198.51.100.2 1000 8883"],
    ["IPv6", "2001:DB8::0:1", "::1", "TCP6 2001:db8::1 ::1 1000 8883"],
    ["IPv4 in an IPv6 coat", "::ffff:192.0.2.1", "198.51.100.2", "TCP4 192.0.2.1 198.51.100.2 1000 8883"],
    ["different families: IPv6 for both", "192.0.2.1", "2001:db8::2", "TCP6 ::ffff:192.0.2.1 2001:db8::2 1000 8883"],
    ["a zone is left out", "fe80::1%eth0", "fe80::2%eth0", "TCP6 fe80::1 fe80::2 1000 8883"],
    ["a destination that is a name: the client's address counts", "192.0.2.1", "broker.example", "TCP4 192.0.2.1 0.0.0.0 1000 0"],
    ["no destination", "2001:db8::1", undefined, "TCP6 2001:db8::1 :: 1000 0"],
    ["a client on a unix socket", "unix", "198.51.100.2", "UNKNOWN"],
    ["an unknown client", undefined, "198.51.100.2", "UNKNOWN"],
    ["a client whose address is none", "nonsense\r\n", "198.51.100.2", "UNKNOWN"],
  ];
  for (const [what, source, destination, line] of lines) {
    test(what, () => {
      const header = proxyHeaderV1({ source: source === undefined ? undefined : at(source), destination: destination === undefined ? undefined : at(destination, 8_883) });
      assert.equal(text(header), `PROXY ${line}\r\n`);
    });
  }
});

describe("proxyHeaderV2 (section 2.2)", () => {
  const ends4 = { source: at("192.0.2.1", 50_000), destination: at("198.51.100.2", 8_883) };
  const ends6 = { source: at("2001:db8::1", 50_000), destination: at("2001:db8::2", 8_883) };

  test("the ends alone, with a checksum", () => {
    assert.deepEqual(withoutSum(proxyHeaderV2(ends4)), version2(PROXY, TCP4, ENDS4, CRC_FIELD));
    assert.deepEqual(withoutSum(proxyHeaderV2(ends6)), version2(PROXY, TCP6, ENDS6, CRC_FIELD));
    assert.deepEqual(reread(proxyHeaderV2(ends6)).source, ends6.source);
  });

  test("different families: IPv6 for both, which reads as what it was", () => {
    const { source, destination } = reread(proxyHeaderV2({ source: ends4.source, destination: ends6.destination }));
    assert.deepEqual({ source, destination }, { source: ends4.source, destination: ends6.destination });
  });

  test("a destination that is a name or missing is 0.0.0.0 with port 0", () => {
    for (const destination of [at("broker.example"), undefined]) {
      assert.deepEqual(reread(proxyHeaderV2({ source: ends4.source, destination })), { ...reread(proxyHeaderV2(ends4)), destination: at("0.0.0.0", 0) });
    }
  });

  test("LOCAL, without a block, for a client without an IP address", () => {
    for (const source of [undefined, at("unix", 0), at("")]) {
      assert.deepEqual(proxyHeaderV2({ source, destination: ends4.destination, authority: "a.example", tls: { version: "1.3", verified: false, clientCommonName: undefined } }), LOCAL_HEADER);
    }
  });

  for (const { name, header } of HAPROXY_HEADERS) {
    test(`tells again what HAProxy told: ${name}`, () => assert.deepEqual(reread(proxyHeaderV2(header)), header));
  }

  test("a name that nobody verified is not told, because mosquitto would take it for the user's", () => {
    const header = proxyHeaderV2({ ...ends4, tls: { version: "1.2", verified: false, clientCommonName: "admin" } });
    assert.ok(!text(header).includes("admin"));
    assert.deepEqual(reread(header).tls, { version: "1.2", cipher: undefined, verified: false, clientCommonName: undefined });
  });

  const leftOut: [what: string, field: Partial<ProxyHeader>][] = [
    ["CR LF in the authority (I3)", { authority: "a\r\nb" }],
    ["an address as authority", { authority: "10.0.0.1" }],
    ["an authority of 256 bytes", { authority: "a.".repeat(128) + "b" }],
    ["ALPN with control characters", { alpn: "\n\n" }],
    ["a unique id of 129 bytes", { uniqueId: new Uint8Array(129) }],
  ];
  for (const [what, field] of leftOut) {
    test(`leaves out ${what}`, () => assert.deepEqual(reread(proxyHeaderV2({ ...ends4, ...field })), reread(proxyHeaderV2(ends4))));
  }

  test("leaves out a common name with control characters (T6), or one of more than 255 bytes: cut it would be another's", () => {
    for (const clientCommonName of ["a\r\nb", "a\0", "ü".repeat(128)]) {
      const { tls } = reread(proxyHeaderV2({ ...ends4, tls: { version: "1.3", verified: true, clientCommonName } }));
      assert.deepEqual(tls, { version: "1.3", cipher: undefined, verified: true, clientCommonName: undefined });
    }
  });

  test("never longer than 516 bytes; what is worth least is left out", () => {
    const tls = { version: "1.3", cipher: "TLS_AES_256_GCM_SHA384", verified: true, clientCommonName: "n".repeat(255) };
    const long = [63, 63, 63, 63].map((length) => "a".repeat(length)).join(".");
    const header = proxyHeaderV2({ ...ends6, tls, authority: long, alpn: "mqtt", uniqueId: new Uint8Array(20) });
    assert.ok(header.length <= 516, `${header.length} bytes`);
    assert.deepEqual(reread(header), { ...ends6, tls, authority: undefined, alpn: "mqtt", uniqueId: new Uint8Array(20) });
  });

  test("our reader reads every header that is written, and what it reads is what was given", () => seeded((random) => {
    for (let round = 0; round < 2_000; round++) {
      const given = someHeader(random);
      assert.deepEqual(reread(proxyHeaderV2(given)), given);
      const { source, destination } = reread(proxyHeaderV1(given));
      assert.deepEqual({ source, destination }, { source: given.source, destination: given.destination });
    }
  }));
});

function someHeader(random: SeededRandom): ProxyHeader {
  const end = () => at(random.pick(["192.0.2.1", "10.0.0.1", "2001:db8::1", "::1"]), random.integer(0, 65_535));
  const verified = random.chance(0.5);
  const tls = { version: random.pick(["1.2", "1.3", undefined]), cipher: random.pick(["ECDHE-RSA-AES128-GCM-SHA256", undefined]), verified, clientCommonName: verified ? random.pick(["Gerät 7", undefined]) : undefined };
  return {
    source: end(),
    destination: end(),
    authority: random.pick(["broker.example", "my_broker", undefined]),
    alpn: random.pick(["mqtt", "http/1.1", undefined]),
    tls: random.pick([tls, undefined]),
    uniqueId: random.pick([random.bytes(random.integer(0, 20)), undefined]),
  };
}
