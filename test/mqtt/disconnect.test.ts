import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { frameLength, isRedirect, lastFrameAt, referenceIn } from "../../src/mqtt/disconnect.ts";
import * as m from "../support/mqtt_bytes.ts";

const reference = (text: string) => m.bytes([0x1c], m.field(text));
const disconnect = (code: number, properties: Uint8Array) => m.disconnect({ version: 5, code, properties });

describe("referenceIn", () => {
  test("answers the Server Reference of 0x9C and 0x9D", () => {
    for (const code of [0x9c, 0x9d]) assert.equal(referenceIn(disconnect(code, reference("a:1 b"))), "a:1 b");
    assert.equal(referenceIn(disconnect(0x9c, m.bytes(m.PROPERTY.reasonString("moved"), reference("a"), m.PROPERTY.user("k", "v")))), "a");
  });

  test("answers nothing for other codes, without one, and for what is not well-formed", () => {
    assert.equal(referenceIn(disconnect(0x8b, reference("a"))), undefined);
    assert.equal(referenceIn(m.hex("e0 00")), undefined);
    assert.equal(referenceIn(m.hex("e0 01 9c")), undefined);
    assert.equal(referenceIn(m.hex("e0 02 9c 00")), undefined);
    assert.equal(referenceIn(disconnect(0x9c, m.bytes(reference("a"), reference("b")))), undefined, "twice");
    assert.equal(referenceIn(disconnect(0x9c, m.bytes([0x13, 0, 1], reference("a")))), undefined, "a property that does not belong there");
    assert.equal(referenceIn(disconnect(0x9c, m.bytes([0x1c], m.field([0xff, 0xfe])))), undefined, "no UTF-8");
    const whole = disconnect(0x9c, reference("a.example.com:1883"));
    for (let cut = 0; cut < whole.length; cut++) assert.equal(referenceIn(whole.subarray(0, cut)), undefined);
  });
});

describe("isRedirect", () => {
  test("is true of two codes", () => {
    assert.deepEqual(Array.from({ length: 256 }, (_, code) => code).filter(isRedirect), [0x9c, 0x9d]);
  });
});

describe("lastFrameAt", () => {
  test("is where the last frame begins, behind the rest of one and whatever whole ones", () => {
    const first = m.publish({ version: 5, payload: "x".repeat(300) });
    const last = disconnect(0x9c, reference("a"));
    const stream = m.bytes(first, m.pingresp(), last);
    for (let from = 0; from < first.length; from++) {
      const chunk = stream.subarray(from);
      assert.equal(lastFrameAt(chunk, from === 0 ? 0 : first.length - from), chunk.length - last.length);
    }
    assert.equal(lastFrameAt(stream.subarray(0, stream.length - 1), 0), stream.length - last.length, "the last one is cut");
  });
});

describe("frameLength", () => {
  test("counts the fixed header", () => {
    for (const size of [0, 127, 128, 16_383, 16_384]) {
      const frame = m.packet(0x30, new Uint8Array(size));
      assert.equal(frameLength(m.bytes([1, 2], frame), 2), frame.length);
    }
  });
});
