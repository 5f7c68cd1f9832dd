import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { TAG } from "../../../src/transport/certificates/der.ts";
import { readCertificateFacts } from "../../../src/transport/certificates/facts.ts";
import { readPem } from "../../../src/transport/certificates/pem.ts";
import { seeded } from "../../support/seed.ts";
import * as w from "./write_der.ts";

const factsOf = (parts: w.CertificateParts) => readCertificateFacts(w.certificate(parts));
const namesOf = (...names: readonly Uint8Array[]) => factsOf({ extensions: [w.subjectAltName(...names)] })?.names;

describe("readCertificateFacts", () => {
  test("reads names by their kinds, the dates and the fingerprint", () => {
    const bytes = w.certificate({
      subject: w.name(w.attribute(w.ORGANISATION, w.text(TAG.utf8String, "Acme")), w.commonName("sensor-1")),
      extensions: [w.subjectAltName(w.dns("a.example"), w.email("a@b.example"), w.uri("urn:dev:1"), w.ip(10, 0, 0, 5), w.ip(0x20, 1, 0xd, 0xb8, ...new Array<number>(11).fill(0), 1), w.dns("*.b.example"))],
    });
    assert.deepEqual(readCertificateFacts(bytes), {
      commonName: "sensor-1",
      names: { dns: ["a.example", "*.b.example"], email: ["a@b.example"], uri: ["urn:dev:1"], ip: ["10.0.0.5", "2001:db8::1"] },
      fingerprint: createHash("sha256").update(bytes).digest("hex"),
      notBefore: Date.UTC(2026, 0, 1),
      notAfter: Date.UTC(2051, 0, 1),
    });
  });

  test("reads what OpenSSL made, and says the same fingerprint", () => {
    const [block] = readPem(readFileSync("test/fixtures/tls/server.pem", "utf8"));
    const facts = readCertificateFacts(block!.der!);
    assert.deepEqual(facts?.names, { dns: ["localhost"], email: [], uri: [], ip: ["127.0.0.1", "::1"] });
    assert.equal(facts.fingerprint, createHash("sha256").update(block!.der!).digest("hex"));
  });

  test("T6: a common name is taken in every kind of text that can be read for sure", () => {
    const cases: readonly (readonly [tag: number, bytes: Uint8Array, expected: string | undefined])[] = [
      [TAG.utf8String, Buffer.from("Prüfstand 7", "utf8"), "Prüfstand 7"],
      [TAG.printableString, Buffer.from("sensor 1"), "sensor 1"],
      [TAG.ia5String, Buffer.from("a@b"), "a@b"],
      [TAG.teletexString, Buffer.from("plain"), "plain"],
      [TAG.bmpString, Buffer.from([0, 0x41, 0x20, 0xac]), "A€"],
      [TAG.bmpString, Buffer.from([0xd8, 0x00]), undefined],
      [TAG.bmpString, Buffer.from([0x41]), undefined],
      [TAG.teletexString, Buffer.from([0x41, 0xe9]), undefined],
      [TAG.printableString, Buffer.from("é", "utf8"), undefined],
      [TAG.utf8String, Buffer.from([0x61, 0xc0, 0x80]), undefined],
      [TAG.utf8String, Buffer.from([0xed, 0xa0, 0x80]), undefined],
      [TAG.octetString, Buffer.from("octets"), undefined],
      [TAG.utf8String, Buffer.alloc(0), undefined],
      [TAG.utf8String, Buffer.alloc(2048, "x"), "x".repeat(2048)],
      [TAG.utf8String, Buffer.alloc(2049, "x"), undefined],
    ];
    for (const [tag, bytes, expected] of cases) {
      const facts = factsOf({ subject: w.name(w.attribute(w.COMMON_NAME, w.der(tag, bytes))) });
      assert.ok(facts);
      assert.equal(facts.commonName, expected, `tag ${tag}, ${bytes.length} bytes`);
    }
  });

  test("T6: control characters drop the value, also where it would be cut at a NUL", () => {
    for (const bad of ["admin\0.evil.example", "a\r\nb", "a\u001b[2J", "a\u0085b", "a\u2028b", "\u007f"]) {
      assert.equal(factsOf({ subject: w.name(w.commonName(bad)) })?.commonName, undefined, JSON.stringify(bad));
      assert.deepEqual(namesOf(w.dns(bad), w.email(bad), w.uri(bad), w.dns("good.example")), { dns: ["good.example"], email: [], uri: [], ip: [] }, JSON.stringify(bad));
    }
  });

  test("T6: `#`, `+`, commas and quotes stay as they are, and make no second name", () => {
    for (const odd of ["#", "a/+/b", "a, CN=admin", 'a", DNS:admin', "DNS:admin, DNS:b", "a+CN=b", "\\"]) {
      assert.equal(factsOf({ subject: w.name(w.commonName(odd)) })?.commonName, odd);
      assert.deepEqual(namesOf(w.dns(odd), w.uri(odd)), { dns: [odd], email: [], uri: [odd], ip: [] });
    }
  });

  test("T6: an e-mail address that looks like a DNS name stays an e-mail address, and so on for each kind", () => {
    assert.deepEqual(namesOf(w.email("admin.example")), { dns: [], email: ["admin.example"], uri: [], ip: [] });
    assert.deepEqual(namesOf(w.dns("10.0.0.1"), w.uri("10.0.0.2")), { dns: ["10.0.0.1"], email: [], uri: ["10.0.0.2"], ip: [] });
    const otherKinds = [w.der(0xa0, w.oid("2b0601"), w.text(TAG.utf8String, "x")), w.der(0xa4, w.name(w.commonName("admin"))), w.der(0x88, Uint8Array.of(1))];
    assert.deepEqual(namesOf(...otherKinds), { dns: [], email: [], uri: [], ip: [] });
    // The constructed form of a tag is another tag.
    assert.deepEqual(namesOf(w.der(0xa2, w.text(TAG.ia5String, "admin.example")))?.dns, []);
  });

  test("T6: two common names are none, in one set or in two, readable or not", () => {
    for (const second of [w.commonName("b"), w.commonName("a"), w.commonName("b\0")]) {
      assert.equal(factsOf({ subject: w.name(w.commonName("a"), second) })?.commonName, undefined);
      assert.equal(factsOf({ subject: w.sequence(w.der(TAG.set, w.commonName("a"), second)) })?.commonName, undefined);
    }
    assert.equal(factsOf({ subject: w.name() })?.commonName, undefined);
    assert.equal(factsOf({ subject: w.sequence(w.der(TAG.set, w.attribute(w.ORGANISATION, w.text(TAG.utf8String, "o")), w.commonName("a"))) })?.commonName, "a");
  });

  test("an address of another length than 4 or 16 bytes is dropped", () => {
    assert.deepEqual(namesOf(w.ip(), w.ip(1, 2, 3), w.ip(10, 0, 0, 1, 255, 255, 255, 0))?.ip, []);
  });

  test("no more than 256 names are kept", () => {
    const names = Array.from({ length: 300 }, (_, index) => (index % 2 === 0 ? w.dns(`d${index}`) : w.email(`e${index}`)));
    const found = namesOf(...names);
    assert.deepEqual([found?.dns.length, found?.email.length], [128, 128]);
  });

  test("an extension that is there twice makes it unreadable: who reads the first and who reads the last would see two owners", () => {
    assert.equal(factsOf({ extensions: [w.subjectAltName(w.dns("a")), w.subjectAltName(w.dns("b"))] }), undefined);
  });

  test("names that are no list make it unreadable, not nameless", () => {
    for (const value of [new Uint8Array(), w.dns("a"), w.sequence(Uint8Array.of(0x82, 5, 0x61))]) {
      assert.equal(factsOf({ extensions: [w.extension("551d11", value)] }), undefined);
    }
  });

  test("times: seconds and UTC are a must, two digits mean 1950 to 2049, no 30th of February", () => {
    const good = [[TAG.utcTime, "491231235959Z", Date.UTC(2049, 11, 31, 23, 59, 59)], [TAG.utcTime, "500101000000Z", Date.UTC(1950, 0, 1)], [TAG.generalizedTime, "99991231235959Z", Date.UTC(9999, 11, 31, 23, 59, 59)], [TAG.utcTime, "240229000000Z", Date.UTC(2024, 1, 29)]] as const;
    for (const [tag, time, expected] of good) assert.equal(factsOf({ notAfter: w.text(tag, time) })?.notAfter, expected, time);
    const bad = [[TAG.utcTime, "2601010000Z"], [TAG.utcTime, "260101000000+0100"], [TAG.utcTime, "260230000000Z"], [TAG.utcTime, "260101240000Z"], [TAG.utcTime, "260101006000Z"], [TAG.utcTime, "20260101000000Z"], [TAG.generalizedTime, "260101000000Z"], [TAG.generalizedTime, "20260101000000.5Z"], [TAG.ia5String, "260101000000Z"], [TAG.utcTime, ""], [TAG.utcTime, "261301000000Z"], [TAG.utcTime, "260001000000Z"]] as const;
    for (const [tag, time] of bad) assert.equal(factsOf({ notAfter: w.text(tag, time) }), undefined, time);
  });

  test("what stands behind the certificate is not part of it", () => {
    const bytes = w.certificate();
    assert.equal(readCertificateFacts(Buffer.concat([bytes, Buffer.from("more")]))?.fingerprint, readCertificateFacts(bytes)?.fingerprint);
  });

  test("one of more than 64 KiB is not read", () => {
    const big = (bytes: number) => w.certificate({ extensions: [w.extension("2a03", new Uint8Array(bytes))] });
    assert.ok(readCertificateFacts(big(60_000)));
    assert.equal(readCertificateFacts(big(70_000)), undefined);
  });
});

