import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RequestHeadReader } from "../../../src/transport/websocket/request_head.ts";
import { answerUpgrade, type UpgradeRules } from "../../../src/transport/websocket/server_upgrade.ts";
import { join } from "./frames.ts";
import { ACCEPT, type Headers, readAnswer, request } from "./heads.ts";
import { RULES } from "./over_websocket.ts";

function ask(bytes: Uint8Array, rules: Partial<UpgradeRules> = {}) {
  const head = new RequestHeadReader().push(bytes);
  assert.ok(head !== undefined, "the head is not whole");
  return answerUpgrade(head, { ...RULES, ...rules });
}

/** The refusal, after a look at what all of them have in common. */
function refusal(bytes: Uint8Array, rules: Partial<UpgradeRules> = {}) {
  const answer = ask(bytes, rules);
  assert.ok(!answer.accepted, "it was accepted");
  const { status, headers, body } = readAnswer(answer.bytes);
  assert.equal(status, answer.status);
  assert.equal(headers.get("connection"), "close");
  assert.equal(headers.has("sec-websocket-accept"), false);
  return { status, headers, body, reason: answer.reason };
}

function accepted(changes: Headers, rules: Partial<UpgradeRules> = {}, firstLine?: string) {
  const answer = ask(request(changes, firstLine), rules);
  assert.ok(answer.accepted, answer.accepted ? "" : answer.reason);
  return { ...answer, ...readAnswer(answer.bytes) };
}

