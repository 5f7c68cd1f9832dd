import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FrameReader } from "../../../src/transport/websocket/frame_reader.ts";
import { seeded, type SeededRandom } from "../../support/seed.ts";
import { byByte, cutAt, frame, type FrameOptions, goodbye, join } from "./frames.ts";

const KEY = [0x37, 0xfa, 0x21, 0x3d];
const bytes = (...values: number[]) => Uint8Array.from(values);

/** Feeds pieces to a reader and gathers what it makes of them. */
function pass(pieces: readonly Uint8Array[], { isPeerClient = true, payloadSizeMax = Number.MAX_SAFE_INTEGER } = {}) {
  const reader = new FrameReader({ isPeerClient, payloadSizeMax });
  const payload: Uint8Array[] = [];
  let ping: Uint8Array | undefined;
  for (const piece of pieces) {
    const count = reader.read(piece);
    if (count > 0) payload.push(piece.slice(reader.start, reader.start + count));
    ping = reader.ping ?? ping;
  }
  return { payload: join(...payload), pieces: payload.length, ping, closed: reader.closed, fault: reader.fault };
}

function randomPayload(random: SeededRandom): Uint8Array {
  return random.bytes(random.pick([0, 0, 1, 2, 3, 5, 60, 125, 126, 127, 128, 200, 1000, random.integer(0, 3000), random.chance(0.1) ? 70_000 : 7]));
}

/** Data in fragments and whole, with control frames in between, as a peer of this kind sends it. */
function legalStream(random: SeededRandom, isPeerClient: boolean) {
  const frames: Uint8Array[] = [];
  const payload: Uint8Array[] = [];
  let ping: Uint8Array | undefined;
  let isFragmented = false;
  const add = (content: Uint8Array, options: FrameOptions) => {
    const key = random.chance(0.1) ? [0, 0, 0, 0] : [...random.bytes(4)];
    frames.push(frame(content, isPeerClient ? { ...options, key } : options));
  };
  for (let left = random.integer(1, 25); left > 0; left--) {
    const content = randomPayload(random);
    if (random.chance(0.25)) {
      const opcode = random.pick([9, 10]);
      add(content.subarray(0, 125), { opcode });
      if (opcode === 9) ping = content.subarray(0, 125);
      continue;
    }
    const final = random.chance(0.6);
    add(content, { opcode: isFragmented ? 0 : 2, final });
    payload.push(content);
    isFragmented = !final;
  }
  return { stream: join(...frames), payload: join(...payload), ping };
}

function chunkings(stream: Uint8Array, random: SeededRandom): Uint8Array[][] {
  return [[stream.slice()], ...(stream.length < 20_000 ? [byByte(stream)] : []), cutAt(stream, random.cuts(stream.length, 8)), cutAt(stream, random.cuts(stream.length, 60))];
}

