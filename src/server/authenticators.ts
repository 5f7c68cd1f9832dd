import type { CheckConfig, HttpCheck, JwtCheck, PasswordFileCheck } from "../config/types.ts";
import type { JwtOptions } from "../policy/authentication/jwt.ts";
import type { JwtKeys, JwtKeysFault, SecretAlgorithm } from "../policy/authentication/jwt_keys.ts";
import type { Authenticator, Verdict } from "../policy/authentication/types.ts";
import type { System } from "../runtime/types.ts";

/** How many credentials are remembered by a check, 200 bytes each. */
const CACHE_ENTRIES_MAX = 10_000;
/** Between two requests for a key set, however many tokens name keys that nobody knows. */
const KEYS_PAUSE_MS = 10_000;
const REQUESTS_MAX = 32;
/** More would wait longer than a client does. */
const REQUESTS_WAITING_MAX = 1_000;

export type Clock = Pick<System, "now" | "wallClock">;

/** Why a check cannot be used. The reason names what was expected, and never repeats a secret. */
export interface CheckFault {
  /** Of the key that is to blame, below the check. */
  readonly key: "file" | "keys_file" | "keys_url" | "algorithms" | "url" | "headers";
  readonly reason: string;
}

/** What a configured check does with clients. `contents`: of the file that it names. Each kind is loaded only where it is asked for. */
export async function createAuthenticator(check: CheckConfig, contents: Uint8Array | undefined, clock: Clock): Promise<Authenticator | CheckFault> {
  switch (check.type) {
    case "password_file": return readPasswords(check, contents, clock);
    case "certificate": return (await import("../policy/authentication/certificate.ts")).createCertificateAuthenticator(check.field);
    case "jwt": return readTokenRules(check, contents, clock);
    case "http": return askService(check, clock);
  }
}

async function readPasswords({ file, cacheMs }: PasswordFileCheck, contents: Uint8Array | undefined, clock: Clock): Promise<Authenticator | CheckFault> {
  const { parsePasswordFile } = await import("../policy/authentication/password_file.ts");
  const text = textOf(contents);
  if (text === undefined) return { key: "file", reason: `cannot use "${file}" as a password file: expected text` };
  const users = parsePasswordFile(text);
  if ("reason" in users) return { key: "file", reason: `cannot use "${file}" as a password file: ${users.reason}` };
  const { createPasswordAuthenticator } = await import("../policy/authentication/password_authenticator.ts");
  return createPasswordAuthenticator({ users, cacheMs, cacheEntriesMax: CACHE_ENTRIES_MAX, now: () => clock.now() });
}

function textOf(contents: Uint8Array | undefined): string | undefined {
  try {
    return contents && new TextDecoder("utf-8", { fatal: true }).decode(contents);
  } catch {
    return undefined;
  }
}

async function readTokenRules(check: JwtCheck, contents: Uint8Array | undefined, clock: Clock): Promise<Authenticator | CheckFault> {
  const { ALGORITHMS } = await import("../policy/authentication/jwt_keys.ts");
  const known: readonly string[] = [...ALGORITHMS.public, ...ALGORITHMS.secret];
  const algorithms = check.algorithms ?? ALGORITHMS.public;
  const strange = algorithms.find((algorithm) => !known.includes(algorithm));
  if (strange !== undefined) return { key: "algorithms", reason: `cannot use ${JSON.stringify(strange)} as an algorithm: expected ${known.join(", ")}` };
  const isSecret = (algorithm: string): algorithm is SecretAlgorithm => ALGORITHMS.secret.includes(algorithm as SecretAlgorithm);
  const [secret] = algorithms.filter(isSecret);
  if (secret !== undefined && (algorithms.length > 1 || !("file" in check.keys))) {
    return { key: "algorithms", reason: `cannot use ${secret} ${"file" in check.keys ? "beside other algorithms: a secret is for one of them" : "with keys_url: a secret is no public key"}` };
  }
  const keys = "file" in check.keys ? await readKeys(check.keys.file, contents, secret) : await fetchKeys(check.keys, clock);
  if ("reason" in keys) return keys;
  const { createJwtAuthenticator } = await import("../policy/authentication/jwt.ts");
  return withLeeway(createJwtAuthenticator({ ...rulesOf(check), keys, algorithms, wallClock: () => clock.wallClock() }), check.leewayMs);
}

