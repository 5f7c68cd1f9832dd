import { createPublicKey } from "node:crypto";
import type { JWK, JWTHeaderParameters } from "jose";

/** Where the key for a token comes from. */
export interface JwtKeys {
  /** A public key that somebody takes for a secret lets everybody make tokens, so each kind has its own algorithms. */
  readonly kind: keyof typeof ALGORITHMS;
  /** The key for a token with this header; a reason why there is none, for the log; "unavailable": nobody can tell at the moment. */
  find(header: JWTHeaderParameters): Promise<JwtKey>;
}

export type JwtKey = { readonly key: JWK | Uint8Array } | { readonly refused: string } | { readonly unavailable: string };

/** What would have been right, in words that follow "expected". */
export interface JwtKeysFault {
  readonly expected: string;
}

/** Of our own choosing, so that a set cannot grow without bound. */
const KEYS_MAX = 1_000;

/** By the kind of key: a token's header may name any of them, and each only ever meets a key of its kind (RFC 8725 section 3.1). */
export const ALGORITHMS = {
  public: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
  secret: ["HS256", "HS384", "HS512"],
} as const;

/** Bytes of the shortest secret for an algorithm: RFC 7518 section 3.2. */
const SECRET_BYTES_MIN = { HS256: 32, HS384: 48, HS512: 64 } as const;

export type SecretAlgorithm = keyof typeof SECRET_BYTES_MIN;

/** One public key, or a certificate, as PEM text. It is for every token, whatever key the token names. */
export function readPemKey(text: string): JwtKeys | JwtKeysFault {
  if (/PRIVATE KEY-----/.test(text)) return { expected: "a public key, not the private one: whoever has that makes tokens" };
  let key: JWK;
  try {
    key = createPublicKey(text).export({ format: "jwk" }) as JWK;
  } catch {
    return { expected: "a public key as PEM text" };
  }
  return { kind: "public", find: async () => ({ key }) };
}

/** A secret that we share with whoever makes the tokens; a line break at its end is no part of it. */
export function readSecret(bytes: Uint8Array, algorithm: SecretAlgorithm): JwtKeys | JwtKeysFault {
  const key = withoutLineBreak(bytes);
  const bytesMin = SECRET_BYTES_MIN[algorithm];
  return key.length < bytesMin ? { expected: `at least ${bytesMin} bytes for ${algorithm}` } : { kind: "secret", find: async () => ({ key }) };
}

function withoutLineBreak(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  if (bytes[end - 1] === 0x0a) end--;
  if (end < bytes.length && bytes[end - 1] === 0x0d) end--;
  return bytes.subarray(0, end);
}

/** A set of public keys (RFC 7517 section 5). Keys of kinds that we do not know are passed over, as it demands; secrets are no public keys. */
export function readKeySet(text: string): JwtKeys | JwtKeysFault {
  const keys = keysIn(text)?.filter(isPublicKey);
  if (keys === undefined) return { expected: 'a JSON object with a list "keys"' };
  if (keys.length === 0) return { expected: "at least one public key for signatures" };
  if (keys.length > KEYS_MAX) return { expected: `at most ${KEYS_MAX} keys` };
  return { kind: "public", find: async (header) => choose(keys, header) };
}

function keysIn(text: string): unknown[] | undefined {
  try {
    const set = JSON.parse(text) as { keys?: unknown } | null;
    return typeof set === "object" && set !== null && Array.isArray(set.keys) ? set.keys : undefined;
  } catch {
    return undefined;
  }
}

function isPublicKey(value: unknown): value is JWK {
  if (typeof value !== "object" || value === null) return false;
  const { kty, use, d } = value as Record<string, unknown>;
  return (kty === "RSA" || kty === "EC" || kty === "OKP") && (use === undefined || use === "sig") && d === undefined;
}

function choose(keys: readonly JWK[], { alg, kid }: JWTHeaderParameters): JwtKey {
  const fitting = keys.filter((key) => (kid === undefined || key.kid === kid) && (key.alg === undefined || key.alg === alg) && key.kty === keyTypeOf(alg));
  const [key] = fitting;
  if (key === undefined) return { refused: "none of the keys is for this token" };
  return fitting.length === 1 ? { key } : { refused: "the token does not say which of several keys it was signed with" };
}

function keyTypeOf(algorithm: string): string {
  if (algorithm.startsWith("ES")) return "EC";
  return algorithm.startsWith("Ed") ? "OKP" : "RSA";
}
