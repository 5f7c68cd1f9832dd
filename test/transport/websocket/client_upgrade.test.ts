import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type UpgradeResponse, UpgradeResponseReader, upgradeRequest } from "../../../src/transport/websocket/client_upgrade.ts";
import { RequestHeadReader } from "../../../src/transport/websocket/request_head.ts";
import { answerUpgrade } from "../../../src/transport/websocket/server_upgrade.ts";
import { seeded } from "../../support/seed.ts";
import { byByte, cutAt, join } from "./frames.ts";
import { ACCEPT, KEY, response } from "./heads.ts";
import { RULES } from "./over_websocket.ts";

const random = Uint8Array.from(atob(KEY), (character) => character.charCodeAt(0));
const OPTIONS = { host: "broker.example:8083", path: "/mqtt?token=secret", headers: { "X-Tenant": "seven" }, random };
const UPGRADE = upgradeRequest(OPTIONS);

function answered(pieces: readonly Uint8Array[]): { answer: UpgradeResponse; index: number } | undefined {
  const reader = new UpgradeResponseReader(UPGRADE);
  for (const [index, piece] of pieces.entries()) {
    const answer = reader.push(piece);
    if (answer !== undefined) return { answer, index };
  }
  return undefined;
}

function refused(bytes: Uint8Array): string {
  const whole = answered([bytes])?.answer;
  assert.ok(whole !== undefined && "refused" in whole, "it was taken for an upgrade");
  assert.deepEqual(answered(byByte(bytes))?.answer, whole);
  return whole.refused;
}

describe("upgradeRequest", () => {
  test("RFC 6455 4.1: asks with everything that a server needs, and no more", () => {
    assert.equal(new TextDecoder().decode(UPGRADE.bytes), [
      "GET /mqtt?token=secret HTTP/1.1",
      "Host: broker.example:8083",
      "Upgrade: websocket",
      "Connection: Upgrade",
      `Sec-WebSocket-Key: ${KEY}`,
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Protocol: mqtt",
      "X-Tenant: seven",
      "", "",
    ].join("\r\n"));
    assert.equal(UPGRADE.accept, ACCEPT);
  });

  test("our own server and our own client understand each other, whatever the key", () => seeded((random) => {
    for (let round = 0; round < 50; round++) {
      const request = upgradeRequest({ ...OPTIONS, random: random.bytes(16) });
      const head = new RequestHeadReader().push(request.bytes);
      assert.ok(head !== undefined);
      const answer = answerUpgrade(head, RULES);
      assert.deepEqual(new UpgradeResponseReader(request).push(join(answer.bytes, Uint8Array.of(7))), { rest: Uint8Array.of(7) });
    }
  }));
});

