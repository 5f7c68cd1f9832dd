import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Version } from "../../src/mqtt/fault.ts";
import { FrameFollower } from "../../src/mqtt/frame_follower.ts";
import { BROKER_RULES, CLIENT_RULES, type HeaderRules } from "../../src/mqtt/rules.ts";
import * as m from "../support/mqtt_bytes.ts";
import { seeded, type SeededRandom } from "../support/seed.ts";

const SIZE_MAX = 1 << 20;

/** Feeds the stream in pieces and collects what the follower releases, until its fault. */
function pass(rules: HeaderRules, pieces: readonly Uint8Array[], sizeMax = SIZE_MAX) {
  const follower = new FrameFollower(rules, sizeMax);
  const released: Uint8Array[] = [];
  for (const piece of pieces) {
    const joined = follower.join(piece);
    released.push(joined.subarray(0, follower.follow(joined)));
    if (follower.fault !== undefined) break;
  }
  return { follower, released: m.bytes(...released), code: follower.fault?.code };
}

const byByte = (stream: Uint8Array) => Array.from(stream, (_, index) => stream.subarray(index, index + 1));

function split(stream: Uint8Array, random: SeededRandom): Uint8Array[] {
  const cuts = [0, ...random.cuts(stream.length, 40), stream.length];
  return cuts.slice(1).map((cut, index) => stream.subarray(cuts[index], cut));
}

function legalStream(random: SeededRandom, version: Version): Uint8Array[] {
  const frames = [
    () => m.publish({ version, payload: random.bytes(random.pick([0, 1, 100, 127, 128, 16_400])), qos: random.integer(0, 2) }),
    () => m.pingreq(),
    () => m.subscribe([["a/#", 1]], { version }),
    () => m.unsubscribe(["a/#"], { version }),
    () => m.puback(random.integer(1, 65535)),
    () => m.pubrel(7),
  ];
  return Array.from({ length: random.integer(1, 30) }, () => random.pick(frames)());
}

