import { createPrivateKey, createPublicKey, generateKeyPairSync, type webcrypto } from "node:crypto";
import { readDerValue } from "./der.ts";
import { keyTypeText } from "./key_type.ts";

/** A private key and its public half. */
export interface Key {
  /** PEM, not encrypted. */
  readonly pem: string;
  /** SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array<ArrayBuffer>;
}

/** A key that can sign, as WebCrypto wants it. */
export interface SigningKey extends Key {
  readonly cryptoKey: webcrypto.CryptoKey;
  readonly algorithm: SigningAlgorithm;
}

type SigningAlgorithm = (webcrypto.EcKeyImportParams & webcrypto.EcdsaParams) | webcrypto.RsaHashedImportParams;

/** Authorities that were not made here have other keys than ours. The digest is as strong as the key. */
const SIGNING_ALGORITHMS: readonly (readonly [keyType: RegExp, algorithm: SigningAlgorithm])[] = [
  [/^EC P-256$/, { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }],
  [/^EC P-384$/, { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" }],
  [/^RSA \d+$/, { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }],
];

/** EC P-256: every device knows it, and a server's part of its handshakes costs a fraction of RSA's. */
export function createKey(): Key {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { pem: String(privateKey.export({ type: "pkcs8", format: "pem" })), publicKey: new Uint8Array(publicKey.export({ type: "spki", format: "der" })) };
}

/** undefined: no private key in PEM, or an encrypted one. */
export function openKey(pem: string): Key | undefined {
  try {
    return { pem, publicKey: new Uint8Array(createPublicKey(pem).export({ type: "spki", format: "der" })) };
  } catch {
    return undefined;
  }
}

/** undefined: no private key, an encrypted one, or of a kind that is not used for signing here. */
export async function openSigningKey(pem: string): Promise<SigningKey | undefined> {
  const key = openKey(pem);
  const value = key && readDerValue(key.publicKey);
  const keyType = value === undefined ? "" : keyTypeText(value);
  const [, algorithm] = SIGNING_ALGORITHMS.find(([pattern]) => pattern.test(keyType)) ?? [];
  if (key === undefined || algorithm === undefined) return undefined;
  try {
    const pkcs8 = new Uint8Array(createPrivateKey(key.pem).export({ type: "pkcs8", format: "der" }));
    return { ...key, algorithm, cryptoKey: await crypto.subtle.importKey("pkcs8", pkcs8, algorithm, false, ["sign"]) };
  } catch {
    return undefined; // RSA for PSS alone, say
  }
}
