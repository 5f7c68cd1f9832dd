import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Connack, judgeBrokerFirstByte, readConnack } from "../../src/mqtt/connack.ts";
import * as m from "../support/mqtt_bytes.ts";

const accepted = (frame: Uint8Array, version: 3 | 4 | 5) => {
  const result = readConnack(frame, version);
  assert.ok(!("detail" in result), "refused");
  return result as Connack;
};
const refused = (frame: Uint8Array, version: 3 | 4 | 5) => assert.equal((readConnack(frame, version) as { code: unknown }).code, "broker_malformed");

describe("readConnack", () => {
  test("reads success and refusal codes in every version (U10)", () => {
    for (const code of [0, 1, 2, 3, 4, 5]) assert.equal(accepted(m.connack({ code }), 4).code, code);
    for (const code of [0x80, 0x87, 0x9f]) assert.equal(accepted(m.connack({ version: 5, code }), 5).code, code);
  });

  test("Server Keep Alive and Assigned Client Identifier", () => {
    const properties = m.bytes(m.PROPERTY.serverKeepAliveSeconds(9), m.PROPERTY.assignedClientId("auto-1"), m.PROPERTY.user("a", "b"));
    const connack = accepted(m.connack({ version: 5, properties }), 5);
    assert.equal(connack.serverKeepAliveSeconds, 9);
    assert.equal(connack.assignedClientId, "auto-1");
  });

  test("takes a two-byte answer to an MQTT 5 client: a broker that knows only 3.1.1 refuses so", () => {
    assert.equal(accepted(m.connack({ code: 1 }), 5).code, 1);
  });

  test("M24: refuses what is cut, too long, or has reserved flags or wrong properties", () => {
    refused(m.hex("20 00"), 4);
    refused(m.hex("20 01 00"), 4);
    refused(m.hex("20 03 00 00 00"), 4);
    refused(m.hex("20 02 02 00"), 4);
    refused(m.hex("20 03 00 00 05"), 5);
    refused(m.connack({ version: 5, properties: m.PROPERTY.topicAlias(1) }), 5);
    refused(m.connack({ version: 5, properties: m.bytes(m.PROPERTY.serverKeepAliveSeconds(1), m.PROPERTY.serverKeepAliveSeconds(1)) }), 5);
  });
});

describe("judgeBrokerFirstByte", () => {
  test("a broker speaks CONNACK first, or AUTH in MQTT 5", () => {
    assert.equal(judgeBrokerFirstByte(4)(0x20), undefined);
    assert.equal(judgeBrokerFirstByte(5)(0xf0), undefined);
    assert.equal(judgeBrokerFirstByte(4)(0xf0)?.code, "broker_malformed");
    assert.equal(judgeBrokerFirstByte(5)(0x30)?.code, "broker_malformed");
  });
});
