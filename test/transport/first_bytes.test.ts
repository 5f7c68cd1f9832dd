import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FirstBytes, type FirstBytesKind } from "../../src/transport/first_bytes.ts";
import * as m from "../support/mqtt_bytes.ts";
import { seeded } from "../support/seed.ts";
import { feed, pieces } from "./proxy_protocol/pieces.ts";

const SIGNATURE = "0d 0a 0d 0a 00 0d 0a 51 55 49 54 0a";

/** What is sent, what it is, and with which byte that is known. */
const CASES: [name: string, bytes: Uint8Array, kind: FirstBytesKind, needed: number][] = [
  ["CONNECT", m.connect({ clientId: "a" }), "mqtt", 1],
  ["a TLS ClientHello", m.hex("16 03 01 02 00 01"), "tls", 2],
  ["SSL 3.0", m.hex("16 03 00"), "tls", 2],
  ["GET", m.bytes("GET /mqtt HTTP/1.1\r\n"), "http", 4],
  ["HEAD", m.bytes("HEAD / HTTP/1.1"), "http", 5],
  ["POST", m.bytes("POST / HTTP/1.1"), "http", 5],
  ["PUT", m.bytes("PUT / HTTP/1.1"), "http", 4],
  ["PATCH", m.bytes("PATCH / HTTP/1.1"), "http", 6],
  ["DELETE", m.bytes("DELETE / HTTP/1.1"), "http", 7],
  ["OPTIONS", m.bytes("OPTIONS * HTTP/1.1"), "http", 8],
  ["CONNECT of HTTP", m.bytes("CONNECT a:1 HTTP/1.1"), "http", 8],
  ["TRACE", m.bytes("TRACE / HTTP/1.1"), "http", 6],
  ["PROXY protocol, version 1", m.bytes("PROXY TCP4 1.1.1.1"), "proxy", 6],
  ["PROXY protocol, version 2", m.hex(`${SIGNATURE} 21 11`), "proxy", 12],
  ["SSH (P12)", m.bytes("SSH-2.0-x"), "unknown", 1],
  ["PUBLISH", m.publish(), "unknown", 1],
  ["a TLS alert", m.hex("15 03 01"), "unknown", 1],
  ["0x16 and no version 3", m.hex("16 02"), "unknown", 2],
  ["lower-case get", m.bytes("get / HTTP/1.1"), "unknown", 1],
  ["GET without a blank", m.bytes("GET/ HTTP/1.1"), "unknown", 4],
  ["PROXI", m.bytes("PROXI "), "unknown", 5],
  ["PROXY and a tab", m.bytes("PROXY\t"), "unknown", 6],
  ["an empty line", m.bytes("\r\nGET / HTTP/1.1"), "unknown", 3],
  ["a signature with a wrong last byte", m.hex("0d 0a 0d 0a 00 0d 0a 51 55 49 54 0b"), "unknown", 12],
  ["zeros", new Uint8Array(20), "unknown", 1],
];

describe("FirstBytes", () => {
  for (const [name, bytes, kind, needed] of CASES) {
    test(`knows ${name} with byte ${needed}`, () => {
      const reader = new FirstBytes();
      const { answer, used } = feed(reader, Array.from(bytes, (byte) => Uint8Array.of(byte)));
      assert.deepEqual({ answer, used }, { answer: kind, used: needed });
      assert.deepEqual(reader.bytes, bytes.slice(0, needed));
    });
  }

  test("answers the same for any chunking, and keeps every byte", () => seeded((random) => {
    for (let round = 0; round < 2_000; round++) {
      const [, start, kind] = random.pick(CASES);
      const chunks = pieces(random, m.bytes(start, random.bytes(random.integer(0, 20))));
      const reader = new FirstBytes();
      const { answer, used } = feed(reader, chunks);
      assert.equal(answer, kind);
      assert.deepEqual(m.bytes(reader.bytes), m.bytes(...chunks.slice(0, used)));
    }
  }));

  test("never throws, and decides within 12 bytes", () => seeded((random) => {
    for (let round = 0; round < 5_000; round++) {
      const likely = random.pick(CASES)[1].slice(0, random.integer(0, 12));
      const bytes = m.bytes(likely, random.bytes(12 - Math.min(12, likely.length)));
      assert.notEqual(new FirstBytes().push(bytes), undefined);
    }
  }));
});
