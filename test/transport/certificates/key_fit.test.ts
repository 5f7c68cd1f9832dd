import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { readDerValue } from "../../../src/transport/certificates/der.ts";
import { namesPublicKey } from "../../../src/transport/certificates/key_fit.ts";
import { seeded } from "../../support/seed.ts";

const PEM = { format: "pem" } as const;
const rsa = () => generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = (namedCurve = "P-256") => generateKeyPairSync("ec", { namedCurve });
type Pair = ReturnType<typeof rsa>;
const spki = ({ publicKey }: Pair) => readDerValue(publicKey.export({ type: "spki", format: "der" }))!;
const text = ({ privateKey }: Pair, type: "pkcs8" | "sec1" | "pkcs1") => privateKey.export({ type, ...PEM }) as string;

test("a key for RSA or an elliptic curve names its public key in each of its encodings, and no other's", () => {
  const made = [[rsa(), rsa(), "pkcs1"], [ec(), ec(), "sec1"], [ec("P-384"), ec("P-256"), "sec1"], [ec("P-521"), rsa(), "sec1"]] as const;
  for (const [own, other, type] of made) {
    for (const encoding of ["pkcs8", type] as const) {
      assert.equal(namesPublicKey(text(own, encoding), spki(own)), true, encoding);
      assert.equal(namesPublicKey(text(own, encoding), spki(other)), false, encoding);
      assert.equal(namesPublicKey(`${text(other, "pkcs8")}commentary\n${text(own, encoding)}`, spki(own)), true, "also where others stand before it");
    }
  }
});

test("what has to be asked of a library: Ed25519, an encrypted key, a key for a curve that is alone, no key at all", () => {
  const ed = generateKeyPairSync("ed25519");
  assert.equal(namesPublicKey(ed.privateKey.export({ type: "pkcs8", ...PEM }) as string, readDerValue(ed.publicKey.export({ type: "spki", format: "der" }))!), false);
  const own = ec();
  const encrypted = own.privateKey.export({ type: "pkcs8", ...PEM, cipher: "aes-256-cbc", passphrase: "secret" }) as string;
  const { d = "" } = own.privateKey.export({ format: "jwk" });
  // ECPrivateKey with neither parameters nor the public key
  const alone = Buffer.concat([Buffer.from("30250201010420", "hex"), Buffer.from(d, "base64url")]);
  for (const pem of [encrypted, `-----BEGIN EC PRIVATE KEY-----\n${alone.toString("base64")}\n-----END EC PRIVATE KEY-----\n`, "", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]) {
    assert.equal(namesPublicKey(pem, spki(own)), false);
  }
});

test("with any byte of it changed a key never names another's public key, and nothing throws", async () => {
  const [own, other] = [ec(), ec()];
  const der = own.privateKey.export({ type: "pkcs8", format: "der" });
  await seeded((random) => {
    for (let round = 0; round < 2_000; round++) {
      const changed = Buffer.from(der);
      changed[random.integer(0, changed.length - 1)] = random.integer(0, 255);
      const pem = `-----BEGIN PRIVATE KEY-----\n${changed.toString("base64")}\n-----END PRIVATE KEY-----\n`;
      assert.equal(namesPublicKey(pem, spki(other)), false);
      namesPublicKey(pem, spki(own));
    }
  });
});
