import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { readGivenName, readServedName } from "../../../src/transport/certificates/given_name.ts";
import { openSigner } from "../../../src/transport/certificates/signer.ts";
import { isIssuedBy, readCertificate } from "../../../src/transport/certificates/read.ts";
import { needs } from "../../support/needs.ts";
import * as made from "./made.ts";
import { folderFor, openssl } from "./openssl.ts";

const DAY_MS = 86_400_000;
const NEEDS = needs("openssl");

/** Fails unless OpenSSL's strict verification takes it for this purpose. */
async function verifyStrictly(t: Parameters<typeof folderFor>[0], ca: string, cert: string, purpose: "sslserver" | "sslclient" | "any"): Promise<void> {
  const at = folderFor(t, { "ca.pem": ca, "cert.pem": cert });
  await openssl("verify", "-x509_strict", "-check_ss_sig", "-purpose", purpose, "-CAfile", at("ca.pem"), at("cert.pem"));
}

describe("what is made here", () => {
  test("OpenSSL takes server and client strictly, each for its own purpose", NEEDS, async (t) => {
    const ca = await made.authority();
    const server = await made.server(ca, ["gateway.local", "localhost", "127.0.0.1", "::1", "*.example.com"]);
    const client = await made.client(ca, "sensor-1", ["sensor-1.local", "a@b.example", "urn:dev:1"]);
    await verifyStrictly(t, ca.cert, ca.cert, "any");
    await verifyStrictly(t, ca.cert, server.cert, "sslserver");
    await verifyStrictly(t, ca.cert, client.cert, "sslclient");
    await assert.rejects(verifyStrictly(t, ca.cert, server.cert, "sslclient"), /unsuitable certificate purpose/);
    await assert.rejects(verifyStrictly(t, ca.cert, client.cert, "sslserver"), /unsuitable certificate purpose/);
    await assert.rejects(verifyStrictly(t, (await made.authority()).cert, client.cert, "sslclient"), /unable to get local issuer|signature failure/);
  });

  test("has EC P-256, SHA-256, the extensions that belong to it, and a random serial number of 128 bits", NEEDS, async (t) => {
    const ca = await made.authority({ commonName: 'Acme, "Hall" + #3' });
    const server = await made.server(ca, ["GATEWAY.local.", "10.0.0.5", "2001:DB8:0::1"]);
    const at = folderFor(t, { "ca.pem": ca.cert, "server.pem": server.cert });
    const caText = await openssl("x509", "-in", at("ca.pem"), "-noout", "-text");
    const serverText = await openssl("x509", "-in", at("server.pem"), "-noout", "-text");
    for (const text of [caText, serverText]) {
      assert.match(text, /Signature Algorithm: ecdsa-with-SHA256\n/);
      assert.match(text, /ASN1 OID: prime256v1/);
      assert.match(text, /Version: 3 /);
    }
    assert.match(caText, /Basic Constraints: critical\s+CA:TRUE, pathlen:0\n\s+X509v3 Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
    assert.match(caText, /Subject: CN = "Acme, \\"Hall\\" \+ #3"/);
    assert.match(serverText, /Issuer: CN = "Acme, \\"Hall\\" \+ #3"/);
    assert.match(serverText, /Basic Constraints: critical\s+CA:FALSE\n\s+X509v3 Key Usage: critical\s+Digital Signature\n\s+X509v3 Extended Key Usage: \s+TLS Web Server Authentication\n/);
    assert.match(serverText, /Subject Alternative Name: \s+DNS:gateway\.local, IP Address:10\.0\.0\.5, IP Address:2001:DB8:0:0:0:0:0:1\n/);
    const identifier = /Subject Key Identifier: \s+([0-9A-F:]+)/.exec(caText)?.[1];
    assert.equal(/Authority Key Identifier: \s+(?:keyid:)?([0-9A-F:]+)/.exec(serverText)?.[1], identifier);
    const serials = await Promise.all(Array.from({ length: 8 }, () => made.client(ca, "x")));
    const numbers = new Set<string>();
    for (const { cert } of serials) {
      const file = folderFor(t, { "c.pem": cert })("c.pem");
      numbers.add((await openssl("x509", "-in", file, "-noout", "-serial")).trim());
    }
    assert.equal(numbers.size, serials.length);
    assert.ok([...numbers].every((line) => /^serial=[0-9A-F]{26,32}$/.test(line)), [...numbers].join(" "));
  });

  test("begins a day before it was made, lasts as long as was said, and never longer than its authority", async () => {
    const now = Date.UTC(2026, 10, 22, 12, 0, 0, 500);
    const ca = await made.authority({ days: 100, now });
    const short = readCertificate((await made.server(ca, ["a"], { days: 7, now })).cert);
    const long = readCertificate((await made.client(ca, "a", [], { days: 730, now })).cert);
    const authority = readCertificate(ca.cert);
    assert.equal(short?.notBefore, now - 500 - DAY_MS);
    assert.equal(short?.notAfter, now - 500 + 7 * DAY_MS);
    assert.equal(long?.notAfter, authority?.notAfter);
    assert.equal(authority?.notAfter, now - 500 + 100 * DAY_MS);
  });

  test("ends after 2049 in the other form of time that RFC 5280 wants there", NEEDS, async (t) => {
    const ca = await made.authority({ days: 36_500 });
    const client = await made.client(ca, "x", [], { days: 36_000 });
    await verifyStrictly(t, ca.cert, client.cert, "sslclient");
    assert.ok((readCertificate(client.cert)?.notAfter ?? 0) > Date.UTC(2100, 0));
  });

  test("common names are kept character for character", NEEDS, async (t) => {
    const ca = await made.authority();
    for (const name of ["#", "a, CN=admin", 'say "hi"', "Prüfstand 7 ☂", "a+b", " spaces ", "\\", "x".repeat(64)]) {
      const { cert } = await made.client(ca, name);
      assert.equal(readCertificate(cert)?.commonName, name);
      await verifyStrictly(t, ca.cert, cert, "sslclient");
    }
  });

  test("a server whose names are all too long for a common name has none", NEEDS, async (t) => {
    const ca = await made.authority();
    const { cert } = await made.server(ca, [`${"a".repeat(40)}.${"b".repeat(40)}`]);
    assert.equal(readCertificate(cert)?.subject, "");
    await verifyStrictly(t, ca.cert, cert, "sslserver");
  });
});

describe("authorities that were made elsewhere", () => {
  const kinds = [
    ["RSA", ["-newkey", "rsa:2048"], "sha256WithRSAEncryption"],
    ["EC P-384", ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"], "ecdsa-with-SHA384"],
    ["EC P-256", ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "ecdsa-with-SHA256"],
  ] as const;
  for (const [kind, words, algorithm] of kinds) {
    test(`sign here too: ${kind}, a name of many parts, a key identifier of its own`, NEEDS, async (t) => {
      // The machine's own configuration would add extensions.
      const at = folderFor(t, { "req.cnf": "[req]\ndistinguished_name=dn\n[dn]\n" });
      const extensions = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign", "subjectKeyIdentifier=0102030405"].flatMap((one) => ["-addext", one]);
      await openssl("req", "-x509", "-config", at("req.cnf"), ...words, "-nodes", "-subj", "/C=DE/O=Acme, Inc./OU=b+OU=a/CN=Hall \\/ 3", "-multivalue-rdn", "-days", "100", ...extensions, "-keyout", at("ca.key"), "-out", at("ca.pem"));
      const ca = { cert: readFileSync(at("ca.pem"), "utf8"), key: readFileSync(at("ca.key"), "utf8") };
      const { cert } = await made.client(ca, "sensor-1");
      const [leaf, authority] = [readCertificate(cert), readCertificate(ca.cert)];
      assert.ok(leaf && authority && isIssuedBy(leaf, authority));
      await verifyStrictly(t, ca.cert, cert, "sslclient");
      const text = await openssl("x509", "-in", folderFor(t, { "c.pem": cert })("c.pem"), "-noout", "-text");
      assert.match(text, new RegExp(`Signature Algorithm: ${algorithm}`));
      assert.match(text, /Authority Key Identifier: \s+(keyid:)?01:02:03:04:05/);
    });
  }

  test("refused in words: no authority, another key, expired, not yet valid, a kind that is not used here", NEEDS, async (t) => {
    const now = Date.now();
    const ca = await made.authority({ days: 10, now });
    const reason = async (pair: typeof ca, at = now): Promise<string> => {
      const signer = await openSigner(pair, at);
      return "reason" in signer ? `${signer.about}: ${signer.reason}` : "none";
    };
    assert.equal(await reason(ca), "none");
    assert.match(await reason(await made.server(ca, ["a"])), /^cert: it is not that of an authority/);
    assert.match(await reason({ ...ca, key: (await made.authority()).key }), /^key: it does not fit/);
    assert.match(await reason(ca, now + 11 * DAY_MS), /^cert: it expired on 20/);
    assert.match(await reason(ca, now - 2 * DAY_MS), /^cert: it is not valid before 20/);
    assert.match(await reason({ cert: ca.key, key: ca.cert }), /^cert: expected a certificate as PEM text, found a private key/);
    const at = folderFor(t);
    await openssl("req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=x", "-days", "100", "-keyout", at("ca.key"), "-out", at("ca.pem"));
    assert.match(await reason({ cert: readFileSync(at("ca.pem"), "utf8"), key: readFileSync(at("ca.key"), "utf8") }, Date.now() + 1_000), /^key: its kind is Ed25519: expected EC/);
  });
});

test("readGivenName tells names apart, and brings each into one form", () => {
  const cases = [
    ["Gateway.Local.", "dns gateway.local"], ["*.Example.com", "dns *.example.com"], ["localhost", "dns localhost"], ["my_host", "dns my_host"],
    ["10.0.0.5", "ip 10.0.0.5"], ["2001:DB8:0:0::1", "ip 2001:db8::1"], ["::ffff:10.0.0.5", "ip 10.0.0.5"],
    ["a@b.example", "email a@b.example"], ["urn:dev:mac:01", "uri urn:dev:mac:01"], ["spiffe://a/b", "uri spiffe://a/b"],
    ["", undefined], ["a b", undefined], ["10.0.0.256", undefined], ["010.0.0.1", undefined], ["1.2.3", undefined], ["a.*.b", undefined], ["é.example", undefined],
    ["a\nb", undefined], ["a@b@c", undefined], ["fe80::1%eth0", undefined], ["x".repeat(2_000), undefined], ["10.0.0.0/8", undefined],
  ] as const;
  for (const [text, expected] of cases) {
    const name = readGivenName(text);
    assert.equal(name && `${name.kind} ${name.value}`, expected, text);
    assert.equal(readServedName(text)?.value, expected?.startsWith("dns ") || expected?.startsWith("ip ") ? name?.value : undefined);
  }
});