describe("answerUpgrade", () => {
  test("RFC 6455 1.3: the example is answered with 101 and its accept key", () => {
    const { status, headers, body, protocol } = accepted({});
    assert.equal(status, 101);
    assert.deepEqual(Object.fromEntries(headers), {
      upgrade: "websocket",
      connection: "Upgrade",
      "sec-websocket-accept": ACCEPT,
      "sec-websocket-protocol": "mqtt",
    });
    assert.equal(body, "");
    assert.equal(protocol, "mqtt");
  });

  test("W10: what came behind the request is handed on", () => {
    const answer = ask(join(request(), Uint8Array.of(1, 2, 3)));
    assert.ok(answer.accepted);
    assert.deepEqual(answer.rest, Uint8Array.of(1, 2, 3));
  });

  test("what browsers and proxies make of the headers is accepted", () => {
    accepted({ Upgrade: "WebSocket", Connection: "keep-alive, Upgrade" });
    accepted({ Upgrade: ["h2c", "websocket"], Connection: ["keep-alive", "upgrade"] });
    accepted({ "User-Agent": "x", "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits", Cookie: "a=b" });
    accepted({}, {}, "GET /mqtt?clientId=7 HTTP/1.1");
    accepted({}, {}, "GET http://mqtt.example.com/mqtt HTTP/1.1");
    accepted({}, { path: "/" }, "GET / HTTP/1.1");
  });

  test("W7: compression is never agreed on", () => {
    const { headers } = accepted({ "Sec-WebSocket-Extensions": "permessage-deflate" });
    assert.equal(headers.has("sec-websocket-extensions"), false);
  });

  test("W2: the first subprotocol of the client's that is spoken here is chosen", () => {
    for (const [offer, chosen] of [["mqtt", "mqtt"], ["mqttv3.1", "mqttv3.1"], ["other, mqttv3.1, mqtt", "mqttv3.1"], [["x", "mqtt"], "mqtt"]] as const) {
      assert.equal(accepted({ "Sec-WebSocket-Protocol": offer }).headers.get("sec-websocket-protocol"), chosen);
    }
  });

  test("W2: none that is spoken here is 400, unless the rules let it pass", () => {
    for (const offer of [undefined, "chat", "MQTT", "mqtt2"]) {
      const { status, body } = refusal(request({ "Sec-WebSocket-Protocol": offer }));
      assert.equal(status, 400);
      assert.match(body, /mqtt, mqttv3\.1/);
      const { headers, protocol } = accepted({ "Sec-WebSocket-Protocol": offer }, { requireProtocol: false });
      assert.deepEqual([protocol, headers.has("sec-websocket-protocol")], [undefined, false]);
    }
  });

  const origins = ["https://app.example.com", "http://localhost:3000", "https://*.example.org", "https://*.example.net:8443"];
  for (const origin of [...origins.slice(0, 2), "HTTPS://App.Example.com", "https://a.example.org", "https://a-1.b.example.org", "https://x.example.net:8443"]) {
    test(`W9: the origin ${origin} is allowed`, () => void accepted({ Origin: origin }, { origins }));
  }
  for (const origin of [
    "https://evil.com", "http://app.example.com", "https://app.example.com:8443", "https://app.example.com.evil.com", "https://evil.com/https://app.example.com",
    "https://example.org", "https://.example.org", "https://a.example.org:444", "http://a.example.org", "https://evil.com:1.example.org", "https://evil.com/.example.org",
    "https://evil.com#.example.org", "https://u@a.example.org", "https://aexample.org", "https://a.example.net", "null", "",
  ]) {
    test(`W9: the origin "${origin}" is not: 403`, () => assert.equal(refusal(request({ Origin: origin }), { origins }).status, 403));
  }
  test("W9: two origins are none that is allowed", () => {
    assert.equal(refusal(request({ Origin: ["https://app.example.com", "https://app.example.com"] }), { origins }).status, 403);
  });
  test("what names no origin is no page; without a list all may come, with an empty one no page", () => {
    accepted({}, { origins });
    accepted({ Origin: "https://evil.com" });
    accepted({}, { origins: [] });
    assert.equal(refusal(request({ Origin: "https://app.example.com" }), { origins: [] }).status, 403);
  });

  const refused: [name: string, bytes: Uint8Array, status: number][] = [
    ["W9: another path", request({}, "GET /other HTTP/1.1"), 404],
    ["W9: an upgrade on /", request({}, "GET / HTTP/1.1"), 404],
    ["the path in another case", request({}, "GET /MQTT HTTP/1.1"), 404],
    ["the path with a slash behind it", request({}, "GET /mqtt/ HTTP/1.1"), 404],
    ["the path in disguise", request({}, "GET /%6dqtt HTTP/1.1"), 404],
    ["no path at all", request({}, "GET * HTTP/1.1"), 404],
    ["W9: POST", request({}, "POST /mqtt HTTP/1.1"), 405],
    ["CONNECT", request({}, "CONNECT /mqtt HTTP/1.1"), 405],
    ["an unknown method", request({}, "get /mqtt HTTP/1.1"), 405],
    ["W9: a Content-Length on GET", request({ "Content-Length": "5" }), 400],
    ["W9: Transfer-Encoding on GET", request({ "Transfer-Encoding": "chunked" }), 400],
    ["W9: missing Upgrade", request({ Upgrade: undefined }), 426],
    ["an upgrade to something else", request({ Upgrade: "h2c" }), 426],
    ["W9: missing Connection", request({ Connection: undefined }), 400],
    ["Connection without upgrade", request({ Connection: "keep-alive" }), 400],
    ["no version", request({ "Sec-WebSocket-Version": undefined }), 400],
    ["version 8", request({ "Sec-WebSocket-Version": "8" }), 426],
    ["version 013", request({ "Sec-WebSocket-Version": "013" }), 426],
    ["two versions", request({ "Sec-WebSocket-Version": ["13", "13"] }), 400],
    ["no key", request({ "Sec-WebSocket-Key": undefined }), 400],
    ["two keys", request({ "Sec-WebSocket-Key": ["dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="] }), 400],
    ["a key of fifteen bytes", request({ "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25j" }), 400],
    ["a key that is not base64", request({ "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZ!==" }), 400],
    ["an empty offer of subprotocols", request({ "Sec-WebSocket-Protocol": "" }), 400],
    ["an empty subprotocol", request({ "Sec-WebSocket-Protocol": "mqtt,,x" }), 400],
    ["a subprotocol twice", request({ "Sec-WebSocket-Protocol": "mqtt, mqtt" }), 400],
    ["a subprotocol that is no token", request({ "Sec-WebSocket-Protocol": "mqtt, a b" }), 400],
    ["HTTP/1.0", request({}, "GET /mqtt HTTP/1.0"), 400],
    ["too large a head", request({ Cookie: "x".repeat(9000) }), 431],
  ];
  for (const [name, bytes, status] of refused) {
    test(`${name}: ${status}, with a length, and nothing of what the client has sent`, () => {
      const seen = refusal(bytes);
      assert.equal(seen.status, status);
      assert.equal(Number(seen.headers.get("content-length")), seen.body.length);
      assert.ok(seen.reason.length > 0);
      assert.equal(seen.headers.get("allow"), status === 405 ? "GET, HEAD, OPTIONS" : undefined);
      assert.equal(seen.headers.get("sec-websocket-version"), status === 426 ? "13" : undefined);
      assert.equal(seen.headers.get("upgrade"), status === 426 ? "websocket" : undefined);
    });
  }

  test("I1: what the client sends comes back nowhere", () => {
    const mark = "zq7";
    for (const bytes of [
      request({}, `GET /${mark} HTTP/1.1`),
      request({ Host: mark, "Sec-WebSocket-Protocol": mark, "Sec-WebSocket-Version": mark, "Sec-WebSocket-Key": mark }),
      request({ "Sec-WebSocket-Protocol": mark }),
      request({ Origin: mark }),
      request({}, `${mark} /mqtt HTTP/1.1`),
      request({}, `GET /mqtt HTTP/1.${mark}`),
    ]) {
      const answer = ask(bytes, { origins: [] });
      assert.ok(!answer.accepted);
      assert.ok(!(new TextDecoder().decode(answer.bytes) + answer.reason).includes(mark));
    }
  });

  test("a browser that opens the address is told where MQTT is: 200 on /, 426 on the path", () => {
    const plain = { Upgrade: undefined, Connection: undefined, "Sec-WebSocket-Key": undefined, "Sec-WebSocket-Version": undefined, "Sec-WebSocket-Protocol": undefined };
    for (const [path, status] of [["/", 200], ["/mqtt", 426], ["/favicon.ico", 404]] as const) {
      const page = refusal(request(plain, `GET ${path} HTTP/1.1`));
      assert.equal(page.status, status);
      assert.match(page.headers.get("content-type") ?? "", /^text\/plain/);
      if (status !== 404) assert.match(page.body, /\/mqtt with WebSocket/);
      const bare = refusal(request(plain, `HEAD ${path} HTTP/1.1`));
      assert.equal(bare.status, status);
      if (status !== 404) assert.deepEqual([bare.headers.get("content-length"), bare.body], [page.headers.get("content-length"), ""]);
    }
  });

  test("HEAD is no way to upgrade", () => assert.equal(refusal(request({}, "HEAD /mqtt HTTP/1.1")).status, 426));

  test("OPTIONS says which methods there are", () => {
    for (const [target, status] of [["*", 200], ["/", 200], ["/mqtt", 200], ["/other", 404]] as const) {
      const seen = refusal(request({}, `OPTIONS ${target} HTTP/1.1`));
      assert.deepEqual([seen.status, seen.headers.get("allow")], [status, status === 200 ? "GET, HEAD, OPTIONS" : undefined]);
    }
  });
});