describe("hostile DER", () => {
  const whole = w.certificate({ subject: w.name(w.commonName("sensor-1")), extensions: [w.subjectAltName(w.dns("a.example"), w.email("a@b.example"), w.ip(10, 0, 0, 1)), w.extension("551d13", w.sequence())] });

  test("every truncation is unreadable", () => {
    for (let length = 0; length < whole.length; length++) assert.equal(readCertificateFacts(whole.subarray(0, length)), undefined, String(length));
  });

  test("lengths that lie, have no end, or have more bytes than a number", () => {
    for (const bytes of [[0x30, 0x80, 0, 0], [0x30, 0x84, 0xff, 0xff, 0xff, 0xff], [0x30, 0x85, 1, 0, 0, 0, 0], [0x30, 0xff], [0x3f, 0x81, 0x81, 0x01, 0], [0x30], []]) {
      assert.equal(readCertificateFacts(Uint8Array.from(bytes)), undefined);
    }
  });

  test("deep nesting is no recursion", () => {
    let deep: Uint8Array = new Uint8Array();
    for (let level = 0; level < 5_000; level++) deep = w.sequence(deep);
    assert.equal(readCertificateFacts(deep), undefined);
  });

  test("mutated and random bytes never throw, and never give a name with control characters", () =>
    seeded((random) => {
      for (let round = 0; round < 20_000; round++) {
        const bytes = random.chance(0.1) ? random.bytes(random.integer(0, 200)) : Uint8Array.from(whole);
        for (let change = random.integer(0, 4); change > 0 && bytes.length > 0; change--) bytes[random.integer(0, bytes.length - 1)] = random.integer(0, 255);
        const facts = readCertificateFacts(bytes);
        if (facts === undefined) continue;
        const texts = [facts.commonName ?? "", ...facts.names.dns, ...facts.names.email, ...facts.names.uri, ...facts.names.ip];
        for (const one of texts) assert.doesNotMatch(one, /[\p{Cc}\p{Cs}]/u);
        assert.ok(Number.isSafeInteger(facts.notBefore) && Number.isSafeInteger(facts.notAfter));
      }
    }));
});