/** A session lasts as long as its token would still let a client in: who comes within the leeway is not thrown out at once. */
function withLeeway({ name, check }: Authenticator, leewayMs: number): Authenticator {
  const later = (verdict: Verdict): Verdict =>
    verdict.kind === "allowed" && verdict.expiresAt !== undefined ? { ...verdict, expiresAt: verdict.expiresAt + leewayMs } : verdict;
  return {
    name,
    check: (identity) => {
      const verdict = check(identity);
      return verdict instanceof Promise ? verdict.then(later) : later(verdict);
    },
  };
}

function rulesOf({ issuers, audiences, leewayMs, tokenIn, usernameClaim }: JwtCheck): Omit<JwtOptions, "keys" | "algorithms" | "wallClock"> {
  return { issuers, audiences, leewayMs, requiresExpiry: true, field: tokenIn, usernameClaim };
}

async function readKeys(file: string, contents: Uint8Array | undefined, secret: SecretAlgorithm | undefined): Promise<JwtKeys | CheckFault> {
  const keys = await keysIn(contents ?? new Uint8Array(0), secret);
  return "expected" in keys ? { key: "keys_file", reason: `cannot use "${file}" as keys: expected ${keys.expected}` } : keys;
}

async function keysIn(contents: Uint8Array, secret: SecretAlgorithm | undefined): Promise<JwtKeys | JwtKeysFault> {
  const { readKeySet, readPemKey, readSecret } = await import("../policy/authentication/jwt_keys.ts");
  if (secret !== undefined) return readSecret(contents, secret);
  const text = textOf(contents);
  if (text === undefined) return { expected: "a public key as PEM text, or a key set as JSON" };
  return text.trimStart().startsWith("{") ? readKeySet(text) : readPemKey(text);
}

async function fetchKeys({ url: text, timeoutMs, refreshMs, staleMs }: Extract<JwtCheck["keys"], { url: string }>, clock: Clock): Promise<JwtKeys | CheckFault> {
  const url = await readUrl("keys_url", text);
  if ("reason" in url) return url;
  const { createRemoteJwtKeys } = await import("../policy/authentication/remote_jwt_keys.ts");
  return createRemoteJwtKeys({ url, timeoutMs, refreshMs, staleMs, pauseMs: KEYS_PAUSE_MS, now: () => clock.now() });
}

async function askService({ url: text, headers, timeoutMs, cacheMs, staleMs }: HttpCheck, clock: Clock): Promise<Authenticator | CheckFault> {
  const url = await readUrl("url", text);
  if ("reason" in url) return url;
  const { createWebhookAuthenticator, headersProblem } = await import("../policy/authentication/webhook.ts");
  const problem = headersProblem(headers);
  if (problem !== undefined) return { key: "headers", reason: `cannot use the headers of the service: ${problem}` };
  const bounds = { requestsMax: REQUESTS_MAX, waitingMax: REQUESTS_WAITING_MAX, cacheEntriesMax: CACHE_ENTRIES_MAX };
  return createWebhookAuthenticator({ url, headers, timeoutMs, cacheMs, staleMs, ...bounds, now: () => clock.now() });
}

/** The text is not repeated: some put credentials in it. */
async function readUrl(key: "url" | "keys_url", text: string): Promise<URL | CheckFault> {
  const { parseServiceUrl } = await import("../policy/authentication/service_url.ts");
  const url = parseServiceUrl(text, { plainHttp: false });
  return "expected" in url ? { key, reason: `cannot use the URL of the service: expected ${url.expected}` } : url;
}
