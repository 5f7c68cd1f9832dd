import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Connect, readConnect, type RefusedConnect, withCredentials } from "../../src/mqtt/connect.ts";
import * as m from "../support/mqtt_bytes.ts";
import { seeded } from "../support/seed.ts";

const refusal = (frame: Uint8Array) => {
  const result = readConnect(frame);
  return "refused" in result ? result.refused.code : undefined;
};
const accepted = (frame: Uint8Array): Connect => {
  const result = readConnect(frame);
  assert.ok(!("refused" in result), `refused: ${(result as RefusedConnect).refused?.detail}`);
  return result;
};
const five = (properties: Uint8Array) => m.connect({ version: 5, properties });

describe("readConnect", () => {
  test("reads MQTT 3.1, 3.1.1 and 5", () => {
    for (const version of [3, 4, 5] as const) {
      const connect = accepted(m.connect({ version, clientId: "sensor", username: "u", password: "p", keepAliveSeconds: 7, clean: false }));
      assert.deepEqual(
        [connect.version, connect.clientId, connect.username, connect.keepAliveSeconds, connect.cleanStart],
        [version, "sensor", "u", 7, false],
      );
    }
  });

  test("M9: takes the bridge bit in 3.1 and 3.1.1, not in 5", () => {
    assert.equal(accepted(m.connect({ version: 3, bridge: true })).bridge, true);
    assert.equal(accepted(m.connect({ version: 4, bridge: true })).version, 4);
    assert.equal(refusal(m.connect({ version: 5, bridge: true })), "unsupported_version");
  });

  test("M16: takes client ids of 23 to 65,535 bytes", () => {
    for (const length of [1, 23, 24, 127, 128, 65_535]) assert.equal(accepted(m.connect({ clientId: "x".repeat(length) })).clientId.length, length);
  });

  test("texts are read as they are, short and long ones beside each other, also where a character has several bytes", () => {
    const texts = ["a", "sensor", "x".repeat(63), "y".repeat(64), "z".repeat(65), "é".repeat(32), `${"w".repeat(63)}é`, "w".repeat(62) + "é", "€".repeat(100)];
    for (const clientId of texts) {
      for (const username of texts) {
        const connect = accepted(m.connect({ clientId, username }));
        assert.deepEqual([connect.clientId, connect.username], [clientId, username]);
      }
    }
    assert.equal(refusal(m.connect({ clientId: m.bytes(new Uint8Array(63).fill(97), m.hex("c3")), username: "é" })), "malformed_packet", "a character cut by the end of its text");
  });

  test("M14: keeps a byte order mark", () => {
    assert.equal(accepted(m.connect({ clientId: m.hex("efbbbf 61") })).clientId, "\ufeffa");
  });

  test("I5: names such as __proto__ are just text", () => {
    assert.equal(accepted(m.connect({ clientId: "__proto__", username: "constructor" })).username, "constructor");
    accepted(five(m.bytes(m.PROPERTY.user("__proto__", "x"), m.PROPERTY.user("toString", "y"))));
  });

  const versionRefusals: [string, Uint8Array, string][] = [
    ["MQTS", m.connect({ protocolName: "MQTS" }), "malformed_packet"],
    ["mqtt", m.connect({ protocolName: "mqtt" }), "malformed_packet"],
    ["MQIsdp level 4", m.connect({ protocolName: "MQIsdp", protocolLevel: 4 }), "malformed_packet"],
    ...[0, 2, 3, 6, 255].map((level): [string, Uint8Array, string] => [`MQTT level ${level}`, m.connect({ protocolLevel: level }), "unsupported_version"]),
  ];
  for (const [name, frame, code] of versionRefusals) test(`M8: refuses ${name}`, () => assert.equal(refusal(frame), code));

  test("an unknown level is answered in the nearest version's words", () => {
    assert.equal((readConnect(m.connect({ protocolLevel: 6 })) as RefusedConnect).version, 5);
    assert.equal((readConnect(m.connect({ protocolLevel: 2 })) as RefusedConnect).version, 4);
  });

  const malformed: [string, Uint8Array][] = [
    ["M10: the reserved flag", m.connect({ flags: 0x03 })],
    ["M11: a will of QoS 3", m.connect({ flags: 0x1e, will: { topic: "t", payload: "" } })],
    ["M11: will QoS without a will", m.connect({ flags: 0x0a })],
    ["M11: will retain without a will", m.connect({ flags: 0x22 })],
    ["M12: a password without a user name in 3.1.1", m.connect({ password: "p" })],
    ["M12: the same in 3.1", m.connect({ version: 3, password: "p" })],
    ["M13: a user name that is announced but missing", m.connect({ flags: 0x82 })],
    ["M13: a will that is announced but missing", m.connect({ flags: 0x06 })],
    ["M13: bytes after the last field", m.connect({ trailing: [0] })],
    ["M14: overlong UTF-8 in the client id", m.connect({ clientId: m.hex("c080") })],
    ["M14: a surrogate in the client id", m.connect({ clientId: m.hex("eda080") })],
    ["M14: a code point above U+10FFFF", m.connect({ clientId: m.hex("f4908080") })],
    ["M14: truncated UTF-8 in the user name", m.connect({ username: m.hex("e282") })],
    ["M14: U+0000 in the client id", m.connect({ clientId: m.hex("61 00 62") })],
    ["M14: U+0000 in the will topic", m.connect({ will: { topic: m.hex("61 00"), payload: "" } })],
    ["M20: a wildcard in the will topic", m.connect({ will: { topic: "a/#", payload: "" } })],
    ["an empty will topic", m.connect({ will: { topic: "", payload: "" } })],
    ["M5: a property length of five bytes", m.packet(0x10, m.field("MQTT"), [5, 2], m.uint16(60), m.hex("ffffffff01"), m.field("x"))],
    ["M5: a property length beyond the packet", m.packet(0x10, m.field("MQTT"), [5, 2], m.uint16(60), [100], m.field("x"))],
    ["D6: no property length at all in MQTT 5", m.packet(0x10, m.field("MQTT"), [5, 2], m.uint16(60))],
    ["M17: Session Expiry Interval twice", five(m.bytes(m.PROPERTY.sessionExpirySeconds(1), m.PROPERTY.sessionExpirySeconds(1)))],
    ["M17: an unknown property", five(m.hex("7f 00"))],
    ["M17: a property of PUBLISH", five(m.PROPERTY.topicAlias(1))],
    ["M17: a property of CONNACK", five(m.PROPERTY.serverKeepAliveSeconds(1))],
    ["M18: Receive Maximum 0", five(m.PROPERTY.receiveMaximum(0))],
    ["M18: Maximum Packet Size 0", five(m.PROPERTY.packetSizeMax(0))],
    ["M18: Request Problem Information 2", five(m.hex("17 02"))],
    ["a will property outside of the will", five(m.hex("18 00000001"))],
    ["a CONNECT property inside the will", m.connect({ version: 5, will: { topic: "t", payload: "", properties: m.PROPERTY.receiveMaximum(1) } })],
    ["invalid UTF-8 in a user property", five(m.PROPERTY.user("a", "b").map((byte) => (byte === 0x62 ? 0xff : byte)))],
    ["Authentication Data without a method", five(m.PROPERTY.authenticationData("x"))],
  ];
  for (const [name, frame] of malformed) test(`refuses ${name}`, () => assert.equal(refusal(frame), "malformed_packet"));

  test("M12: a password without a user name is legal in MQTT 5", () => void accepted(m.connect({ version: 5, password: "p" })));

  test("M15: an empty client id needs clean start in 3.1.1, never goes in 3.1, always in 5", () => {
    assert.equal(refusal(m.connect({ clientId: "", clean: false })), "client_id_rejected");
    assert.equal(refusal(m.connect({ clientId: "", version: 3 })), "client_id_rejected");
    assert.equal(accepted(m.connect({ clientId: "" })).clientId, "");
    assert.equal(accepted(m.connect({ clientId: "", clean: false, version: 5 })).clientId, "");
  });

  test("M19: thousands of user properties within the size limit cost linear time", () => {
    const frame = five(m.bytes(...Array.from({ length: 10_000 }, () => m.PROPERTY.user("", ""))));
    const begin = performance.now();
    accepted(frame);
    assert.ok(performance.now() - begin < 2_000);
  });

  test("M6, M25: a CONNECT cut at every byte, and mutated at every byte, never throws", () => seeded((random) => {
    const crasher = m.hex("101000044d5154540502003c0321001400006202d301e0020020");
    const full = m.connect({ version: 5, username: "u", password: "p", will: { topic: "t", payload: "x" }, properties: m.PROPERTY.user("a", "b") });
    for (const frame of [crasher.subarray(0, 18), full]) {
      for (let length = 2; length < frame.length; length++) {
        assert.notEqual(refusal(frame.subarray(0, length)), undefined, `cut at ${length}`);
      }
    }
    for (let round = 0; round < 5_000; round++) {
      const mutant = full.slice();
      for (let count = random.integer(1, 4); count > 0; count--) mutant[random.integer(2, mutant.length - 1)] = random.integer(0, 255);
      readConnect(mutant);
    }
  }));
});

