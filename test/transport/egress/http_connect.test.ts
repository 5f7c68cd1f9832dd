import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Egress, egressThrough } from "../../../src/transport/egress/egress.ts";
import { bytes } from "../../support/mqtt_bytes.ts";
import { type SeededRandom, seeded } from "../../support/seed.ts";
import { feed, judged, mutated, pieces, restOf } from "../proxy_protocol/pieces.ts";

const HEAD_BYTES_MAX = 8_192;
const PROXY = { scheme: "http", host: "proxy", port: 3_128, username: undefined, password: undefined } as const;
const TARGET = { host: "broker.example", port: 8_883 };
const OK = "HTTP/1.1 200 Connection established\r\n\r\n";

const open = (login: { username?: string; password?: string | undefined } = {}): Egress => egressThrough({ ...PROXY, ...login }, TARGET);
const text = (egress: Egress) => new TextDecoder().decode(egress.first());

function refused(answer: string, reason: RegExp, login: { username?: string; password?: string } = {}): void {
  for (const chunks of [[bytes(answer)], Array.from(bytes(answer), (byte) => Uint8Array.of(byte))]) {
    const step = feed(open(login), chunks).answer;
    assert.ok(step !== undefined && "refused" in step, JSON.stringify(judged(step)));
    assert.match(step.refused, reason);
  }
}

describe("CONNECT: the request (RFC 9110 section 9.3.6)", () => {
  test("names the broker twice, and nothing else", () => {
    assert.equal(text(open()), "CONNECT broker.example:8883 HTTP/1.1\r\nHost: broker.example:8883\r\n\r\n");
  });

  test("IPv6 stands in brackets", () => {
    const request = text(egressThrough(PROXY, { host: "2001:db8::1", port: 1_883 }));
    assert.equal(request, "CONNECT [2001:db8::1]:1883 HTTP/1.1\r\nHost: [2001:db8::1]:1883\r\n\r\n");
  });

  const logins: [username: string, password: string | undefined, credentials: string][] = [
    ["Aladdin", "open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="],
    ["test", "123\u00a3", "dGVzdDoxMjPCow=="],
    ["user", undefined, "dXNlcjo="],
    ["user", "a:b", "dXNlcjphOmI="],
  ];
  for (const [username, password, credentials] of logins) {
    test(`Basic credentials of ${username} (RFC 7617 section 2)`, () => {
      assert.ok(text(open({ username, password })).endsWith(`\r\nProxy-Authorization: Basic ${credentials}\r\n\r\n`));
    });
  }

  for (const host of ["a\r\nX: 1", "a b", "", "ä", "a/b"]) {
    test(`a host that would break the request is a mistake of ours: ${JSON.stringify(host)}`, () => {
      assert.throws(() => egressThrough(PROXY, { host, port: 1 }), /expected a host name/);
    });
  }
});

