import { createHmac, createPrivateKey, generateKeyPairSync, sign, type KeyObject } from "node:crypto";

/** Tokens written by hand, so that they can be wrong in ways in which no library writes them. */

const SIGNATURES = {
  RS256: (key: KeyObject, input: Buffer) => sign("sha256", input, key),
  ES256: (key: KeyObject, input: Buffer) => sign("sha256", input, { key, dsaEncoding: "ieee-p1363" }),
  EdDSA: (key: KeyObject, input: Buffer) => sign(null, input, key),
} as const;

export type PublicAlgorithm = keyof typeof SIGNATURES;

function base64url(value: unknown): string {
  return Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
}

/** A key, and tokens that are signed with it. */
export class Signer {
  readonly algorithm: PublicAlgorithm;
  readonly #key: KeyObject;
  readonly pem: string;

  constructor(algorithm: PublicAlgorithm) {
    const pair = { RS256: () => generateKeyPairSync("rsa", { modulusLength: 2048 }), ES256: () => generateKeyPairSync("ec", { namedCurve: "P-256" }), EdDSA: () => generateKeyPairSync("ed25519") }[algorithm]();
    this.algorithm = algorithm;
    // Through PEM, because Deno's own objects cannot all sign.
    this.#key = createPrivateKey(pair.privateKey.export({ type: "pkcs8", format: "pem" }));
    this.pem = String(pair.publicKey.export({ type: "spki", format: "pem" }));
    this.jwk = pair.publicKey.export({ format: "jwk" });
  }

  readonly jwk: Record<string, unknown>;

  token(payload: unknown, header: Record<string, unknown> = {}): string {
    const input = `${base64url({ alg: this.algorithm, ...header })}.${base64url(payload)}`;
    return `${input}.${SIGNATURES[this.algorithm](this.#key, Buffer.from(input)).toString("base64url")}`;
  }
}

export function secretToken(secret: string | Uint8Array, payload: unknown, header: Record<string, unknown> = {}): string {
  const input = `${base64url({ alg: "HS256", ...header })}.${base64url(payload)}`;
  return `${input}.${createHmac("sha256", secret).update(input).digest("base64url")}`;
}

export function unsignedToken(payload: unknown, algorithm: string): string {
  return `${base64url({ alg: algorithm })}.${base64url(payload)}.`;
}
