import { createHmac, randomBytes } from "node:crypto";

const KEY_BYTES = 32;

export type CredentialsKey = (...parts: readonly (string | Uint8Array)[]) => string;

/**
 * Names credentials for a cache: the same ones have the same name, and nobody who reads the memory learns them from it, because
 * the key of the HMAC is random, of this one cache, and gone with the process.
 */
export function createCredentialsKey(): CredentialsKey {
  const key = randomBytes(KEY_BYTES);
  return (...parts) => {
    const hmac = createHmac("sha256", key);
    for (const part of parts) {
      // The length in front, so that no part can look like the end of another one.
      hmac.update(`${typeof part === "string" ? Buffer.byteLength(part) : part.length}:`).update(part);
    }
    return hmac.digest("base64");
  };
}
