import type { Identity, IdentityCertificate } from "../../../src/policy/authentication/types.ts";

const encoder = new TextEncoder();

/** A client that shows nothing but what the test says. */
export function client(shown: Partial<Omit<Identity, "password">> & { password?: string | Uint8Array } = {}): Identity {
  const { password, ...rest } = shown;
  return {
    clientId: "sensor-1",
    username: undefined,
    address: "192.0.2.1",
    listener: "front",
    certificate: undefined,
    ...rest,
    password: typeof password === "string" ? encoder.encode(password) : password,
  };
}

export function certificate(shown: { commonName?: string; dns?: string[]; email?: string[]; uri?: string[]; ip?: string[] } = {}): IdentityCertificate {
  const { commonName, dns = [], email = [], uri = [], ip = [] } = shown;
  return { commonName, names: { dns, email, uri, ip }, fingerprint: "00".repeat(32) };
}

/** Names that mean something elsewhere: in patterns, paths, formats, objects, other alphabets. */
export const STRANGE_NAMES: readonly string[] = [
  "#", "+", "/", "..", "../x", "%", "%c", "%u", "$", "$7$", ".*", "a|b", "[a-z]+", "(", "\\", "*", "?", "${username}",
  "__proto__", "constructor", "toString", "hasOwnProperty", "prototype", "valueOf",
  "Alice", "ALICE", "alice ", " alice", "\talice", "alice\u0000", "\u0430lice", "\uff41lice", "alic\u00e9", "alice\u0301", "alice\u200b", "\u202ealice",
  "alice:", "alice:$7$1$", "#alice", "alice\n", "alice\r\nbob", "",
];