describe("CONNECT: the answer", () => {
  const accepted: [what: string, answer: string, rest: string][] = [
    ["200", OK, ""],
    ["200 of HTTP/1.0 without a reason", "HTTP/1.0 200 \r\n\r\n", ""],
    ["200 without the blank in front of its reason", "HTTP/1.1 200\r\n\r\n", ""],
    ["any other 2xx", "HTTP/1.1 299 Yes\r\nVia: 1.1 x\r\n\r\n", ""],
    ["bytes behind it are the broker's", OK, "\x20\x02\0\0"],
    ["an empty line behind it is the broker's", OK, "\r\n\r\n"],
    ["lengths mean nothing in it", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "abcdef"],
    ["1xx comes before the answer (RFC 9110 section 15.2)", `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n${OK}`, "x"],
    ["tabs and other scripts in a value", "HTTP/1.1 200 OK\r\nX-Note:\tgrün \r\n\r\n", ""],
  ];
  for (const [what, answer, rest] of accepted) {
    test(what, () => {
      const stream = bytes(answer, rest);
      for (const chunks of [[stream], Array.from(stream, (byte) => Uint8Array.of(byte))]) {
        const { answer: step, used } = feed(open(), chunks);
        assert.deepEqual(judged(step), { done: true });
        assert.deepEqual(restOf(step, chunks, used), bytes(rest));
      }
    });
  }

  test("407 says whether it had our credentials", () => {
    const answer = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n";
    refused(answer, /asks for credentials \(407\)/);
    refused(answer, /refused the credentials \(407\)/, { username: "u", password: "p" });
  });

  const wrong: [what: string, answer: string, RegExp][] = [
    ["400", "HTTP/1.1 400 Bad Request\r\n\r\n", /did not understand the request \(400\)/],
    ["403", "HTTP/1.1 403 Forbidden\r\n\r\n", /forbids a connection to the broker \(403\)/],
    ["405", "HTTP/1.1 405 Method Not Allowed\r\n\r\n", /allows no CONNECT \(405\)/],
    ["502", "HTTP/1.1 502 Bad Gateway\r\n\r\n<html>", /cannot reach the broker \(502\)/],
    ["503", "HTTP/1.1 503 Service Unavailable\r\n\r\n", /overloaded or cannot reach the broker \(503\)/],
    ["504", "HTTP/1.1 504 Gateway Timeout\r\n\r\n", /no answer from the broker in time \(504\)/],
    ["418", "HTTP/1.1 418 \r\n\r\n", /refused the connection \(418\)/],
    ["a redirect", "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", /refused the connection \(302\)/],
    ["101, which is no tunnel (Envoy's CVE-2024-23326 the other way)", "HTTP/1.1 101 Switching Protocols\r\n\r\n", /refused the connection \(101\)/],
    ["a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", /not HTTP's/],
    ["a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", /not HTTP's/],
    ["status 600", "HTTP/1.1 600 OK\r\n\r\n", /not HTTP's/],
    ["HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", /not HTTP's/],
    ["HTTP/2, at its first byte that differs", "HTTP/2", /does not speak HTTP\/1/],
    ["TLS", "\x15\x03\x01", /does not speak HTTP\/1/],
    ["SOCKS", "\x05", /does not speak HTTP\/1/],
    ["lower case", "http/1.1 200", /does not speak HTTP\/1/],
    ["LF alone at a line's end", "HTTP/1.1 200 OK\n\n", /not HTTP's/],
    ["CR alone", "HTTP/1.1 200 OK\rX", /not HTTP's/],
    ["NUL", "HTTP/1.1 200 OK\0", /not HTTP's/],
    ["DEL", "HTTP/1.1 200 OK\x7f", /not HTTP's/],
    ["a folded line", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", /not HTTP's/],
    ["a line without a colon", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", /not HTTP's/],
    ["a blank in front of the colon", "HTTP/1.1 200 OK\r\nX : a\r\n\r\n", /not HTTP's/],
    ["a nameless line", "HTTP/1.1 200 OK\r\n: a\r\n\r\n", /not HTTP's/],
    ["1xx without end", "HTTP/1.1 100 Continue\r\n\r\n".repeat(400), /more than 8192 bytes/],
    ["a head without end", `HTTP/1.1 200 ${"x".repeat(HEAD_BYTES_MAX)}`, /more than 8192 bytes/],
  ];
  for (const [what, answer, reason] of wrong) test(`refuses ${what}`, () => refused(answer, reason));

  test("takes a head of exactly 8192 bytes and refuses one byte more", () => {
    const head = (length: number) => bytes(`HTTP/1.1 200 OK\r\nX: ${"x".repeat(length - 24)}\r\n\r\n`);
    assert.equal(head(HEAD_BYTES_MAX).length, HEAD_BYTES_MAX);
    assert.deepEqual(judged(open().push(bytes(head(HEAD_BYTES_MAX), "rest"))), { done: true });
    assert.match((open().push(head(HEAD_BYTES_MAX + 1)) as { refused: string }).refused, /more than 8192/);
  });

  test("no refusal holds what was sent, or the credentials (A10)", () => {
    for (const [, answer] of wrong) {
      const step = open({ username: "mallory", password: "s3cret" }).push(bytes(answer)) as { refused: string };
      assert.doesNotMatch(step.refused, /mallory|s3cret|nonsense|<html>|\p{Cc}/u);
    }
  });
});

describe("CONNECT: fuzz", () => {
  const someAnswer = (random: SeededRandom): Uint8Array => {
    const fields = Array.from({ length: random.integer(0, 4) }, (_, at) => `X-${at}: ${"v".repeat(random.integer(0, 30))}\r\n`).join("");
    const interim = random.chance(0.2) ? "HTTP/1.1 100 Continue\r\n\r\n" : "";
    return bytes(`${interim}HTTP/1.${random.integer(0, 1)} ${random.pick([200, 200, 204, 403, 407, 502])} Words\r\n${fields}\r\n`);
  };

  test("any chunking gives the same answer and rest; mutations never throw, and no more than the limit is kept", () => seeded((random) => {
    for (let round = 0; round < 3_000; round++) {
      const start = someAnswer(random);
      const stream = bytes(random.chance(0.3) ? start : mutated(random, start), random.bytes(random.integer(0, 9)));
      const whole = open().push(stream);
      const chunks = pieces(random, stream);
      const { answer, used } = feed(open(), chunks);
      assert.deepEqual(judged(answer), judged(whole));
      if (whole !== undefined && "rest" in whole) assert.deepEqual(restOf(answer, chunks, used), bytes(whole.rest));
      if (whole === undefined) assert.ok(stream.length < HEAD_BYTES_MAX);
    }
  }));
});
