import { createHmac, randomBytes } from "node:crypto";

const KEY_BYTES = 32;

export type CredentialsKey = (text: string, secret?: Uint8Array) => string;

/**
 * Names credentials for a cache: the same ones have the same name, and nobody who reads the memory learns them from it, because
 * the key of the HMAC is random, of this one cache, and gone with the process.
 */
export function createCredentialsKey(): CredentialsKey {
  const key = randomBytes(KEY_BYTES);
  return (text, secret) => {
    // The length in front, so that no end of the text can look like the beginning of the secret.
    const hmac = createHmac("sha256", key).update(`${text.length}:${text}`);
    return (secret === undefined ? hmac : hmac.update(secret)).digest("base64");
  };
}
