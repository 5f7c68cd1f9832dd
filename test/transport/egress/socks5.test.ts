import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Egress, egressThrough } from "../../../src/transport/egress/egress.ts";
import type { EgressStep } from "../../../src/transport/egress/types.ts";
import { bytes, hex } from "../../support/mqtt_bytes.ts";
import { type SeededRandom, seeded } from "../../support/seed.ts";
import { mutated, pieces } from "../proxy_protocol/pieces.ts";

const PROXY = { scheme: "socks5", host: "proxy", port: 1_080, username: undefined, password: undefined } as const;
const LOGIN = { ...PROXY, username: "mallory", password: "s3cret" } as const;
const TARGET = { host: "broker.example", port: 8_883 };
const open = (via: Parameters<typeof egressThrough>[0] = PROXY, target = TARGET): Egress => egressThrough(via, target);

const SUCCESS = hex("05 00 00 01 0a000001 04d2");

interface Outcome {
  /** All that was sent, in a row. */
  readonly sent: Uint8Array;
  readonly last: EgressStep;
  readonly rest: Uint8Array;
}

function run(egress: Egress, chunks: readonly Uint8Array[]): Outcome {
  let sent = new Uint8Array(0);
  for (const [at, chunk] of chunks.entries()) {
    const step = egress.push(chunk);
    if (step === undefined) continue;
    if ("send" in step) sent = bytes(sent, step.send) as Uint8Array<ArrayBuffer>;
    else return { sent, last: step, rest: "rest" in step ? bytes(step.rest, ...chunks.slice(at + 1)) : new Uint8Array(0) };
  }
  return { sent, last: undefined, rest: new Uint8Array(0) };
}

function refused(egress: Egress, answers: Uint8Array, reason: RegExp): void {
  const { last } = run(egress, [answers]);
  assert.ok(last !== undefined && "refused" in last, JSON.stringify(last));
  assert.match(last.refused, reason);
  assert.doesNotMatch(last.refused, /mallory|s3cret/); // A10
}

describe("SOCKS 5: the way through (RFC 1928, RFC 1929)", () => {
  test("without credentials: a name goes to the proxy as it is", () => {
    const egress = open();
    assert.deepEqual(egress.first(), hex("05 01 00"));
    assert.deepEqual(egress.push(hex("05 00")), { send: bytes(hex("05 01 00 03 0e"), "broker.example", hex("22b3")) });
    assert.deepEqual(egress.push(SUCCESS), { done: true, rest: new Uint8Array(0) });
  });

  test("with credentials, which the proxy may do without", () => {
    const egress = open(LOGIN);
    assert.deepEqual(egress.first(), hex("05 02 00 02"));
    assert.deepEqual(egress.push(hex("05 02")), { send: bytes(hex("01 07"), "mallory", hex("06"), "s3cret") });
    assert.ok("send" in (egress.push(hex("01 00")) as object));
    assert.deepEqual(egress.push(SUCCESS), { done: true, rest: new Uint8Array(0) });
    assert.deepEqual(open(LOGIN).push(hex("05 00")), open().push(hex("05 00")));
  });

  const targets: [host: string, destination: Uint8Array][] = [
    ["192.0.2.1", hex("01 c0000201")],
    ["::ffff:192.0.2.1", hex("01 c0000201")],
    ["2001:db8::1", hex("04 20010db8000000000000000000000001")],
    ["localhost", bytes(hex("03 09"), "localhost")],
    ["a".repeat(255), bytes(hex("03 ff"), "a".repeat(255))],
    ["10.0.0", bytes(hex("03 06"), "10.0.0")],
  ];
  for (const [host, destination] of targets) {
    test(`asks for ${host.slice(0, 20)} (RFC 1928 section 5)`, () => {
      assert.deepEqual(open(PROXY, { host, port: 1_883 }).push(hex("05 00")), { send: bytes(hex("05 01 00"), destination, hex("075b")) });
    });
  }

  const replies: [what: string, reply: Uint8Array][] = [
    ["IPv4", SUCCESS],
    ["IPv6", hex("05 00 00 04 00000000000000000000000000000001 0001")],
    ["a name", bytes(hex("05 00 00 03 09"), "localhost", hex("0001"))],
    ["an empty name", hex("05 00 00 03 00 0001")],
    ["a name of 255 bytes", bytes(hex("05 00 00 03 ff"), "a".repeat(255), hex("0001"))],
  ];
  for (const [what, reply] of replies) {
    test(`a reply with ${what} as the proxy's address; bytes behind it are the broker's`, () => {
      const stream = bytes(hex("05 00"), reply, "rest");
      for (const chunks of [[stream], Array.from(stream, (byte) => Uint8Array.of(byte))]) {
        const { last, rest } = run(open(), chunks);
        assert.ok(last !== undefined && "done" in last);
        assert.deepEqual(rest, bytes("rest"));
      }
    });
  }

  test("an empty password is sent as one", () => {
    assert.deepEqual(open({ ...PROXY, username: "u" }).push(hex("05 02")), { send: bytes(hex("01 01"), "u", hex("00")) });
  });
});