describe("FrameReader", () => {
  test("RFC 6455 5.3, 5.4, 5.5.2: payload comes out byte for byte for any chunking, fragments and control frames between them or not", () => seeded((random) => {
    for (let round = 0; round < 120; round++) {
      const isPeerClient = random.chance(0.7);
      const { stream, payload, ping } = legalStream(random, isPeerClient);
      for (const pieces of chunkings(stream, random)) {
        const seen = pass(pieces, { isPeerClient });
        assert.equal(seen.fault, undefined);
        assert.deepEqual(seen.payload, payload);
        assert.deepEqual(seen.ping, ping);
        assert.ok(seen.pieces <= pieces.length);
      }
    }
  }));

  test("the payloads of all frames in a chunk are one piece of it", () => {
    const chunk = join(...Array.from({ length: 50 }, (_, index) => frame(new Uint8Array(index * 7).fill(index), { key: KEY })));
    const reader = new FrameReader({ isPeerClient: true, payloadSizeMax: 1e6 });
    const count = reader.read(chunk);
    const expected = join(...Array.from({ length: 50 }, (_, index) => new Uint8Array(index * 7).fill(index)));
    assert.deepEqual(chunk.slice(reader.start, reader.start + count), expected);
  });

  test("RFC 6455 5.2: every length at the edges of its three forms", () => {
    for (const length of [0, 1, 125, 126, 127, 65_535, 65_536, 65_537]) {
      const content = new Uint8Array(length).map((_, index) => index * 7);
      for (const key of [undefined, KEY]) {
        assert.deepEqual(pass([frame(content, key && { key })].map((one) => one.slice()), { isPeerClient: key !== undefined }).payload, content);
      }
    }
  });

  test("RFC 6455 5.2: a longer form of the length than needed does no harm", () => {
    for (const lengthBits of [16, 64] as const) {
      assert.deepEqual(pass(byByte(frame("abc", { key: KEY, lengthBits }))).payload, new TextEncoder().encode("abc"));
    }
  });

  test("RFC 6455 5.7: the example frames", () => {
    const hello = new TextEncoder().encode("Hello");
    assert.deepEqual(pass([bytes(0x82, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58)]).payload, hello);
    assert.deepEqual(pass([bytes(0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f)], { isPeerClient: false }).ping, hello);
    assert.equal(pass([bytes(0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58)]).fault, undefined);
  });

  test("W4: payload of a frame that is not whole is passed on at once", () => {
    const whole = frame(new Uint8Array(1000).fill(5), { key: KEY });
    const seen = pass([whole.slice(0, 500)]);
    assert.equal(seen.payload.length, 500 - 8);
    assert.ok(seen.payload.every((byte) => byte === 5));
  });

  // Only the header is there, and no more of it than the rule needs: nothing is waited for, nothing kept.
  const refused: [rule: string, header: Uint8Array, code: number, isPeerClient?: boolean][] = [
    ["W3, [MQTT-6.0.0-1] a text frame", bytes(0x81, 0x85), 1003],
    ["5.4 a text frame in fragments", bytes(0x01, 0x85), 1003],
    ...[1, 2, 3, 4, 5, 6, 7].map((reserved): [string, Uint8Array, number] => [`5.2 reserved bits ${reserved}`, bytes(0x82 | (reserved << 4), 0x85), 1002]),
    ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): [string, Uint8Array, number] => [`5.2 reserved opcode ${opcode}`, bytes(0x80 | opcode, 0x80), 1002]),
    ["5.1 an unmasked frame from a client", bytes(0x82, 0x05), 1002],
    ["5.1 an unmasked ping from a client", bytes(0x89, 0x00), 1002],
    ["5.1 a masked frame from a server", bytes(0x82, 0x85), 1002, false],
    ["5.5 a fragmented ping", bytes(0x09, 0x80), 1002],
    ["5.5 a fragmented pong", bytes(0x0a, 0x80), 1002],
    ["5.5 a fragmented Close", bytes(0x08, 0x80), 1002],
    ["5.5 a ping of 126 bytes or more", bytes(0x89, 0xfe), 1002],
    ["5.5 a pong of 65536 bytes or more", bytes(0x8a, 0xff), 1002],
    ["5.5 a Close of 126 bytes or more", bytes(0x88, 0xfe), 1002],
    ["5.4 a continuation of nothing", bytes(0x80, 0x80), 1002],
    ["5.4 a continuation of nothing, in fragments", bytes(0x00, 0x80), 1002],
    ["5.4 a new message within a fragmented one", join(frame("a", { key: KEY, final: false }), bytes(0x82, 0x80)), 1002],
    ["5.4 a fragmented message within a fragmented one", join(frame("a", { key: KEY, final: false }), bytes(0x02, 0x80)), 1002],
    ["5.4 a continuation after the last fragment", join(frame("a", { key: KEY, final: false }), frame("b", { key: KEY, opcode: 0 }), bytes(0x80, 0x80)), 1002],
    ["W6, 5.2 a length of 2^63", bytes(0x82, 0xff, 0x80), 1002],
    ["W6, 5.2 a length of 2^64 - 1", bytes(0x82, 0xff, 0xff, 255, 255, 255, 255, 255, 255, 255), 1002],
    ["W6 a length of 2^63 - 1", bytes(0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255), 1009],
    ["W6 a length of 2^53", bytes(0x82, 0xff, 0, 0x20, 0, 0, 0, 0, 0, 0), 1009],
    ["5.5.1 a Close of one byte", frame(bytes(3), { opcode: 8, key: KEY }), 1002],
    ["5.5.1 a Close whose reason is not UTF-8", frame(goodbye(1000, bytes(0xc0, 0x80)), { opcode: 8, key: KEY }), 1007],
    ["5.5.1 a Close whose reason is cut within a character", frame(goodbye(1000, bytes(0xe2, 0x82)), { opcode: 8, key: KEY }), 1007],
    ["5.5.1 a Close whose reason has half a surrogate pair", frame(goodbye(1000, bytes(0xed, 0xa0, 0x80)), { opcode: 8, key: KEY }), 1007],
    ...[0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535].map(
      (code): [string, Uint8Array, number] => [`7.4 a Close with the code ${code}`, frame(goodbye(code), { opcode: 8, key: KEY }), 1002],
    ),
  ];
  for (const [rule, header, code, isPeerClient] of refused) {
    test(`refuses ${rule} with ${code}, at the header and for any chunking`, () => {
      for (const pieces of [[header.slice()], byByte(header)]) {
        const before = isPeerClient === false ? frame("before") : frame("before", { key: KEY });
        const seen = pass([before, ...pieces, ...byByte(frame("after", { key: KEY }))], isPeerClient === false ? { isPeerClient } : {});
        assert.equal(seen.fault?.code, code);
        assert.equal(new TextDecoder().decode(seen.payload).slice(0, 6), "before");
        assert.ok(!new TextDecoder().decode(seen.payload).includes("after"));
      }
    });
  }

  test("the cap on a frame's length holds at the header, and never for control frames", () => {
    assert.equal(pass([frame("", { key: KEY, length: 1001n })], { payloadSizeMax: 1000 }).fault?.code, 1009);
    assert.equal(pass([frame(new Uint8Array(1000), { key: KEY })], { payloadSizeMax: 1000 }).fault, undefined);
    assert.equal(pass([frame("0123456789", { key: KEY, opcode: 9 })], { payloadSizeMax: 1 }).fault, undefined);
  });

  test("a length up to 2^53 - 1 is believed, and nothing is laid by for it", () => {
    const seen = pass([frame("", { key: [0, 0, 0, 0], length: (1n << 53n) - 1n }), bytes(1, 2, 3), new Uint8Array(100_000)]);
    assert.equal(seen.fault, undefined);
    assert.equal(seen.payload.length, 100_003);
  });

  for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999]) {
    test(`RFC 6455 7.4: a Close with the code ${code} and a reason is read, and nothing after it`, () => {
      const stream = join(frame("data", { key: KEY }), frame(goodbye(code, "grüße"), { opcode: 8, key: KEY }), frame("more", { key: KEY }), bytes(0xff, 0xff));
      for (const pieces of [[stream.slice()], byByte(stream)]) {
        const seen = pass(pieces);
        assert.deepEqual(seen.closed, { code });
        assert.equal(seen.fault, undefined);
        assert.equal(new TextDecoder().decode(seen.payload), "data");
      }
    });
  }

  test("RFC 6455 5.5.1: an empty Close has no code", () => {
    assert.deepEqual(pass([frame("", { opcode: 8, key: KEY })]).closed, { code: undefined });
  });

  test("RFC 6455 5.5.3: of several pings in a chunk the latest is kept", () => {
    const stream = join(frame("one", { opcode: 9, key: KEY }), frame("two", { opcode: 9, key: KEY }), frame("three", { opcode: 9, key: KEY }).subarray(0, 8));
    assert.deepEqual(pass([stream]).ping, new TextEncoder().encode("two"));
  });

  test("never throws, and comes to the same end for any chunking, whatever arrives", () => seeded((random) => {
    for (let round = 0; round < 4_000; round++) {
      const isPeerClient = random.chance(0.7);
      const stream = random.chance(0.3) ? random.bytes(random.integer(1, 80)) : mutated(legalStream(random, isPeerClient).stream.slice(0, 400), random);
      const options = { isPeerClient, payloadSizeMax: random.pick([100, Number.MAX_SAFE_INTEGER]) };
      const whole = pass([stream.slice()], options);
      for (const pieces of [byByte(stream), cutAt(stream, random.cuts(stream.length, 10))]) {
        const cut = pass(pieces, options);
        assert.deepEqual({ ...cut, pieces: 0 }, { ...whole, pieces: 0 });
      }
    }
  }));
});

function mutated(stream: Uint8Array, random: SeededRandom): Uint8Array {
  for (let count = random.integer(1, 4); count > 0; count--) stream[random.integer(0, Math.min(stream.length - 1, 30))] = random.integer(0, 255);
  return stream;
}
