import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RequestHeadReader } from "../../../src/transport/websocket/request_head.ts";
import { seeded } from "../../support/seed.ts";
import { byByte, cutAt, join } from "./frames.ts";
import { type Headers, request } from "./heads.ts";

const ascii = (text: string) => new TextEncoder().encode(text);

/** What the reader answers, and to the how manieth piece. */
function read(pieces: readonly Uint8Array[]) {
  const reader = new RequestHeadReader();
  for (const [index, piece] of pieces.entries()) {
    const answer = reader.push(piece);
    if (answer !== undefined) return { answer, index };
  }
  return undefined;
}

const statusOf = (bytes: Uint8Array) => {
  const answer = read([bytes])?.answer;
  return answer === undefined ? "more" : "status" in answer ? answer.status : "read";
};

describe("RequestHeadReader", () => {
  test("P12: a banner is refused as soon as its line is whole: its peer waits for ours behind it", () => {
    for (const banner of ["SSH-2.0-OpenSSH_9.2p1 Debian-2", "220 mail.example ESMTP ready now", "* OK IMAP4rev1", "EHLO", "HELO a"]) {
      assert.equal(statusOf(ascii(banner)), "more");
      assert.equal(statusOf(ascii(`${banner}\r\n`)), 400, banner);
    }
    assert.equal(statusOf(ascii("GET /mqtt HTTP/1.1\r\n")), "more");
  });

  test("W10: reads the same request and loses none of the bytes behind it, for any chunking", () => seeded((random) => {
    const behind = random.bytes(300);
    const stream = join(request({ Cookie: "a=b; c=\xe4" }, "GET /mqtt?token=x HTTP/1.1"), behind);
    const size = stream.length - behind.length;
    for (let round = 0; round < 200; round++) {
      const pieces = round === 0 ? [stream] : round === 1 ? byByte(stream) : cutAt(stream, random.cuts(stream.length, 12));
      const seen = read(pieces);
      assert.ok(seen !== undefined && !("status" in seen.answer));
      const { method, path, fields, rest } = seen.answer;
      assert.deepEqual([method, path, fields.only("host"), fields.has("cookie")], ["GET", "/mqtt", "mqtt.example.com:8083", true]);
      assert.deepEqual(join(rest, ...pieces.slice(seen.index + 1)), behind);
      assert.equal(join(...pieces.slice(0, seen.index + 1)).length - rest.length, size);
    }
  }));

  test("names in any case, blanks around values, lists over several lines", () => {
    const seen = read([ascii('GET / HTTP/1.1\r\nHOST:a\r\nx-List:  one ,\ttwo\t\r\nX-LIST: Three\r\nempty:\r\n\r\n')])?.answer;
    assert.ok(seen !== undefined && !("status" in seen));
    assert.equal(seen.fields.only("host"), "a");
    assert.deepEqual(seen.fields.list("x-list"), ["one", "two", "Three"]);
    assert.equal(seen.fields.lists("x-list", "three"), true);
    assert.equal(seen.fields.only("x-list"), undefined);
    assert.equal(seen.fields.only("empty"), "");
    assert.deepEqual([seen.fields.has("absent"), seen.fields.list("absent")], [false, []]);
  });

  const targets: [target: string, path: string | undefined][] = [
    ["/", "/"], ["/mqtt", "/mqtt"], ["/mqtt?a=/b", "/mqtt"], ["/?", "/"], ["*", "*"], ["//evil", "//evil"],
    ["http://a.example:80/mqtt?x", "/mqtt"], ["HTTPS://a", "/"], ["ws://a?x", "/"],
    ["mqtt", undefined], ["http://", undefined], ["a:80", undefined], ["?", undefined],
  ];
  for (const [target, path] of targets) {
    test(`RFC 9112 3.2: the target "${target}" ${path === undefined ? "is refused" : `is the path ${path}`}`, () => {
      const seen = read([request({}, `GET ${target} HTTP/1.1`)])?.answer;
      assert.ok(seen !== undefined);
      assert.equal("status" in seen ? undefined : seen.path, path);
    });
  }

  const refused: [name: string, bytes: Uint8Array, status: number][] = [
    ["W9: HTTP/1.0", request({}, "GET /mqtt HTTP/1.0"), 400],
    ["HTTP/1.2", request({}, "GET /mqtt HTTP/1.2"), 400],
    ["HTTP/2.0", request({}, "GET /mqtt HTTP/2.0"), 505],
    ["the preface of HTTP/2", ascii("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505],
    ["no version", request({}, "GET /mqtt"), 400],
    ["two blanks in the first line", request({}, "GET  /mqtt HTTP/1.1"), 400],
    ["a fourth word", request({}, "GET /mqtt HTTP/1.1 "), 400],
    ["a method that is no token", request({}, "G(T /mqtt HTTP/1.1"), 400],
    ["a lower-case version", request({}, "GET /mqtt http/1.1"), 400],
    ["W9: no Host", request({ Host: undefined }), 400],
    ["W9: two Hosts", request({ Host: ["a", "a"] }), 400],
    ["an empty Host", request({ Host: "" }), 400],
    ["a Host that is a list", request({ Host: "a, b" }), 400],
    ["a Host with a path", request({ Host: "a/b" }), 400],
    ["a Host with a user", request({ Host: "a@b" }), 400],
    ["a folded line", ascii("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"), 400],
    ["a blank before the colon", ascii("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), 400],
    ["a line without a colon", ascii("GET / HTTP/1.1\r\nHost: a\r\nnothing\r\n\r\n"), 400],
    ["a line without a name", ascii("GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n"), 400],
    ["a name that is not ASCII", ascii("GET / HTTP/1.1\r\nHost: a\r\nné: x\r\n\r\n"), 400],
    ["a bare LF", ascii("GET / HTTP/1.1\nHost: a\n\n"), 400],
    ["a bare LF among others", ascii("GET / HTTP/1.1\r\nHost: a\nUpgrade: websocket\r\n\r\n"), 400],
    ["a bare CR", ascii("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n"), 400],
    ["an empty first line", ascii("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400],
    ["NUL in a value", ascii("GET / HTTP/1.1\r\nHost: a\0\r\n\r\n"), 400],
    ["DEL in a value", ascii("GET / HTTP/1.1\r\nHost: a\x7f\r\n\r\n"), 400],
    ["W8: 3,000 header lines", request(many(3000)), 431],
    ["W8: 65 header lines", request(many(65 - 6)), 431],
    ["W8: a header line of 1 MB", request({ Cookie: "x".repeat(1 << 20) }), 431],
    ["W8: a first line of 1 MB", request({}, `GET /${"x".repeat(1 << 20)} HTTP/1.1`), 431],
    ["W8: 9 KiB in small lines", request(many(40, "y".repeat(220))), 431],
  ];
  for (const [name, bytes, status] of refused) {
    test(`${name}: ${status}, for any chunking`, () => seeded((random) => {
      for (const pieces of [[bytes], byByte(bytes.slice(0, 9000)), cutAt(bytes, random.cuts(bytes.length, 20))]) {
        const seen = read(pieces)?.answer;
        assert.ok(seen !== undefined && "status" in seen, "it was read");
        assert.equal(seen.status, status);
      }
    }));
  }

  test("W8: 64 header lines, and a head of exactly 8 KiB, are read", () => {
    assert.equal(statusOf(request(many(64 - 6))), "read");
    const short = request({ Cookie: "" }).length;
    assert.equal(statusOf(request({ Cookie: "x".repeat(8192 - short) })), "read");
    assert.equal(statusOf(request({ Cookie: "x".repeat(8193 - short) })), 431);
  });

  test("W11: an endless line is refused when 8 KiB of it are there, not later", () => {
    const reader = new RequestHeadReader();
    let pushed = 0;
    for (let answer; answer === undefined; pushed++) answer = reader.push(pushed === 0 ? ascii("G") : ascii("x"));
    assert.equal(pushed, 8192);
  });

  test("P12: what is no HTTP is refused by its first byte", () => {
    for (const bytes of [[0x10, 0x0c], [0x16, 0x03], [0x00], [0x80], [0xff]]) assert.equal(statusOf(Uint8Array.from(bytes)), 400);
    assert.equal(statusOf(ascii("SSH-2.0-x\r\n\r\n")), 400);
  });

  test("W8: hostile lines take linear time", () => {
    const hostile = ["Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Sec-WebSocket-Version", "Upgrade", "Connection", "Host"];
    const values = [" ".repeat(8000), ",".repeat(8000), "a,".repeat(4000), "\t ".repeat(4000) + "x", '"\\'.repeat(4000), "=;".repeat(4000)];
    const started = performance.now();
    for (const name of hostile) for (const value of values) for (let round = 0; round < 5; round++) read([request({ [name]: value.slice(0, 7900) })]);
    // 180 heads: quadratic work on them would be 64 million steps each
    assert.ok(performance.now() - started < 5_000, `${performance.now() - started} ms`);
  });

  test("never throws, and comes to the same answer for any chunking, whatever arrives", () => seeded((random) => {
    for (let round = 0; round < 3000; round++) {
      const bytes = request();
      for (let count = random.integer(1, 5); count > 0; count--) bytes[random.integer(0, bytes.length - 1)] = random.pick([0, 9, 10, 13, 32, 44, 58, 127, 200, random.integer(0, 255)]);
      const whole = outcome(read([bytes]));
      assert.deepEqual(outcome(read(byByte(bytes))), whole);
      assert.deepEqual(outcome(read(cutAt(bytes, random.cuts(bytes.length, 10)))), whole);
    }
  }));
});

function many(count: number, value = "y"): Headers {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`X-${index}`, value]));
}

function outcome(seen: ReturnType<typeof read>) {
  if (seen === undefined) return "more";
  return "status" in seen.answer ? seen.answer : { ...seen.answer, rest: undefined };
}