describe("SOCKS 5: refusals", () => {
  const words: [reply: number, RegExp][] = [
    [1, /has failed \(reply 1\)/],
    [2, /forbids a connection to the broker \(reply 2\)/],
    [3, /cannot reach the broker's network \(reply 3\)/],
    [4, /cannot reach the broker's host \(reply 4\)/],
    [5, /was refused by the broker \(reply 5\)/],
    [6, /time to live expired \(reply 6\)/],
    [7, /knows no CONNECT \(reply 7\)/],
    [8, /does not know this type of address \(reply 8\)/],
    [9, /refused the connection \(reply 9\)/],
    [255, /refused the connection \(reply 255\)/],
  ];
  for (const [reply, reason] of words) {
    test(`reply ${reply} in words, from its first two bytes (RFC 1928 section 6)`, () => refused(open(), Uint8Array.of(5, 0, 5, reply), reason));
  }

  const wrong: [what: string, egress: () => Egress, answers: Uint8Array, RegExp][] = [
    ["SOCKS 4, at its first byte", open, hex("04"), /does not speak SOCKS 5/],
    ["SOCKS 4's reply", open, hex("00 5a"), /does not speak SOCKS 5/],
    ["HTTP", open, bytes("HTTP/1.1 400"), /does not speak SOCKS 5/],
    ["no method for us, without credentials", open, hex("05 ff"), /asks for credentials/],
    ["no method for us, with credentials", () => open(LOGIN), hex("05 ff"), /wants another login than user and password/],
    ["a login that was not offered", open, hex("05 02"), /asks for credentials/],
    ["GSSAPI, which was not offered", () => open(LOGIN), hex("05 01"), /login method 1, which was not offered/],
    ["wrong credentials", () => open(LOGIN), hex("05 02 01 01"), /refused the credentials/],
    ["a login's answer in another version", () => open(LOGIN), hex("05 02 05 00"), /answered the login in another protocol/],
    ["a user of 256 bytes", () => open({ ...LOGIN, username: "u".repeat(256) }), hex("05 02"), /no user or password of more than 255 bytes/],
    ["a password of 256 bytes", () => open({ ...LOGIN, password: "ü".repeat(128) }), hex("05 02"), /no user or password of more than 255 bytes/],
    ["a name of 256 bytes", () => open(PROXY, { host: "a".repeat(256), port: 1 }), hex("05 00"), /no name of more than 255 bytes/],
    ["a reply in another version", open, hex("05 00 04"), /answered the request in another protocol/],
    ["a reserved byte that is set", open, hex("05 00 05 00 01"), /reserved byte/],
    ["an address of an unknown type", open, hex("05 00 05 00 00 02"), /address of type 2/],
  ];
  for (const [what, egress, answers, reason] of wrong) test(what, () => refused(egress(), answers, reason));
});

describe("SOCKS 5: fuzz", () => {
  const someAnswers = (random: SeededRandom): Uint8Array => {
    const address = random.pick([hex("01 7f000001"), hex("04 00000000000000000000000000000001"), bytes(hex("03 04"), "host")]);
    const login = random.chance(0.5) ? bytes(hex("05 02"), [1, random.pick([0, 0, 1])]) : hex("05 00");
    return bytes(login, [5, random.pick([0, 0, 0, 5]), 0], address, hex("0001"));
  };

  test("any chunking gives the same sends, answer and rest; mutations never throw, and no more than a reply is kept", () => seeded((random) => {
    for (let round = 0; round < 4_000; round++) {
      const start = someAnswers(random);
      const stream = bytes(random.chance(0.3) ? start : mutated(random, start), random.bytes(random.integer(0, 9)));
      const via = random.pick([PROXY, LOGIN]);
      const whole = run(open(via), [stream]);
      const pieced = run(open(via), pieces(random, stream));
      assert.deepEqual(pieced.rest, whole.rest);
      assert.equal(JSON.stringify(pieced.last && { ...pieced.last, rest: 0 }), JSON.stringify(whole.last && { ...whole.last, rest: 0 }));
      // what is sent before a refusal or the end in the same chunk is sent for nothing, and so left out
      if (whole.last === undefined) {
        assert.deepEqual(pieced.sent, whole.sent);
        assert.ok(stream.length < 2 + 2 + 4 + 1 + 255 + 2);
      }
    }
  }));
});
