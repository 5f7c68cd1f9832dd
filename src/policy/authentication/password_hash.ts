/** A password as it stands in a password file. */
export type PasswordHash = Sha512Hash | Pbkdf2Hash | Argon2idHash;

/** `$6$salt$hash`: SHA-512 over the password and the salt, once. What mosquitto 1.6 and before wrote. */
export interface Sha512Hash {
  readonly scheme: "sha512";
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

/** `$7$iterations$salt$hash`: PBKDF2 with HMAC-SHA-512 (RFC 8018 section 5.2). What mosquitto 2.0 writes. */
export interface Pbkdf2Hash {
  readonly scheme: "sha512-pbkdf2";
  readonly iterations: number;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

/** `$argon2id$v=19$m=...,t=...,p=...$salt$hash` (RFC 9106). What mosquitto 2.1 writes. */
export interface Argon2idHash {
  readonly scheme: "argon2id";
  readonly memoryKiB: number;
  readonly passes: number;
  readonly lanes: number;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

/** What would have been right, in words that follow "expected". Never holds a part of the text. */
export interface HashFault {
  readonly expected: string;
}

const SHA512_BYTES = 64;
const SALT_BYTES = { min: 8, max: 64 };
const ARGON2_HASH_BYTES = { min: 16, max: 64 };
/** Each check costs what its line says, so a slip of the keyboard may not stop the proxy: about 4 s, 256 MiB. */
const ITERATIONS_MAX = 10_000_000;
const MEMORY_KIB_MAX = 262_144;
const PASSES_MAX = 64;
const LANES_MAX = 64;

const SHA512 = /^\$6\$([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+)$/;
const PBKDF2 = /^\$7\$([1-9]\d{0,9})\$([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+)$/;
const ARGON2ID = /^\$argon2id\$v=19\$m=([1-9]\d{0,9}),t=([1-9]\d{0,9}),p=([1-9]\d{0,9})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

export function parsePasswordHash(text: string): PasswordHash | HashFault {
  if (text.startsWith("$6$")) return parseSha512(text);
  if (text.startsWith("$7$")) return parsePbkdf2(text);
  if (text.startsWith("$argon2id$")) return parseArgon2id(text);
  return { expected: "a hash that begins with $6$, $7$ or $argon2id$ behind the colon" };
}

function parseSha512(text: string): PasswordHash | HashFault {
  const match = SHA512.exec(text);
  if (match === null) return { expected: "$6$salt$hash, both in Base64" };
  const salt = readSalt(match[1]!);
  if ("expected" in salt) return salt;
  const hash = readSha512Hash(match[2]!);
  return "expected" in hash ? hash : { scheme: "sha512", salt: salt.bytes, hash: hash.bytes };
}

function parsePbkdf2(text: string): PasswordHash | HashFault {
  const match = PBKDF2.exec(text);
  if (match === null) return { expected: "$7$iterations$salt$hash, the last two in Base64" };
  const iterations = Number(match[1]);
  if (iterations > ITERATIONS_MAX) return { expected: `at most ${ITERATIONS_MAX} iterations` };
  const salt = readSalt(match[2]!);
  if ("expected" in salt) return salt;
  const hash = readSha512Hash(match[3]!);
  return "expected" in hash ? hash : { scheme: "sha512-pbkdf2", iterations, salt: salt.bytes, hash: hash.bytes };
}

function parseArgon2id(text: string): PasswordHash | HashFault {
  const match = ARGON2ID.exec(text);
  if (match === null) return { expected: "$argon2id$v=19$m=...,t=...,p=...$salt$hash, the last two in Base64 without padding" };
  const [memoryKiB, passes, lanes] = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (memoryKiB > MEMORY_KIB_MAX || passes > PASSES_MAX || lanes > LANES_MAX) return { expected: `at most m=${MEMORY_KIB_MAX},t=${PASSES_MAX},p=${LANES_MAX}` };
  if (memoryKiB < 8 * lanes) return { expected: "m of at least eight times p" }; // RFC 9106 section 3.1
  const salt = readSalt(padded(match[4]!));
  if ("expected" in salt) return salt;
  const hash = readBase64(padded(match[5]!));
  if (hash === undefined || hash.length < ARGON2_HASH_BYTES.min || hash.length > ARGON2_HASH_BYTES.max) {
    return { expected: `a hash of ${ARGON2_HASH_BYTES.min} to ${ARGON2_HASH_BYTES.max} bytes in Base64` };
  }
  return { scheme: "argon2id", memoryKiB, passes, lanes, salt: salt.bytes, hash };
}

interface Read {
  readonly bytes: Uint8Array;
}

function readSalt(text: string): Read | HashFault {
  const bytes = readBase64(text);
  const fits = bytes !== undefined && bytes.length >= SALT_BYTES.min && bytes.length <= SALT_BYTES.max;
  return fits ? { bytes } : { expected: `a salt of ${SALT_BYTES.min} to ${SALT_BYTES.max} bytes in Base64` };
}

function readSha512Hash(text: string): Read | HashFault {
  const bytes = readBase64(text);
  return bytes?.length === SHA512_BYTES ? { bytes } : { expected: `a hash of ${SHA512_BYTES} bytes in Base64` };
}

/** Exactly what encoding would give: Buffer's own decoder takes almost anything. */
function readBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? new Uint8Array(bytes) : undefined;
}

function padded(text: string): string {
  return text.padEnd(4 * Math.ceil(text.length / 4), "=");
}

/** As it stands behind the colon. */
export function passwordHashText(hash: PasswordHash): string {
  const [salt, digest] = [base64(hash.salt), base64(hash.hash)];
  switch (hash.scheme) {
    case "sha512":
      return `$6$${salt}$${digest}`;
    case "sha512-pbkdf2":
      return `$7$${hash.iterations}$${salt}$${digest}`;
    case "argon2id":
      return `$argon2id$v=19$m=${hash.memoryKiB},t=${hash.passes},p=${hash.lanes}$${unpadded(salt)}$${unpadded(digest)}`;
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
}

function unpadded(text: string): string {
  return text.replace(/=+$/, "");
}
