import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Connect, readConnect, SESSION_NEVER_EXPIRES } from "../../src/mqtt/connect.ts";
import { connectPacketSizeMax, connectPassword, connectUserProperties, connectWillTopic } from "../../src/mqtt/connect_fields.ts";
import { layoutOf } from "../../src/mqtt/connect_layout.ts";
import * as m from "../support/mqtt_bytes.ts";
import { seeded } from "../support/seed.ts";
import { drawConnect, drawnBytes } from "./connect_cases.ts";

const read = (fields: m.ConnectFields): Connect => readConnect(m.connect(fields)) as Connect;
const text = (bytes: Uint8Array | undefined): string | undefined => bytes && new TextDecoder().decode(bytes);

describe("connect fields", () => {
  test("sessionExpirySeconds: MQTT 5 says it, 3.x by clean session", () => {
    assert.equal(read({ version: 5, properties: m.PROPERTY.sessionExpirySeconds(77) }).sessionExpirySeconds, 77);
    assert.equal(read({ version: 5, properties: m.PROPERTY.sessionExpirySeconds(4_294_967_295) }).sessionExpirySeconds, SESSION_NEVER_EXPIRES);
    assert.equal(read({ version: 5, clean: false }).sessionExpirySeconds, 0);
    for (const version of [3, 4] as const) {
      assert.equal(read({ version }).sessionExpirySeconds, 0);
      assert.equal(read({ version, clean: false }).sessionExpirySeconds, SESSION_NEVER_EXPIRES);
    }
  });

  test("connectUserProperties answers all, in order, with empty names and values; none of the will's", () => {
    const properties = m.bytes(m.PROPERTY.user("b", ""), m.PROPERTY.receiveMaximum(9), m.PROPERTY.user("", "x"), m.PROPERTY.authenticationMethod("m"),
      m.PROPERTY.authenticationData("d"), m.PROPERTY.sessionExpirySeconds(1), m.PROPERTY.packetSizeMax(99), m.PROPERTY.topicAliasMaximum(1), m.hex("1700 1901"), m.PROPERTY.user("b", "\ufeffü"));
    const will = { topic: "t", payload: "", properties: m.PROPERTY.user("will", "own") };
    assert.deepEqual(connectUserProperties(read({ version: 5, properties, will })), [["b", ""], ["", "x"], ["b", "\ufeffü"]]);
    assert.deepEqual(connectUserProperties(read({ version: 5 })), []);
    assert.deepEqual(connectUserProperties(read({ version: 4, clientId: "&".repeat(38) })), []);
  });

  test("I5: properties called __proto__ are pairs like any other", () => {
    assert.deepEqual(connectUserProperties(read({ version: 5, properties: m.PROPERTY.user("__proto__", "x") })), [["__proto__", "x"]]);
  });

  test("connectPacketSizeMax", () => {
    assert.equal(connectPacketSizeMax(read({ version: 5, properties: m.bytes(m.PROPERTY.user("a", "b"), m.PROPERTY.packetSizeMax(4_294_967_295)) })), 4_294_967_295);
    assert.equal(connectPacketSizeMax(read({ version: 5 })), Infinity);
    assert.equal(connectPacketSizeMax(read({ version: 4 })), Infinity);
  });

  for (const version of [3, 4, 5] as const) {
    test(`password and will topic with all that may stand in front of them (version ${version})`, () => {
      const properties = m.bytes(m.PROPERTY.user("p".repeat(200), ""));
      for (const will of [undefined, { topic: "a/ü", payload: m.hex("0000ff"), properties }]) {
        const fields = { version, properties, username: "u", ...(will && { will }) };
        assert.equal(text(connectPassword(read({ ...fields, password: "p" }))), "p");
        assert.equal(text(connectPassword(read({ ...fields, password: "" }))), "");
        assert.equal(connectPassword(read(fields)), undefined);
        assert.equal(connectWillTopic(read(fields)), will?.topic);
      }
    });
  }

  test("a password without a user name, in MQTT 5", () => assert.equal(text(connectPassword(read({ version: 5, password: "p" }))), "p"));

  test("layoutOf follows the fields to the end of the frame, for any CONNECT", () => seeded((random) => {
    for (let round = 0; round < 1_000; round++) {
      const drawn = drawConnect(random);
      const connect = readConnect(drawnBytes(drawn)) as Connect;
      const layout = layoutOf(connect);
      const password = drawn.password === undefined ? 0 : 2 + m.bytes(drawn.password).length;
      assert.equal(layout.passwordAt, connect.frame.length - password);
      assert.equal(layout.usernameAt, connect.credentialsAt);
      assert.equal(layout.willTopicAt === undefined, drawn.will === undefined);
      if (drawn.will !== undefined) assert.equal(connectWillTopic(connect), drawn.will.topic);
      else assert.equal(layout.willAt, connect.credentialsAt);
      assert.equal(connectUserProperties(connect).length, drawn.properties.filter(({ identifier }) => identifier === 0x26).length);
    }
  }));
});