describe("FrameFollower", () => {
  test("releases a legal stream byte for byte and counts its packets, for any chunking", () => seeded((random) => {
    for (let round = 0; round < 300; round++) {
      const version = random.pick<Version>([3, 4, 5]);
      const frames = legalStream(random, version);
      const stream = m.bytes(...frames);
      for (const pieces of [[stream], byByte(stream), split(stream, random)]) {
        const { follower, released, code } = pass(CLIENT_RULES[version], pieces);
        assert.equal(code, undefined);
        assert.deepEqual(released, stream);
        assert.equal(follower.packets, frames.length);
        assert.equal(follower.bodyLeft, 0);
      }
    }
  }));

  test("stops at the same byte with the same fault for any chunking, and releases nothing of the bad frame", () => seeded((random) => {
    const bad = [m.connect(), m.hex("c08000"), m.hex("3080808080 01"), m.hex("36 02 0000"), m.hex("00 00"), m.hex("20 02 0000"), m.hex("e0 00 c0 00").subarray(0, 2)];
    for (let round = 0; round < 300; round++) {
      const good = m.bytes(...legalStream(random, 4));
      const ending = random.pick(bad);
      const stream = m.bytes(good, ending, ending[0] === 0xe0 ? [0xc0, 0] : []);
      const whole = pass(CLIENT_RULES[4], [stream]);
      const expected = ending[0] === 0xe0 ? m.bytes(good, ending) : good;
      assert.notEqual(whole.code, undefined);
      assert.deepEqual(whole.released, expected);
      for (const pieces of [byByte(stream), split(stream, random)]) {
        const cut = pass(CLIENT_RULES[4], pieces);
        assert.equal(cut.code, whole.code);
        assert.deepEqual(cut.released, expected);
      }
    }
  }));

  test("never throws and never holds more than four bytes, whatever arrives", () => seeded((random) => {
    for (let round = 0; round < 3_000; round++) {
      const noise = random.bytes(random.integer(1, 60));
      const { follower, released } = pass(random.pick([CLIENT_RULES, BROKER_RULES])[random.pick<Version>([3, 4, 5])], split(noise, random));
      assert.deepEqual(released, noise.subarray(0, released.length));
      if (follower.fault === undefined) assert.ok(noise.length - released.length <= 4);
    }
  }));

  test("after a fault nothing is released any more, legal or not", () => {
    const { follower } = pass(CLIENT_RULES[5], [m.hex("00 00")]);
    assert.equal(follower.follow(m.pingreq()), 0);
    assert.equal(follower.follow(m.connect()), 0);
    assert.equal(follower.fault?.code, "malformed_packet");
  });

  test("bodyLeft tells what is missing to the next boundary", () => {
    const frame = m.publish({ payload: new Uint8Array(100) });
    const { follower } = pass(CLIENT_RULES[4], [frame.subarray(0, 50)]);
    assert.equal(follower.bodyLeft, frame.length - 50);
  });

  const illegal: [string, Uint8Array, string][] = [
    ["[MQTT-3.1.0-2] a second CONNECT", m.connect(), "protocol_error"],
    ["[MQTT-1.5.5-1] a length not in its shortest form (M4)", m.hex("c0 80 00"), "malformed_packet"],
    ["[MQTT-1.5.5-1] a length of five bytes (M3), at the fifth", m.hex("30 80 80 80 80"), "malformed_packet"],
    ["[MQTT-3.3.1-4] PUBLISH with QoS 3 (M20)", m.hex("36 04 0001 61 00"), "malformed_packet"],
    ["[MQTT-3.3.1-2] DUP with QoS 0 (M20)", m.hex("38 03 0001 61"), "malformed_packet"],
    ["[MQTT-2.2.2-2] SUBSCRIBE with flags 0 (M21)", m.hex("80 06 0001 0001 61 00"), "malformed_packet"],
    ["[MQTT-2.2.2-2] PUBREL with flags 0 (M21)", m.hex("60 02 0001"), "malformed_packet"],
    ["[MQTT-2.2.2-2] DISCONNECT with flags 1 (M21)", m.hex("e1 00"), "malformed_packet"],
    ["[MQTT-2.2.2-2] PINGREQ with flags 1 (M21)", m.hex("c1 00"), "malformed_packet"],
    ["[MQTT-3.8.3-3] SUBSCRIBE without a filter (M22)", m.hex("82 02 0001"), "malformed_packet"],
    ["[MQTT-3.10.3-2] UNSUBSCRIBE without a filter (M22)", m.hex("a2 02 0001"), "malformed_packet"],
    ["PINGREQ with a body", m.hex("c0 01 00"), "malformed_packet"],
    ["PUBACK of 3 bytes in 3.1.1", m.hex("40 03 000100"), "malformed_packet"],
    ["DISCONNECT with a body in 3.1.1", m.hex("e0 01 00"), "malformed_packet"],
    ["AUTH in 3.1.1", m.hex("f0 00"), "malformed_packet"],
    ["reserved type 0", m.hex("00 00"), "malformed_packet"],
    ...["20", "90", "b0", "d0"].map((first): [string, Uint8Array, string] => [`server packet 0x${first} from a client (M23)`, m.hex(`${first} 02 0000`), "malformed_packet"]),
    ["a packet over the size limit, at its header (D7)", m.hex("30 80 80 80 01"), "packet_too_large"],
  ];
  for (const [name, stream, code] of illegal) {
    test(`from a client, refuses ${name}`, () => {
      for (const pieces of [[stream], byByte(stream)]) {
        const result = pass(CLIENT_RULES[4], pieces);
        assert.equal(result.code, code);
        assert.equal(result.released.length, 0);
      }
    });
  }

  test("[MQTT-3.14.4-1] lets nothing follow a DISCONNECT (P4), in either direction", () => {
    for (const rules of [CLIENT_RULES[4], CLIENT_RULES[5], BROKER_RULES[5]]) {
      const { code, released } = pass(rules, [m.bytes(m.disconnect(), m.connect())]);
      assert.equal(code, "protocol_error");
      assert.deepEqual(released, m.disconnect());
    }
  });

  test("takes a DUP mark on PUBREL, SUBSCRIBE and UNSUBSCRIBE in MQTT 3.1 alone (section 2.1)", () => {
    for (const stream of [m.hex("6a 02 0001"), m.hex("8a 06 0001 0001 61 00"), m.hex("aa 05 0001 0001 61")]) {
      assert.equal(pass(CLIENT_RULES[3], [stream]).code, undefined);
      assert.equal(pass(CLIENT_RULES[4], [stream]).code, "malformed_packet");
    }
  });

  test("takes a packet of exactly the limit, header counted, and refuses one byte more (D7)", () => {
    const frame = m.publish({ payload: new Uint8Array(1000) });
    assert.equal(pass(CLIENT_RULES[4], [frame], frame.length).code, undefined);
    assert.equal(pass(CLIENT_RULES[4], [frame], frame.length - 1).code, "packet_too_large");
  });

  test("from a broker, refuses CONNECT, CONNACK and client packets, and DISCONNECT before MQTT 5 (M24)", () => {
    for (const stream of [m.connect(), m.connack(), m.subscribe([["a", 0]]), m.pingreq(), m.disconnect()]) {
      assert.notEqual(pass(BROKER_RULES[4], [stream]).code, undefined);
    }
    assert.notEqual(pass(BROKER_RULES[4], [m.hex("90 02 0001")]).code, undefined, "SUBACK without codes");
    assert.equal(pass(BROKER_RULES[5], [m.disconnect({ version: 5, code: 0x8b })]).code, undefined);
  });
});
