import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { judgeFirstByte } from "../../src/mqtt/connect.ts";
import { FrameCollector } from "../../src/mqtt/frame_collector.ts";
import * as m from "../support/mqtt_bytes.ts";
import { seeded } from "../support/seed.ts";

const collect = (pieces: readonly Uint8Array[], sizeMax = 65_536) => {
  const collector = new FrameCollector(judgeFirstByte, sizeMax);
  for (const [index, piece] of pieces.entries()) {
    const result = collector.push(piece);
    if (result !== undefined) return { result, index, collector };
  }
  return { result: undefined, index: -1, collector };
};

describe("FrameCollector", () => {
  test("gives the exact frame and what came behind it, for any chunking", () => seeded((random) => {
    for (let round = 0; round < 200; round++) {
      const frame = m.connect({ clientId: "x".repeat(random.pick([1, 100, 120, 20_000])) });
      const stream = m.bytes(frame, random.bytes(random.integer(0, 30)));
      const cuts = [0, ...random.cuts(stream.length, 30), stream.length];
      const { result, index } = collect(cuts.slice(1).map((cut, at) => stream.subarray(cuts[at], cut)));
      assert.ok(result !== undefined && "frame" in result);
      assert.deepEqual(result.frame, frame);
      assert.deepEqual(m.bytes(result.rest), stream.subarray(frame.length, cuts[index + 1]));
    }
  }));

  const refused: [string, Uint8Array, string][] = [
    ["M1: PUBLISH first", m.publish(), "protocol_error"],
    ["M1: SUBSCRIBE first", m.subscribe([["a", 0]]), "protocol_error"],
    ["M1: PINGREQ first", m.pingreq(), "protocol_error"],
    ["M1: DISCONNECT first", m.disconnect(), "protocol_error"],
    ["M1: type 0", m.hex("00"), "protocol_error"],
    ["M1: 0xf0", m.hex("f0"), "protocol_error"],
    ["M2: a huge length, before anything is buffered", m.hex("10 ff ff ff 7f"), "packet_too_large"],
    ["M2: a huge first PUBLISH", m.hex("30 ff ff ff 7f"), "protocol_error"],
    ["M3: five length bytes, at the fifth", m.hex("10 80 80 80 80"), "malformed_packet"],
    ["M4: a length not in its shortest form", m.hex("10 8f 00"), "malformed_packet"],
    ["P12: HTTP", m.bytes("GET / HTTP/1.1\r\n"), "wrong_protocol"],
    ["P12: SSH", m.bytes("SSH-2.0-x"), "wrong_protocol"],
    ["P12: a TLS ClientHello", m.hex("16 03 01 02 00 01"), "wrong_protocol"],
  ];
  for (const [name, stream, code] of refused) {
    test(`refuses ${name}`, () => {
      for (const pieces of [[stream], Array.from(stream, (_, at) => stream.subarray(at, at + 1))]) {
        const { result } = collect(pieces);
        assert.ok(result !== undefined && "code" in result);
        assert.equal(result.code, code);
      }
    });
  }

  test("takes a frame of exactly the limit and refuses one byte more", () => {
    const frame = m.connect({ clientId: "x".repeat(500) });
    assert.ok("frame" in (collect([frame], frame.length).result as object));
    assert.equal((collect([frame], frame.length - 1).result as { code: string }).code, "packet_too_large");
  });

  test("memory grows with what arrived, not with what the header promises", () => {
    const before = process.memoryUsage().arrayBuffers;
    const waiting = Array.from({ length: 2_000 }, () => collect([m.hex("10 f0 ff 03 00 04")]).collector);
    const grown = process.memoryUsage().arrayBuffers - before;
    assert.ok(grown < 2_000 * 1_000, `${grown} bytes for ${waiting.length} incomplete CONNECTs of 6 bytes`);
  });
});