describe("withCredentials", () => {
  const will = { topic: "will", payload: m.hex("00 ff"), properties: m.PROPERTY.user("z", "1") };
  const properties = m.bytes(m.PROPERTY.user("b", ""), m.PROPERTY.user("a", "1"), m.PROPERTY.user("b", "2"));
  for (const version of [3, 4, 5] as const) {
    test(`replaces, adds and removes credentials and leaves every other byte alone (version ${version})`, () => {
      const rest = { version, clientId: "id", will, properties } as const;
      const want = m.connect({ ...rest, username: "broker", password: "secret" });
      for (const had of [{}, { username: "u" }, { username: "device", password: m.hex("00 01") }]) {
        assert.deepEqual(withCredentials(accepted(m.connect({ ...rest, ...had })), "broker", "secret"), want);
      }
      const without = withCredentials(accepted(m.connect({ ...rest, username: "u", password: "p" })), "broker", undefined);
      assert.deepEqual(without, m.connect({ ...rest, username: "broker" }));
    });
  }

  test("D4: the remaining length grows and shrinks over 127/128 and 16383/16384", () => {
    for (const length of [100, 115, 116, 16_370, 16_380]) {
      const bare = accepted(m.connect({ clientId: "x".repeat(length) }));
      const rewritten = withCredentials(bare, "user", "pass");
      assert.deepEqual(rewritten, m.connect({ clientId: "x".repeat(length), username: "user", password: "pass" }));
    }
  });
});
