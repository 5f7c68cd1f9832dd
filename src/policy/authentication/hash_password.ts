import { createHash, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";
import { argon2id } from "./argon2id.ts";
import type { PasswordHash } from "./password_hash.ts";

/** What every version of mosquitto that knows a scheme can read. */
const SALT_BYTES = { "sha512-pbkdf2": 12, argon2id: 16 } as const;
const SHA512_BYTES = 64;
const ARGON2_HASH_BYTES = 32;
/** Those of mosquitto 2.1; RFC 9106's own choices want 64 MiB and more, which many a gateway does not have. */
const ARGON2 = { memoryKiB: 47_104, passes: 1, lanes: 1 } as const;

export type NewScheme = { readonly scheme: "sha512-pbkdf2"; readonly iterations: number } | { readonly scheme: "argon2id" };

/** A fresh hash with a salt of its own. */
export async function hashPassword(password: Uint8Array, kind: NewScheme): Promise<PasswordHash> {
  const salt = new Uint8Array(randomBytes(SALT_BYTES[kind.scheme]));
  const blank: PasswordHash =
    kind.scheme === "argon2id"
      ? { scheme: kind.scheme, ...ARGON2, salt, hash: new Uint8Array(ARGON2_HASH_BYTES) }
      : { scheme: kind.scheme, iterations: kind.iterations, salt, hash: new Uint8Array(SHA512_BYTES) };
  return { ...blank, hash: await derive(password, blank) };
}

/** Whether the password is the one; how long that takes tells nothing but the scheme. */
export async function matchesPassword(password: Uint8Array, known: PasswordHash): Promise<boolean> {
  const isEqual = timingSafeEqual(await derive(password, known), known.hash);
  // HMAC fills its key up with NULs (RFC 2104 section 2): for PBKDF2 a password with some more of them would be the same one.
  return isEqual && password.at(-1) !== 0;
}

/** What the hash would be with this password, as long as the one that is known. Slow schemes run beside the event loop, see argon2id.ts. */
function derive(password: Uint8Array, known: PasswordHash): Promise<Uint8Array> {
  switch (known.scheme) {
    case "sha512":
      return Promise.resolve(createHash("sha512").update(password).update(known.salt).digest());
    case "sha512-pbkdf2":
      return new Promise((resolve, reject) => {
        pbkdf2(password, known.salt, known.iterations, known.hash.length, "sha512", (error, hash) => (error ? reject(error) : resolve(hash)));
      });
    case "argon2id":
      return argon2id({ password, salt: known.salt, memoryKiB: known.memoryKiB, passes: known.passes, lanes: known.lanes, hashBytes: known.hash.length });
  }
}
