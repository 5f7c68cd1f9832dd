import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Connect, readConnect, type RefusedConnect } from "../../src/mqtt/connect.ts";
import { connectPassword, connectUserProperties, connectWillTopic } from "../../src/mqtt/connect_fields.ts";
import { type ConnectChanges, rewriteConnect } from "../../src/mqtt/rewrite.ts";
import * as m from "../support/mqtt_bytes.ts";
import { chooseSeed, seeded, type SeededRandom } from "../support/seed.ts";
import { type DrawnConnect, drawConnect, drawName, drawnBytes, type DrawnProperty, drawText } from "./connect_cases.ts";

const UNLIMITED = { sizeMax: 1e9 };
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function accepted(frame: Uint8Array): Connect {
  const result = readConnect(frame);
  assert.ok(!("refused" in result), `refused: ${(result as RefusedConnect).refused?.detail}: ${hexOf(frame)}`);
  return result;
}

function rewritten(frame: Uint8Array, changes: ConnectChanges, limits = UNLIMITED): Uint8Array {
  const result = rewriteConnect(accepted(frame), changes, limits);
  assert.ok(!("code" in result), JSON.stringify(result));
  return result;
}

function refusal(frame: Uint8Array, changes: ConnectChanges, limits = UNLIMITED): string | undefined {
  const result = rewriteConnect(accepted(frame), changes, limits);
  return "code" in result ? result.code : undefined;
}

function drawChanges(random: SeededRandom, { version, clean, username }: DrawnConnect): ConnectChanges {
  const mayBeEmpty = version === 5 || (version === 4 && clean);
  const newName = random.chance(0.5) ? random.pick([drawText(random), "", null]) : undefined;
  const isNamed = newName === undefined ? username !== undefined : newName !== null;
  const mayHavePassword = version === 5 || isNamed;
  return {
    ...(random.chance(0.5) && { clientId: mayBeEmpty && random.chance(0.2) ? "" : drawText(random) }),
    ...(newName !== undefined && { username: newName }),
    ...(random.chance(0.5) && { password: mayHavePassword && random.chance(0.8) ? random.bytes(random.integer(0, 50)) : null }),
    ...(random.chance(0.5) && { keepAliveSeconds: random.pick([0, 1, 255, 256, 65_535]) }),
    ...(random.chance(0.5) && { sessionExpirySeconds: random.pick([0, 1, 2_147_483_648, 4_294_967_295]) }),
    ...(random.chance(0.5) && { willTopic: drawText(random) }),
    ...(random.chance(0.5) && { userProperties: Array.from({ length: random.integer(0, 3) }, () => [drawName(random), random.pick(["", drawText(random)])] as const) }),
  };
}

/** The same on the fields, before they are bytes. */
function changed(drawn: DrawnConnect, changes: ConnectChanges): DrawnConnect {
  const { username, password, ...rest } = drawn;
  const newName = changes.username === undefined ? username : (changes.username ?? undefined);
  const newPassword = changes.password === undefined ? password : (changes.password ?? undefined);
  const keepsPassword = newPassword !== undefined && (drawn.version === 5 || newName !== undefined);
  return {
    ...rest,
    ...(newName !== undefined && { username: newName }),
    ...(keepsPassword && { password: newPassword }),
    ...(changes.clientId !== undefined && { clientId: changes.clientId }),
    ...(changes.keepAliveSeconds !== undefined && { keepAliveSeconds: changes.keepAliveSeconds }),
    ...(drawn.will !== undefined && { will: { ...drawn.will, topic: changes.willTopic ?? drawn.will.topic } }),
    properties: drawn.version === 5 ? changedProperties(drawn.properties, changes) : [],
  };
}

function changedProperties(properties: readonly DrawnProperty[], { sessionExpirySeconds, userProperties = [] }: ConnectChanges): DrawnProperty[] {
  const names = userProperties.map(([name]) => name);
  const kept = properties.filter(({ name }) => name === undefined || !names.includes(name));
  const expiry = sessionExpirySeconds === undefined ? [] : [{ identifier: 0x11, bytes: m.PROPERTY.sessionExpirySeconds(sessionExpirySeconds) }];
  const had = kept.some(({ identifier }) => identifier === 0x11);
  return [
    ...kept.flatMap((property) => (property.identifier === 0x11 && expiry.length > 0 ? expiry : [property])),
    ...(had ? [] : expiry),
    ...userProperties.map(([name, value]) => ({ identifier: 0x26, name, bytes: m.PROPERTY.user(name, value) })),
  ];
}

