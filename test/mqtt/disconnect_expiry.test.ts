import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { boundExpiry } from "../../src/mqtt/disconnect_expiry.ts";
import * as m from "../support/mqtt_bytes.ts";

const { reasonString, sessionExpirySeconds: expiry, user } = m.PROPERTY;
const BOUNDS = { askedSeconds: 1, maxSeconds: 60 };
const disconnect = (...properties: readonly Uint8Array[]) => m.disconnect({ version: 5, code: 0, properties: m.bytes(...properties) });
const codeOf = (frame: Uint8Array, bounds = BOUNDS) => {
  const read = boundExpiry(frame, bounds);
  return "code" in read ? read.code : undefined;
};

describe("boundExpiry", () => {
  test("3,600 s where 60 are the most: four bytes are others, and the packet that came is as it was", () => {
    const frame = m.hex("e0 07 00 05 11 00 00 0e 10");
    assert.deepEqual(boundExpiry(frame, BOUNDS), { frame: m.hex("e0 07 00 05 11 00 00 00 3c"), expirySeconds: 60 });
    assert.deepEqual(frame, m.hex("e0 07 00 05 11 00 00 0e 10"));
    const chunk = Buffer.from(m.bytes(m.pingreq(), frame)); // as runtimes hand them over
    assert.deepEqual(boundExpiry(chunk.subarray(2), BOUNDS), { frame: m.hex("e0 07 00 05 11 00 00 00 3c"), expirySeconds: 60 });
    assert.deepEqual(m.bytes(chunk), m.bytes(m.pingreq(), frame));
  });

  test("what is within the bounds, or says nothing of an expiry, is the very packet", () => {
    for (const [frame, expirySeconds] of [
      [disconnect(expiry(60)), 60], [disconnect(expiry(0)), 0], [disconnect(expiry(2), reasonString("bye")), 2],
      [m.hex("e0 00"), undefined], [m.hex("e0 01 04"), undefined], [m.hex("e0 02 04 00"), undefined], [disconnect(user("k", "v")), undefined],
    ] as const) {
      const read = boundExpiry(frame, BOUNDS);
      assert.ok(!("code" in read));
      assert.equal(read.frame, frame);
      assert.equal(read.expirySeconds, expirySeconds);
    }
    const endless = disconnect(expiry(0xffff_ffff));
    assert.deepEqual(boundExpiry(endless, { askedSeconds: 1, maxSeconds: Infinity }), { frame: endless, expirySeconds: 0xffff_ffff });
  });

  test("wherever it stands among the other properties, and whatever looks like one in their texts", () => {
    const lure = "\x11\x11\x01\x01\x0e\x10";
    const users = [[], [user(lure, lure)], [user("", ""), user("k", lure), user("k", "v".repeat(300))]];
    for (const before of users) {
      for (const behind of users) {
        for (const reason of [[], [reasonString(lure)], [reasonString("x".repeat(300))]]) {
          for (const seconds of [61, 3_600, 0xffff_ffff]) {
            const said = (value: number) => [disconnect(...reason, ...before, expiry(value), ...behind), disconnect(...before, expiry(value), ...behind, ...reason)];
            for (const [index, frame] of said(seconds).entries()) assert.deepEqual(boundExpiry(frame, BOUNDS), { frame: said(60)[index], expirySeconds: 60 });
          }
        }
      }
    }
  });

  test("the most is 0xFFFFFFFE, or nothing at all", () => {
    const most = 0xffff_fffe;
    assert.deepEqual(boundExpiry(disconnect(expiry(most + 1)), { askedSeconds: 1, maxSeconds: most }), { frame: disconnect(expiry(most)), expirySeconds: most });
    assert.deepEqual(boundExpiry(disconnect(expiry(5)), { askedSeconds: 1, maxSeconds: 0 }), { frame: disconnect(expiry(0)), expirySeconds: 0 });
  });

  test("section 3.14.2.2.2: an expiry after a CONNECT with none is a protocol error, none again is not", () => {
    const bounds = { askedSeconds: 0, maxSeconds: 60 };
    for (const seconds of [1, 60, 61, 0xffff_ffff]) assert.equal(codeOf(disconnect(expiry(seconds)), bounds), "protocol_error");
    for (const frame of [disconnect(expiry(0)), m.hex("e0 00")]) assert.equal(codeOf(frame, bounds), undefined);
  });

  test("what is not well-formed is told, and never thrown", () => {
    const malformed: Readonly<Record<string, Uint8Array>> = {
      "twice": disconnect(expiry(5), expiry(5)),
      "a reason string twice": disconnect(reasonString("a"), reasonString("b")),
      "a property of CONNECT": disconnect(m.PROPERTY.receiveMaximum(5)),
      "an unknown property": disconnect(Uint8Array.of(0x7f, 1)),
      "bytes behind the properties": m.packet(0xe0, [0, 5], expiry(5), [0]),
      "an expiry in front of no properties": m.packet(0xe0, [0, 0], expiry(5)),
      "properties past the end": m.packet(0xe0, [0, 6], expiry(5)),
      "an expiry of three bytes": m.packet(0xe0, [0, 4, 0x11, 0, 0, 5]),
      "a length not in its shortest form": m.packet(0xe0, [0, 0x85, 0], expiry(5)),
      "an identifier not in its shortest form": m.packet(0xe0, [0, 6, 0x91, 0, 0, 0, 0, 5]),
      "no UTF-8": disconnect(expiry(5), m.bytes([0x1f], m.field([0xff]))),
    };
    for (const [name, frame] of Object.entries(malformed)) assert.equal(codeOf(frame), "malformed_packet", name);
    const whole = disconnect(reasonString("bye"), user("k", "v"), expiry(3_600), user("k", "w"));
    for (let cut = 4; cut < whole.length; cut++) assert.equal(codeOf(m.packet(0xe0, whole.subarray(2, cut))), "malformed_packet", `cut at ${cut}`);
  });
});
