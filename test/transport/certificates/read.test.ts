import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { objectIdentifierText, TAG } from "../../../src/transport/certificates/der.ts";
import { readPem, writePem } from "../../../src/transport/certificates/pem.ts";
import { isIssuedBy, readCertificate, readCertificates, readDetails } from "../../../src/transport/certificates/read.ts";
import { seeded } from "../../support/seed.ts";
import * as w from "./write_der.ts";

const fixture = (name: string): string => readFileSync(`test/fixtures/tls/${name}.pem`, "utf8");
const pem = (parts: w.CertificateParts): string => writePem("CERTIFICATE", w.certificate(parts));
const basicConstraints = (...contents: readonly Uint8Array[]): Uint8Array => w.extension("551d13", w.sequence(...contents));

describe("readCertificate", () => {
  test("says what OpenSSL's certificates are", () => {
    const ca = readCertificate(fixture("ca"));
    const server = readCertificate(fixture("server"));
    assert.ok(ca && server);
    assert.deepEqual([ca.isAuthority, ca.isSelfIssued], [true, true]);
    assert.deepEqual([server.isAuthority, server.isSelfIssued], [false, false]);
    assert.equal(server.issuer, ca.subject);
    assert.ok(isIssuedBy(server, ca));
    assert.ok(!isIssuedBy(ca, server));
    assert.match(server.keyType, /^(EC P-256|RSA 2048)$/);
  });

  test("server names are those for DNS, without them the common name, in the form in which they are looked for", () => {
    const subject = w.name(w.commonName("Old.Example"));
    assert.deepEqual(readCertificate(pem({ subject }))?.serverNames, ["old.example"]);
    assert.deepEqual(readCertificate(pem({ subject, extensions: [w.subjectAltName(w.ip(10, 0, 0, 1))] }))?.serverNames, ["old.example"]);
    const names = [w.dns("A.Example."), w.dns("*.b.example"), w.dns("not a name"), w.dns("c.*.example"), w.dns("10.0.0.1")];
    assert.deepEqual(readCertificate(pem({ subject, extensions: [w.subjectAltName(...names)] }))?.serverNames, ["a.example", "*.b.example"]);
    assert.deepEqual(readCertificate(pem({ subject: w.name(w.commonName("Gateway in the hall")) }))?.serverNames, []);
  });

  test("the subject in one line: a comma in a value is not the next attribute", () => {
    const subject = w.name(w.attribute("55040a", w.text(TAG.utf8String, "Acme, Inc. + Co")), w.attribute("2a03", w.text(TAG.utf8String, "x")), w.commonName("#a=\"b\"\\ "), w.attribute("55040b", w.der(TAG.octetString)));
    assert.equal(readCertificate(pem({ subject }))?.subject, 'O=Acme\\, Inc. \\+ Co, 1.2.3=x, CN=\\#a\\=\\"b\\"\\\\\\ , OU=(unreadable)');
    assert.equal(readCertificate(pem({ subject: w.name() }))?.subject, "");
  });

  test("an authority is one that says so", () => {
    const cases = [[[], false], [[basicConstraints()], false], [[basicConstraints(w.der(TAG.boolean, Uint8Array.of(0)))], false], [[basicConstraints(w.der(TAG.boolean, Uint8Array.of(0xff)))], true], [[w.extension("551d13", new Uint8Array())], false]] as const;
    for (const [extensions, expected] of cases) assert.equal(readCertificate(pem({ extensions }))?.isAuthority, expected);
  });

  test("kinds of keys", () => {
    const key = (algorithm: Uint8Array, bits: Uint8Array = new Uint8Array(1)) => w.sequence(algorithm, w.der(TAG.bitString, bits));
    const rsa = (modulus: Uint8Array) => key(w.sequence(w.oid("2a864886f70d010101"), w.der(5)), Buffer.concat([Uint8Array.of(0), w.sequence(w.der(TAG.integer, modulus), w.der(TAG.integer, Uint8Array.of(1, 0, 1)))]));
    const cases: readonly (readonly [Uint8Array, string])[] = [
      [key(w.sequence(w.oid("2a8648ce3d0201"), w.oid("2b81040022"))), "EC P-384"],
      [key(w.sequence(w.oid("2a8648ce3d0201"), w.oid("2b8104000a"))), "EC 1.3.132.0.10"],
      [key(w.sequence(w.oid("2a8648ce3d0201"), w.sequence())), "EC (unnamed curve)"],
      [rsa(Uint8Array.from([0, 0x80, ...new Array<number>(255).fill(1)])), "RSA 2048"],
      [rsa(Uint8Array.from([0x7f, ...new Array<number>(255).fill(1)])), "RSA 2047"],
      [rsa(new Uint8Array(3)), "RSA (unreadable)"],
      [key(w.sequence(w.oid("2b6570"))), "Ed25519"],
      [key(w.sequence(w.oid("2a03"))), "1.2.3"],
      [w.sequence(), "(unreadable)"],
    ];
    for (const [publicKey, expected] of cases) assert.equal(readCertificate(pem({ publicKey }))?.keyType, expected);
  });

  test("object identifiers in dots", () => {
    assert.equal(objectIdentifierText(Buffer.from("2a864886f70d010901", "hex")), "1.2.840.113549.1.9.1");
    assert.equal(objectIdentifierText(Buffer.from("8837", "hex")), "2.999");
    assert.match(objectIdentifierText(new Uint8Array(1_000).fill(1)), /…$/);
  });

  test("mutated certificates never throw", () =>
    seeded((random) => {
      const whole = readPem(fixture("server"))[0]!.der!;
      for (let round = 0; round < 5_000; round++) {
        const bytes = Uint8Array.from(whole);
        for (let change = random.integer(1, 3); change > 0; change--) bytes[random.integer(0, bytes.length - 1)] = random.integer(0, 255);
        readDetails(bytes);
      }
    }));
});

describe("PEM", () => {
  test("is written as OpenSSL writes it", () => {
    const text = fixture("server");
    const block = text.slice(text.indexOf("-----BEGIN"));
    assert.equal(writePem("CERTIFICATE", readPem(text)[0]!.der!), block);
  });

  test("a chain is read in its order, with commentary and Windows line ends", () => {
    const text = `# leaf\r\n${pem({ subject: w.name(w.commonName("a")) }).replaceAll("\n", "\r\n")}between\n${pem({ subject: w.name(w.commonName("b")) })}`;
    assert.deepEqual(readCertificates(text)?.map(({ commonName }) => commonName), ["a", "b"]);
  });

  test("one unreadable certificate spoils the file; keys in it are passed over", () => {
    const good = pem({});
    assert.equal(readCertificates(`${good}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`), undefined);
    assert.equal(readCertificates("-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n"), undefined);
    assert.equal(readCertificates(writePem("PRIVATE KEY", new Uint8Array(8)) + good)?.length, 1);
    for (const nothing of ["", "hello", "-----BEGIN CERTIFICATE-----"]) assert.deepEqual(readCertificates(nothing), []);
  });

  test("a megabyte of beginnings takes no longer than its size", () => {
    const started = performance.now();
    readPem("-----BEGIN CERTIFICATE-----\n".repeat(40_000));
    readPem("-----BEGIN A-----".padEnd(1_000_000, "A"));
    assert.ok(performance.now() - started < 2_000, `${performance.now() - started} ms`);
  });
});