function assertAsked(connect: Connect, changes: ConnectChanges): void {
  const { clientId, username, password, keepAliveSeconds, sessionExpirySeconds, willTopic, userProperties } = changes;
  if (clientId !== undefined) assert.equal(connect.clientId, clientId);
  if (username !== undefined) assert.equal(connect.username, username ?? undefined);
  if (password !== undefined) assert.deepEqual(connectPassword(connect)?.slice(), password ?? undefined);
  if (keepAliveSeconds !== undefined) assert.equal(connect.keepAliveSeconds, keepAliveSeconds);
  if (willTopic !== undefined) assert.ok([willTopic, undefined].includes(connectWillTopic(connect)));
  if (connect.version !== 5) return;
  if (sessionExpirySeconds !== undefined) assert.equal(connect.sessionExpirySeconds, sessionExpirySeconds);
  if (userProperties === undefined) return;
  const names = userProperties.map(([name]) => name);
  assert.deepEqual(connectUserProperties(connect).filter(([name]) => names.includes(name)), userProperties);
}

describe("rewriteConnect", () => {
  for (const [name, seed] of [["a fixed seed", 1_883], ["a fresh one", chooseSeed()]] as const) {
    test(`D4, D5: of 3,000 CONNECTs only what was asked for is another, to the byte (${name}: ${seed})`, () => seeded((random) => {
      for (let round = 0; round < 3_000; round++) {
        const drawn = drawConnect(random);
        const changes = drawChanges(random, drawn);
        const result = rewritten(drawnBytes(drawn), changes);
        assert.equal(hexOf(result), hexOf(drawnBytes(changed(drawn, changes))), JSON.stringify(changes).slice(0, 500));
        assertAsked(accepted(result), changes);
      }
    }, seed));
  }

  test("without changes every byte is the same", () => seeded((random) => {
    for (let round = 0; round < 300; round++) {
      const frame = drawnBytes(drawConnect(random));
      assert.equal(hexOf(rewritten(frame, {})), hexOf(frame));
    }
  }));

  test("the client's frame is not written into", () => {
    const frame = m.connect({ version: 5, username: "u", password: "p", will: { topic: "t", payload: "x" }, properties: m.PROPERTY.sessionExpirySeconds(9) });
    const before = frame.slice();
    rewritten(frame, { clientId: "c", username: "v", password: m.bytes("q"), keepAliveSeconds: 1, sessionExpirySeconds: 2, willTopic: "w", userProperties: [["a", "b"]] });
    assert.deepEqual(frame, before);
  });

  test("a frame that is part of a larger chunk", () => {
    const frame = m.connect({ version: 5, username: "u", properties: m.PROPERTY.packetSizeMax(70_000) });
    const chunk = m.bytes([1, 2, 3], frame, m.pingreq()).subarray(3, 3 + frame.length);
    assert.deepEqual(rewritten(chunk, { username: "v" }), m.connect({ version: 5, username: "v", properties: m.PROPERTY.packetSizeMax(70_000) }));
  });

  test("D4: the remaining length grows and shrinks over 127/128 and 16,383/16,384, and to four bytes and back", () => {
    const overhead = m.connect({ clientId: "" }).length - 2;
    for (const border of [127, 16_383]) {
      for (const [from, to] of [[-1, 0], [0, 1], [1, 0], [0, 2], [2, -1]] as const) {
        const id = (more: number): string => "x".repeat(border - overhead + more);
        assert.deepEqual(rewritten(m.connect({ clientId: id(from) }), { clientId: id(to) }), m.connect({ clientId: id(to) }), `${border}: ${from} to ${to}`);
      }
    }
    const many = Array.from({ length: 33 }, (_, index) => [`${index}`, "v".repeat(65_000)] as const);
    const result = rewritten(m.connect({ version: 5 }), { userProperties: many });
    assert.ok(result.length > 2_097_152);
    assert.equal(hexOf(result), hexOf(m.connect({ version: 5, properties: m.bytes(...many.map(([name, value]) => m.PROPERTY.user(name, value))) })));
    assert.ok(rewritten(result, { userProperties: many.map(([name]) => [name, ""] as const) }).length < 16_384);
  });

  test("D4: the property length grows and shrinks over 127/128 and 16,383/16,384", () => {
    for (const border of [127, 16_383]) {
      for (const more of [-1, 0, 1]) {
        const value = "v".repeat(border - 6 + more); // identifier, two lengths, a name of one byte
        const want = m.connect({ version: 5, properties: m.PROPERTY.user("n", value) });
        assert.deepEqual(rewritten(m.connect({ version: 5 }), { userProperties: [["n", value]] }), want);
        assert.deepEqual(rewritten(want, { userProperties: [["n", ""]] }), m.connect({ version: 5, properties: m.PROPERTY.user("n", "") }));
      }
    }
  });

  test("D4: 65,535 bytes of a text or a password are taken, 65,536 are refused", () => {
    const frame = m.connect({ version: 5, username: "u", password: "p", will: { topic: "t", payload: "" } });
    const of = (length: number): string => "ü".repeat(length / 2) + "x".repeat(length % 2);
    for (const [length, code] of [[65_535, undefined], [65_536, "packet_too_large"]] as const) {
      assert.equal(refusal(frame, { clientId: of(length) }), code);
      assert.equal(refusal(frame, { username: of(length) }), code);
      assert.equal(refusal(frame, { willTopic: of(length) }), code);
      assert.equal(refusal(frame, { password: new Uint8Array(length) }), code);
      assert.equal(refusal(frame, { userProperties: [[of(length), ""]] }), code);
      assert.equal(refusal(frame, { userProperties: [["", of(length)]] }), code);
    }
  });

  test("D4, D7: the size limit counts the header: exactly at it is taken, one above is refused", () => {
    for (const length of [10, 200, 20_000]) {
      const sizeMax = m.connect({ clientId: "x".repeat(length) }).length;
      assert.equal(refusal(m.connect(), { clientId: "x".repeat(length) }, { sizeMax }), undefined);
      assert.equal(refusal(m.connect(), { clientId: "x".repeat(length + 1) }, { sizeMax }), "packet_too_large");
    }
  });

  test("D6: MQTT 5 without properties gets and loses a block; 3.1 stays 3.1, with the mark of a bridge", () => {
    const user = m.PROPERTY.user("a", "b");
    assert.deepEqual(rewritten(m.connect({ version: 5 }), { userProperties: [["a", "b"]] }), m.connect({ version: 5, properties: user }));
    assert.deepEqual(rewritten(m.connect({ version: 5 }), { username: "u" }), m.connect({ version: 5, username: "u" }));
    for (const version of [3, 4] as const) {
      const changes = { clientId: "c", sessionExpirySeconds: 5, userProperties: [["a", "b"]] } as const;
      const result = rewritten(m.connect({ version, bridge: true }), changes);
      assert.deepEqual(result, m.connect({ version, bridge: true, clientId: "c" }));
      assert.equal(accepted(result).bridge, true);
    }
  });

  test("D5: what the client forged goes, what only looks like it stays, and the order with it", () => {
    const before = m.bytes(m.PROPERTY.user("x-client-ip", "1.1.1.1"), m.PROPERTY.user("a", ""), m.PROPERTY.receiveMaximum(3), m.PROPERTY.user("x-client-ip2", ""),
      m.PROPERTY.user("X-Client-IP", "?"), m.PROPERTY.user("a", "2"), m.PROPERTY.user("x-client-ip", ""), m.PROPERTY.user("", "x-client-ip"));
    const after = m.bytes(m.PROPERTY.user("a", ""), m.PROPERTY.receiveMaximum(3), m.PROPERTY.user("x-client-ip2", ""),
      m.PROPERTY.user("X-Client-IP", "?"), m.PROPERTY.user("a", "2"), m.PROPERTY.user("", "x-client-ip"), m.PROPERTY.user("x-client-ip", "10.0.0.1"));
    const will = { topic: "t", payload: m.hex("00ff10"), properties: m.PROPERTY.user("x-client-ip", "the will's own") };
    assert.deepEqual(
      rewritten(m.connect({ version: 5, properties: before, will }), { userProperties: [["x-client-ip", "10.0.0.1"]] }),
      m.connect({ version: 5, properties: after, will }),
    );
  });

  test("I6: ten thousand forged properties go in linear time", () => {
    const forged = m.bytes(...Array.from({ length: 10_000 }, () => m.PROPERTY.user("ip", "")));
    const begin = performance.now();
    const result = rewritten(m.connect({ version: 5, properties: forged }), { userProperties: [["ip", "1"]] });
    assert.ok(performance.now() - begin < 2_000);
    assert.deepEqual(result, m.connect({ version: 5, properties: m.PROPERTY.user("ip", "1") }));
  });

  test("a password never stands alone in 3.1 and 3.1.1", () => {
    for (const version of [3, 4] as const) {
      const frame = m.connect({ version, username: "u", password: "p" });
      assert.deepEqual(rewritten(frame, { username: null }), m.connect({ version }));
      assert.equal(refusal(frame, { username: null, password: m.bytes("q") }), "internal_error");
      assert.equal(refusal(m.connect({ version }), { password: m.bytes("q") }), "internal_error");
      assert.deepEqual(rewritten(m.connect({ version }), { username: "", password: m.bytes("q") }), m.connect({ version, username: "", password: "q" }));
    }
    assert.deepEqual(rewritten(m.connect({ version: 5, username: "u", password: "p" }), { username: null }), m.connect({ version: 5, password: "p" }));
  });

  test("M15: an empty client id is refused where readConnect refuses it", () => {
    const cases = [[{ version: 3 }, true], [{ version: 4, clean: false }, true], [{ version: 4 }, false], [{ version: 5, clean: false }, false]] as const;
    for (const [fields, isRefused] of cases) assert.equal(refusal(m.connect(fields), { clientId: "" }), isRefused ? "client_id_rejected" : undefined);
  });

  const will = { topic: "t", payload: "" };
  const illegal: [string, ConnectChanges][] = [
    ...["\0", "a\0b", "\ud800", "x\udc00", "\ud800\ud800", "\udc00\udc00", "\udc00\ud800", "\ud800\ue000", "\udfff", "a\ud83d"].flatMap((text): [string, ConnectChanges][] => [
      [`the client id ${JSON.stringify(text)}`, { clientId: text }],
      [`the user name ${JSON.stringify(text)}`, { username: text }],
      [`the will topic ${JSON.stringify(text)}`, { willTopic: text }],
      [`a property with ${JSON.stringify(text)}`, { userProperties: [["a", text]] }],
      [`a property called ${JSON.stringify(text)}`, { userProperties: [[text, ""]] }],
    ]),
    ["an empty will topic", { willTopic: "" }],
    ["a will topic with #", { willTopic: "a/#" }],
    ["a will topic with +", { willTopic: "+/a" }],
    ...[-1, 65_536, 1.5, NaN].map((seconds): [string, ConnectChanges] => [`a keep-alive of ${seconds}`, { keepAliveSeconds: seconds }]),
    ...[-1, 4_294_967_296, 1.5, NaN].map((seconds): [string, ConnectChanges] => [`a session expiry of ${seconds}`, { sessionExpirySeconds: seconds }]),
  ];
  for (const [name, changes] of illegal) test(`refuses to write ${name}`, () => assert.equal(refusal(m.connect({ version: 5, will }), changes), "internal_error"));

  test("no refusal has a value in it", () => {
    for (const changes of [{ username: "secret\0" }, { clientId: "secret\ud800" }, { password: m.bytes("secret"), username: null }, { username: "secret".repeat(20_000) }]) {
      assert.doesNotMatch(JSON.stringify(rewriteConnect(accepted(m.connect()), changes, UNLIMITED)), /secret|115,101/);
    }
  });
});
