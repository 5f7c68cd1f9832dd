import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readConnack } from "../../src/mqtt/connack.ts";
import { type Connect, readConnect } from "../../src/mqtt/connect.ts";
import type { ConnectChanges } from "../../src/mqtt/rewrite.ts";
import { rewriteConnack } from "../../src/mqtt/rewrite_connack.ts";
import * as m from "../support/mqtt_bytes.ts";

const five = (fields: m.ConnectFields = {}): Connect => readConnect(m.connect({ version: 5, ...fields })) as Connect;
const ALL: ConnectChanges = { keepAliveSeconds: 300, sessionExpirySeconds: 7, clientId: "dev/1" };
const connack = (properties: Uint8Array, fields: { code?: number; sessionPresent?: boolean } = {}): Uint8Array => m.connack({ version: 5, properties, ...fields });
const NONE = new Uint8Array(0);
const { serverKeepAliveSeconds, sessionExpirySeconds, assignedClientId } = m.PROPERTY;

describe("rewriteConnack", () => {
  test("tells a client of MQTT 5 what became of its CONNECT, behind what the broker says", () => {
    const told = m.bytes(m.PROPERTY.user("a", "b"), m.PROPERTY.topicAliasMaximum(3));
    const result = rewriteConnack(connack(told, { sessionPresent: true }), five({ clientId: "", properties: sessionExpirySeconds(60) }), ALL) as Uint8Array;
    assert.deepEqual(result, connack(m.bytes(told, serverKeepAliveSeconds(300), sessionExpirySeconds(7), assignedClientId("dev/1")), { sessionPresent: true }));
    assert.deepEqual(readConnack(result, 5), { code: 0, serverKeepAliveSeconds: 300, assignedClientId: "dev/1", sessionExpirySeconds: 7, serverReference: undefined });
    assert.deepEqual(rewriteConnack(connack(NONE), five(), { keepAliveSeconds: 65_535 }), connack(serverKeepAliveSeconds(65_535)));
  });

  test("what the broker says itself stays", () => {
    const told = m.bytes(assignedClientId("its own"), sessionExpirySeconds(1), serverKeepAliveSeconds(2));
    const frame = connack(told);
    assert.equal(rewriteConnack(frame, five({ clientId: "" }), ALL), frame);
  });

  test("what is no news is not told: the same times, and another identifier for a client that had one", () => {
    const frame = connack(NONE);
    assert.equal(rewriteConnack(frame, five({ keepAliveSeconds: 300, properties: sessionExpirySeconds(7) }), ALL), frame);
    assert.equal(rewriteConnack(frame, five(), { username: "u", password: null, userProperties: [["a", "b"]] }), frame);
  });

  test("a refusal, 3.x, and a broker that answers in 3.x are passed on as they came", () => {
    const refusal = connack(NONE, { code: 0x87 });
    assert.equal(rewriteConnack(refusal, five({ clientId: "" }), ALL), refusal);
    const short = m.connack({ version: 4 });
    assert.equal(rewriteConnack(short, five({ clientId: "" }), ALL), short);
    for (const version of [3, 4] as const) assert.equal(rewriteConnack(short, readConnect(m.connect({ version })) as Connect, ALL), short);
  });

  test("D4: the lengths grow over 127/128 and 16,383/16,384", () => {
    for (const length of [100, 110, 120, 16_360, 16_370, 16_380]) {
      const told = m.PROPERTY.reasonString("x".repeat(length));
      assert.deepEqual(rewriteConnack(connack(told), five(), ALL), connack(m.bytes(told, serverKeepAliveSeconds(300), sessionExpirySeconds(7))));
    }
  });

  test("the client's Maximum Packet Size is kept: [MQTT-3.1.2-24]", () => {
    const want = connack(serverKeepAliveSeconds(300));
    for (const [sizeMax, isTaken] of [[want.length, true], [want.length - 1, false]] as const) {
      const result = rewriteConnack(connack(NONE), five({ properties: m.PROPERTY.packetSizeMax(sizeMax) }), { keepAliveSeconds: 300 });
      if (isTaken) assert.deepEqual(result, want);
      else assert.equal((result as { code: string }).code, "packet_too_large");
    }
  });
});