describe("UpgradeResponseReader", () => {
  test("W10: takes a right answer and loses none of the bytes behind it, for any chunking", () => seeded((random) => {
    const behind = random.bytes(200);
    const stream = join(response({ Server: "x", Date: "now" }), behind);
    for (let round = 0; round < 100; round++) {
      const pieces = round === 0 ? [stream] : round === 1 ? byByte(stream) : cutAt(stream, random.cuts(stream.length, 10));
      const seen = answered(pieces);
      assert.ok(seen !== undefined && "rest" in seen.answer);
      assert.deepEqual(join(seen.answer.rest, ...pieces.slice(seen.index + 1)), behind);
    }
  }));

  test("other words, another case and lists are right as well", () => {
    for (const bytes of [
      response({}, "HTTP/1.1 101 Whatever"),
      response({}, "HTTP/1.1 101"),
      response({ Upgrade: "WebSocket", Connection: "keep-alive, upgrade" }),
      response({ "Sec-WebSocket-Extensions": "" }),
    ]) assert.ok("rest" in (answered([bytes])?.answer ?? {}));
  });

  const wrong: [name: string, bytes: Uint8Array, words: RegExp][] = [
    ["CVE-2024-23326: 200", response({}, "HTTP/1.1 200 OK"), /^the broker answered 200 OK: is \/mqtt its WebSocket path\?$/],
    ["404", response({}, "HTTP/1.1 404 Not Found"), /^the broker answered 404 Not Found: is \/mqtt its WebSocket path\?$/],
    ["400", response({}, "HTTP/1.1 400 Bad Request"), /400 Bad Request/],
    ["100", response({}, "HTTP/1.1 100 Continue"), /answered 100/],
    ["103", response({}, "HTTP/1.1 103 Early Hints"), /answered 103/],
    ["401", response({}, "HTTP/1.1 401 Unauthorized"), /401 Unauthorized: does it ask for a header/],
    ["302", response({ Location: "http://evil" }, "HTTP/1.1 302 Found"), /302 Found: sluice follows no redirects/],
    ["503", response({}, "HTTP/1.1 503 Service Unavailable"), /503 Service Unavailable: it, or a proxy/],
    ["words of the broker's own", response({}, "HTTP/1.1 499 \x1b[2Jowned"), /cannot be read|^the broker answered 499: is/],
    ["HTTP/1.0", response({}, "HTTP/1.0 101 Switching Protocols"), /not HTTP\/1\.1/],
    ["a status of four digits", response({}, "HTTP/1.1 1010 x"), /not HTTP\/1\.1/],
    ["a status with a sign", response({}, "HTTP/1.1 +101 x"), /not HTTP\/1\.1/],
    ["MQTT", Uint8Array.of(0x20, 2, 0, 0), /not HTTP/],
    ["a banner", new TextEncoder().encode("SSH-2.0-OpenSSH\r\n\r\n"), /not HTTP/],
    ["no Upgrade", response({ Upgrade: undefined }), /without Upgrade/],
    ["another upgrade", response({ Upgrade: "h2c" }), /without Upgrade/],
    ["no Connection", response({ Connection: undefined }), /without Connection/],
    ["no accept key", response({ "Sec-WebSocket-Accept": undefined }), /does not belong to our key/],
    ["another accept key", response({ "Sec-WebSocket-Accept": ACCEPT.toLowerCase() }), /does not belong to our key/],
    ["two accept keys", response({ "Sec-WebSocket-Accept": [ACCEPT, ACCEPT] }), /does not belong to our key/],
    ["[MQTT-6.0.0-4] no subprotocol", response({ "Sec-WebSocket-Protocol": undefined }), /subprotocol "mqtt"/],
    ["[MQTT-6.0.0-4] another subprotocol", response({ "Sec-WebSocket-Protocol": "mqttv3.1" }), /subprotocol "mqtt"/],
    ["two subprotocols", response({ "Sec-WebSocket-Protocol": "mqtt, mqtt" }), /subprotocol "mqtt"/],
    ["an extension", response({ "Sec-WebSocket-Extensions": "permessage-deflate" }), /an extension that was not offered/],
    ["a head without an end", response({ "X-Long": "x".repeat(9000) }), /more than 8192 bytes/],
    ["too many lines", response(Object.fromEntries(Array.from({ length: 70 }, (_, index) => [`X-${index}`, "y"]))), /more than 64 header lines/],
    ["a folded line", response({ "X-Folded": "a\r\n b" }), /no header field/],
  ];
  for (const [name, bytes, words] of wrong) {
    test(`refuses ${name}, in words for an operator`, () => {
      const message = refused(bytes);
      assert.match(message, words);
      assert.doesNotMatch(message, /secret|\x1b/, "the query may hold a token, and the broker's words anything");
    });
  }

  test("never throws, and comes to the same answer for any chunking, whatever arrives", () => seeded((random) => {
    for (let round = 0; round < 2000; round++) {
      const bytes = response();
      for (let count = random.integer(1, 4); count > 0; count--) bytes[random.integer(0, bytes.length - 1)] = random.integer(0, 255);
      const whole = answered([bytes])?.answer;
      assert.deepEqual(answered(byByte(bytes))?.answer, whole);
    }
  }));
});
