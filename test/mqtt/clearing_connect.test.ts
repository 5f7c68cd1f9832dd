import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { clearingConnect } from "../../src/mqtt/clearing_connect.ts";
import { type Connect, readConnect } from "../../src/mqtt/connect.ts";
import * as m from "../support/mqtt_bytes.ts";
import { seeded } from "../support/seed.ts";

const cleared = (fields: m.ConnectFields) => clearingConnect(readConnect(m.connect(fields)) as Connect);

describe("clearingConnect", () => {
  test("the client's identity and credentials; a clean start, no will, a short keep-alive, and in MQTT 5 no session afterwards", () => {
    const user = m.PROPERTY.user("region", "eu");
    for (const version of [3, 4, 5] as const) {
      const will = { topic: "w", payload: m.hex("00 ff"), qos: 2, retain: true, ...(version === 5 && { properties: m.PROPERTY.user("a", "b") }) };
      const properties = m.bytes(user, m.PROPERTY.sessionExpirySeconds(3_600), m.PROPERTY.receiveMaximum(9));
      const identity = { version, clientId: "sensor-7", username: "u", password: m.hex("01 00 02") };
      const frame = cleared({ ...identity, clean: false, keepAliveSeconds: 600, will, properties })?.frame;
      assert.deepEqual(frame, m.connect({ ...identity, clean: true, keepAliveSeconds: 10, properties: m.bytes(user, m.PROPERTY.receiveMaximum(9)) }), `version ${version}`);
    }
  });

  test("the mark of a bridge stays; who came by an exchange of MQTT 5 cannot be stood in for", () => {
    assert.deepEqual(cleared({ bridge: true, clean: false })?.frame, m.connect({ bridge: true, keepAliveSeconds: 10 }));
    assert.equal(cleared({ version: 5, properties: m.PROPERTY.authenticationMethod("SCRAM") }), undefined);
  });

  test("whatever the lengths, it is a legal CONNECT of the same client", () => seeded((random) => {
    for (let round = 0; round < 500; round++) {
      const version = random.pick([3, 4, 5] as const);
      const long = () => "x".repeat(random.pick([1, 60, 126, 127, 128, 16_383, 40_000]));
      const clientId = long();
      const username = random.chance(0.5) ? long() : undefined;
      const connect = cleared({
        version, clientId, clean: random.chance(0.5),
        ...(username !== undefined && { username, ...(random.chance(0.5) && { password: long() }) }),
        ...(random.chance(0.5) && { will: { topic: long(), payload: long() } }),
        ...(version === 5 && { properties: m.bytes(m.PROPERTY.user(long(), ""), m.PROPERTY.sessionExpirySeconds(1)) }),
      });
      assert.deepEqual([connect?.clientId, connect?.username, connect?.cleanStart, connect?.sessionExpirySeconds], [clientId, username, true, 0]);
    }
  }));
});
