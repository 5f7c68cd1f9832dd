import { parseNetwork } from "../lib/network.ts";
import { refuseUnknownListeners, type Refuse } from "./meaning_route.ts";
import { pathText, type KeyPath } from "./problem.ts";
import type { ParsedInput } from "./schema.ts";
import type { AuthenticationConfig, BansConfig, CertificateCheck, CheckConfig, HttpCheck, JwtCheck, ListenerConfig, PasswordFileCheck } from "./types.ts";

type Parsed = NonNullable<ParsedInput["authentication"]>;
type ParsedCheck = Parsed["checks"][number];

const PATH: KeyPath = ["authentication"];
const DAY_MS = 86_400_000;
const CACHE_MS = 300_000;
const TIMEOUT_MS = 3_000;

/** The keys that a check may have besides its type, and those that it must have. */
const KEYS: Readonly<Record<ParsedCheck["type"], { readonly must: readonly (keyof ParsedCheck)[]; readonly may: readonly (keyof ParsedCheck)[] }>> = {
  password_file: { must: ["file"], may: ["cache"] },
  certificate: { must: [], may: ["field"] },
  jwt: { must: [], may: ["keys_file", "keys_url", "algorithms", "issuer", "audience", "leeway", "token_in", "username_claim", "timeout", "cache", "stale"] },
  http: { must: ["url"], may: ["headers", "timeout", "cache", "stale"] },
};

export function resolveAuthentication(input: Parsed, listeners: readonly ListenerConfig[], refuse: Refuse): AuthenticationConfig {
  refuseUnknownListeners(input.listeners, [...PATH, "listeners"], listeners, refuse);
  const covered = listeners.filter(({ name }) => input.listeners?.includes(name) ?? true);
  for (const { name } of covered.filter(({ tls }) => tls === "passthrough")) {
    // What nobody reads nobody checks: a door that only looks shut.
    refuse(PATH, `listener "${name}" passes TLS through, so that its clients cannot be checked`, "name the other listeners in authentication.listeners");
  }
  if (input.checks.length === 0 && input.bans === undefined) refuse(PATH, "authentication has neither checks nor bans: it would let everybody in", "add [[authentication.checks]]");
  if (input.checks.length === 0 && input.anonymous) refuse([...PATH, "anonymous"], "authentication.anonymous does nothing without checks");
  const checks = input.checks.map((entry, index) => {
    const path = [...PATH, "checks", index];
    if (entry.type === "certificate") refuseWithoutCertificates(path, covered, refuse);
    return resolveCheck(entry, path, refuse);
  });
  return { anonymous: input.anonymous, listeners: covered.map(({ name }) => name), checks, bans: input.bans && resolveBans(input.bans, refuse) };
}

/** A PROXY header can tell of certificates as well. */
function refuseWithoutCertificates(path: KeyPath, covered: readonly ListenerConfig[], refuse: Refuse): void {
  const asks = covered.some(({ tls, proxyProtocol }) => proxyProtocol !== undefined || (typeof tls === "object" && [...tls.certificates, tls.auto].some((each) => each !== undefined && each.clientCertificates !== "none")));
  if (!asks) refuse(path, `${pathText(path)} never fits: no listener asks its clients for certificates`, 'add ca = "devices-ca.pem" to the tls of a listener');
}

function resolveCheck(entry: ParsedCheck, path: KeyPath, refuse: Refuse): CheckConfig {
  const { must, may } = KEYS[entry.type];
  for (const key of Object.keys(entry) as (keyof ParsedCheck)[]) {
    if (key === "type" || must.includes(key) || may.includes(key)) continue;
    refuse([...path, key], `${pathText([...path, key])} is no key of the type "${entry.type}": expected ${[...must, ...may].join(", ")}`);
  }
  for (const key of must) if (entry[key] === undefined) refuse([...path, key], `${pathText([...path, key])} is missing: the type "${entry.type}" needs it`);
  if (entry.stale !== undefined && entry.stale < (entry.cache ?? 0)) refuse([...path, "stale"], `${pathText([...path, "stale"])} is shorter than cache: expected at least as long`);
  switch (entry.type) {
    case "password_file": return { type: "password_file", file: entry.file ?? "", cacheMs: entry.cache ?? CACHE_MS } satisfies PasswordFileCheck;
    case "certificate": return { type: "certificate", field: entry.field ?? "common_name" } satisfies CertificateCheck;
    case "jwt": return resolveJwt(entry, path, refuse);
    case "http": return resolveHttp(entry);
  }
}

function resolveJwt(entry: ParsedCheck, path: KeyPath, refuse: Refuse): JwtCheck {
  const { keys_file: file, keys_url: url } = entry;
  if ((file === undefined) === (url === undefined)) refuse(path, `${pathText(path)} has ${file === undefined ? "neither keys_file nor keys_url" : "both keys_file and keys_url"}: expected one of them`);
  for (const key of ["timeout", "cache", "stale"] as const) {
    if (file !== undefined && entry[key] !== undefined) refuse([...path, key], `${pathText([...path, key])} is for keys_url: a file is read again when it changes`);
  }
  const refreshMs = entry.cache ?? CACHE_MS;
  return {
    type: "jwt",
    keys: file === undefined ? { url: url ?? "", timeoutMs: entry.timeout ?? TIMEOUT_MS, refreshMs, staleMs: entry.stale ?? DAY_MS } : { file },
    algorithms: entry.algorithms,
    issuers: entry.issuer ?? [],
    audiences: entry.audience ?? [],
    leewayMs: entry.leeway ?? 30_000,
    tokenIn: entry.token_in ?? "password",
    usernameClaim: entry.username_claim ?? "sub",
  };
}

function resolveHttp(entry: ParsedCheck): HttpCheck {
  const cacheMs = entry.cache ?? 0;
  return { type: "http", url: entry.url ?? "", headers: entry.headers ?? {}, timeoutMs: entry.timeout ?? TIMEOUT_MS, cacheMs, staleMs: entry.stale ?? cacheMs };
}

function resolveBans(input: NonNullable<Parsed["bans"]>, refuse: Refuse): BansConfig {
  const path = [...PATH, "bans"];
  for (const network of input.addresses ?? []) {
    const parsed = parseNetwork(network);
    if (typeof parsed === "object" && "expected" in parsed) refuse([...path, "addresses"], `cannot use ${JSON.stringify(network)} as ${pathText([...path, "addresses"])}: expected ${parsed.expected}`);
  }
  const { failures_max: failuresMax } = input;
  if ((input.addresses ?? input.usernames ?? input.client_ids ?? failuresMax) === undefined) refuse(path, "authentication.bans bans nobody: expected addresses, usernames, client_ids or failures_max");
  for (const key of ["window", "duration"] as const) {
    if (failuresMax === undefined && input[key] !== undefined) refuse([...path, key], `${pathText([...path, key])} does nothing without failures_max`);
  }
  return {
    addresses: input.addresses ?? [],
    usernames: input.usernames ?? [],
    clientIds: input.client_ids ?? [],
    automatic: failuresMax === undefined ? undefined : { failuresMax, windowMs: input.window ?? 60_000, banMs: input.duration ?? 600_000 },
  };
}
