import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { readCertificateFile } from "../../../src/transport/certificates/certificate_file.ts";
import { certificateProblems, type PemPair } from "../../../src/transport/certificates/pair.ts";
import { writePem } from "../../../src/transport/certificates/pem.ts";
import { seeded } from "../../support/seed.ts";
import * as made from "./made.ts";
import * as w from "./write_der.ts";

const DAY_MS = 86_400_000;
const now = Date.now();
const ca = await made.authority();
const pair = await made.server(ca, ["localhost"]);

const kinds = (given: PemPair, at = now): string[] => certificateProblems(given, at).map(({ kind, about }) => `${kind} ${about}`);
const words = (given: PemPair, at = now): string => certificateProblems(given, at).map(({ reason, suggestion }) => `${reason}; ${suggestion}`).join("\n");

test("certificateProblems finds none in what was made here and in what OpenSSL made, with its chain and without", () => {
  assert.deepEqual(kinds(pair), []);
  assert.deepEqual(kinds({ ...pair, cert: pair.cert + ca.cert }), []);
  const fixture = (name: string): string => readFileSync(`test/fixtures/tls/${name}`, "utf8");
  assert.deepEqual(kinds({ cert: fixture("server.pem") + fixture("ca.pem"), key: fixture("server.key") }), []);
  assert.deepEqual(kinds({ cert: fixture("server.pem"), key: fixture("other.key") }), ["mismatch key"]);
});

test("a key of another certificate does not fit, and a chain in the wrong order is said as well", () => {
  assert.deepEqual(kinds({ ...pair, key: ca.key }), ["mismatch key"]);
  assert.deepEqual(kinds({ ...pair, cert: ca.cert + pair.cert }), ["mismatch key", "chain cert"]);
  assert.match(words({ ...pair, cert: ca.cert + pair.cert }), /comes first in its file[^]*place 2 is not that of the authority which signed the one in place 1/);
});

test("a chain that a stranger is in", async () => {
  const stranger = await made.authority({ commonName: "Stranger" });
  assert.deepEqual(kinds({ ...pair, cert: pair.cert + stranger.cert }), ["chain cert"]);
  assert.match(words({ ...pair, cert: pair.cert + ca.cert + stranger.cert }), /place 3 is not .* place 2/);
});

test("dates: of the certificate, and of those in its chain", async () => {
  assert.deepEqual(kinds(pair, now + 366 * DAY_MS), ["expired cert"]);
  assert.match(words(pair, now + 366 * DAY_MS), /^it expired on 20\d\d-\d\d-\d\d \d\d:\d\d UTC;/);
  assert.deepEqual(kinds(pair, now - 2 * DAY_MS), ["not_yet_valid cert"]);
  assert.match(words(pair, now - 2 * DAY_MS), /not valid before 20.*clock/);
  const old = await made.authority({ days: 3, now: now - 10 * DAY_MS });
  assert.match(words({ ...pair, cert: pair.cert + old.cert }), /the certificate in place 2 expired/);
});

test("what is no certificate and what is no key are told together, with what was found instead", () => {
  assert.deepEqual(kinds({ cert: "", key: "" }), ["unreadable cert", "unreadable key"]);
  assert.match(words({ cert: pair.key, key: pair.cert }), /found a private key;[^]*found a certificate;/);
  assert.match(words({ ...pair, cert: `${pair.cert}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n` }), /one of the certificates in it cannot be read/);
});

test("an encrypted key is refused with the way to decrypt it", () => {
  const { privateKey } = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" },
  });
  assert.match(words({ ...pair, key: privateKey }), /not an encrypted one; decrypt it: openssl pkey/);
});

test("a certificate that can be read here and nowhere else fits no key", () => {
  const odd = writePem("CERTIFICATE", w.certificate({ publicKey: w.sequence(w.sequence(w.oid("2a03")), w.der(3, Uint8Array.of(0, 1))) }));
  assert.deepEqual(kinds({ ...pair, cert: odd }), ["mismatch key"]);
});

test("mutated pairs and files of any kind never throw", () =>
  seeded((random) => {
    const texts = [pair.cert + ca.cert, pair.key, readFileSync("test/fixtures/tls/server.pem", "utf8")];
    for (let round = 0; round < 1_500; round++) {
      const bytes = Buffer.from(random.pick(texts));
      for (let change = random.integer(1, 3); change > 0; change--) bytes[random.integer(0, bytes.length - 1)] = random.integer(0, 255);
      const text = bytes.toString("latin1");
      certificateProblems({ cert: text, key: random.chance(0.5) ? text : pair.key }, now);
      readCertificateFile(bytes);
      readCertificateFile(Buffer.concat([Uint8Array.of(0x30), random.bytes(random.integer(0, 60))]));
    }
  }));
