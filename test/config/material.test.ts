import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { join, resolve } from "node:path";
import { describe, test } from "node:test";
import { readMaterial } from "../../src/config/material.ts";
import { readDerValue } from "../../src/transport/certificates/der.ts";
import { namesPublicKey } from "../../src/transport/certificates/key_fit.ts";
import { resolveConfiguration } from "../../src/config/resolve.ts";
import type { ConfigInput } from "../../src/config/schema.ts";
import { filesWith } from "./files.ts";

const TLS = resolve("test/fixtures/tls");
const fixture = (name: string) => join(TLS, name);

function read(input: ConfigInput, contents: Parameters<typeof filesWith>[0] = {}) {
  const { configuration, problems } = resolveConfiguration(input);
  assert.ok(configuration, JSON.stringify(problems));
  return readMaterial(configuration, filesWith(contents));
}

function listener(cert: string, key: string, contents: Parameters<typeof filesWith>[0] = {}) {
  return read({ listeners: [{ name: "front", listen: "mqtts://:8883", tls: { cert, key } }], pools: { default: { brokers: ["b"] } } }, contents);
}

/** OpenSSL does not compare the halves of a key. */
function isTaken(key: string): boolean {
  try {
    return createPrivateKey(key) !== undefined;
  } catch {
    return false;
  }
}

async function onlyProblem(reading: ReturnType<typeof readMaterial>) {
  const { problems } = await reading;
  assert.equal(problems?.length, 1, JSON.stringify(problems));
  return problems[0]!;
}

describe("readMaterial", () => {
  test("reads a certificate, its key and authorities", async () => {
    const answer = await read({
      listeners: [{ name: "front", listen: "mqtts://:8883", tls: { cert: fixture("server.pem"), key: fixture("server.key") } }],
      pools: { default: { brokers: ["mqtts://b"], tls: { ca: fixture("ca.pem") } }, plain: { brokers: ["b"] } },
    });
    assert.ok("material" in answer, JSON.stringify(answer));
    assert.match(answer.material.listeners.get("front")?.[0]?.cert ?? "", /BEGIN CERTIFICATE/);
    assert.match(answer.material.listeners.get("front")?.[0]?.key ?? "", /PRIVATE KEY/);
    assert.match(answer.material.pools.get("default")?.ca ?? "", /BEGIN CERTIFICATE/);
    assert.deepEqual(answer.material.pools.get("plain"), { insecure: false });
    assert.deepEqual(answer.warnings, ['pool "plain" is used by no listener and no route']);
    assert.deepEqual(answer.expired, []);
  });

  test("an expired certificate is a warning", async () => {
    const answer = await listener(fixture("expired.pem"), fixture("expired.key"));
    assert.ok("material" in answer, JSON.stringify(answer));
    assert.match(answer.expired[0] ?? "", /expired\.pem" expired on /);
    assert.deepEqual(answer.warnings, [], "said once");
    const brokers = await read({ pools: { default: { brokers: ["mqtts://b"], tls: { cert: fixture("expired.pem"), key: fixture("expired.key"), ca: fixture("expired.pem") } } } });
    assert.ok("material" in brokers, JSON.stringify(brokers));
    assert.equal(brokers.warnings.length, 2);
  });

  test("a missing file is exit 66 with its path and key", async () => {
    const { exit, reason, path } = await onlyProblem(listener(fixture("none.pem"), fixture("server.key")));
    assert.equal(exit, 66);
    assert.match(reason, /none\.pem" for listeners\[0\]\.tls\.cert: no such file/);
    assert.deepEqual(path, ["listeners", 0, "tls", "cert"]);
  });

  test("every missing file is reported", async () => {
    const { problems } = await listener(fixture("none.pem"), fixture("none.key"));
    assert.deepEqual(problems?.map((problem) => problem.exit), [66, 66]);
  });

  test("a key of another certificate is exit 78", async () => {
    const { exit, reason } = await onlyProblem(listener(fixture("server.pem"), fixture("other.key")));
    assert.equal(exit, 78);
    assert.match(reason, /other\.key" does not fit the certificate/);
  });

  test("certificate and key swapped: both are named", async () => {
    const { problems } = await listener(fixture("server.key"), fixture("server.pem"));
    assert.equal(problems?.length, 2);
    assert.match(problems[0]!.reason, /as a certificate: expected PEM text, found a private key/);
    assert.match(problems[1]!.reason, /as a private key: expected PEM text/);
  });

  test("an encrypted key is refused with the way to decrypt it", async () => {
    const { privateKey } = generateKeyPairSync("ec", {
      namedCurve: "P-256",
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" },
    });
    const { reason, suggestion } = await onlyProblem(listener(fixture("server.pem"), "locked.key", { "locked.key": privateKey }));
    assert.match(reason, /it is encrypted/);
    assert.match(suggestion ?? "", /openssl pkey/);
  });

  test("text that is no certificate, also behind one that is", async () => {
    const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (const text of ["", "hello", broken]) {
      assert.match((await onlyProblem(listener("c.pem", fixture("server.key"), { "c.pem": text }))).reason, /expected PEM text/);
    }
    const { problems } = await read({ pools: { default: { brokers: ["mqtts://b"], tls: { ca: "ca.pem" } } } }, { "ca.pem": broken });
    assert.deepEqual(problems?.[0]?.path, ["pools", "default", "tls", "ca"]);
  });

  test("a pool's key is judged by the TLS library, also where it names the certificate's public key: its private half may be damaged", async () => {
    const der = createPrivateKey(readFileSync(fixture("server.key"))).export({ type: "pkcs8", format: "der" });
    der[der.indexOf(Buffer.from([0x04, 0x20])) + 10]! ^= 0xff; // in the private scalar
    const damaged = `-----BEGIN PRIVATE KEY-----\n${der.toString("base64")}\n-----END PRIVATE KEY-----\n`;
    const { publicKey } = new X509Certificate(readFileSync(fixture("server.pem")));
    assert.equal(namesPublicKey(damaged, readDerValue(publicKey.export({ type: "spki", format: "der" }))!), true);
    const { problems = [] } = await read({ pools: { default: { brokers: ["mqtts://b"], tls: { cert: fixture("server.pem"), key: "damaged.key" } } } }, { "damaged.key": damaged });
    assert.deepEqual(problems.map(({ path }) => path), isTaken(damaged) ? [] : [["pools", "default", "tls", "key"]]);
  });

  test("bytes that are no text are refused", async () => {
    assert.match((await onlyProblem(listener("c.pem", fixture("server.key"), { "c.pem": new Uint8Array([0xff, 0xfe]) }))).reason, /expected text/);
  });

  test("a password file fills in the password, without its line break", async () => {
    const pools = { default: { brokers: [{ url: "mqtt://u@a", password_file: "a.txt" }, { url: "mqtt://u@b", password_file: "b.txt" }, "mqtt://u:w@c"] } };
    const answer = await read({ pools }, { "a.txt": " p w\n\n", "b.txt": "x\r\n" });
    assert.ok("material" in answer);
    assert.deepEqual(answer.configuration.pools[0]?.brokers.map((broker) => broker.password), [" p w\n", "x", "w"]);
    assert.match((await onlyProblem(read({ pools: { default: { brokers: [{ url: "u@a", password_file: "a.txt" }] } } }, { "a.txt": "\n" }))).reason, /is empty/);
  });
});
