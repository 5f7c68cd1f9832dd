import { parseNetwork } from "../lib/network.ts";
import { suggest } from "../lib/suggest.ts";
import { pathText, type KeyPath } from "./problem.ts";
import type { ParsedInput } from "./schema.ts";
import type { ListenerConfig, RouteConfig } from "./types.ts";

export type Refuse = (path: KeyPath, reason: string, suggestion?: string) => void;

/** What a route may name. */
interface Known {
  readonly poolNames: readonly string[];
  readonly listeners: readonly ListenerConfig[];
}

const VERSIONS = { "3.1": 3, "3.1.1": 4, "5": 5 } as const;
type ParsedRoute = ParsedInput["routes"][number];

export function resolveRoute(entry: ParsedRoute, path: KeyPath, { poolNames, listeners }: Known, refuse: Refuse): RouteConfig {
  if ((entry.pool === undefined) === (entry.refuse === undefined)) {
    refuse(path, `${pathText(path)} has ${entry.pool === undefined ? "neither pool nor refuse" : "both pool and refuse"}: expected one of them`);
  }
  const pool = entry.pool === undefined ? undefined : resolvePoolName(entry.pool, [...path, "pool"], poolNames, refuse);
  checkListeners(entry, path, listeners, refuse);
  for (const name of entry.sni ?? []) refuseServerName(name, [...path, "sni"], refuse);
  for (const network of entry.address ?? []) {
    const parsed = parseNetwork(network);
    if (typeof parsed === "object" && "expected" in parsed) refuse([...path, "address"], `cannot use ${JSON.stringify(network)} as ${pathText([...path, "address"])}: expected ${parsed.expected}`);
  }
  return {
    name: entry.name ?? pathText(path),
    listeners: entry.listener,
    serverNames: entry.sni?.map((name) => name.toLowerCase()),
    alpn: entry.alpn,
    clientIds: entry.client_id,
    usernames: entry.username,
    addresses: entry.address,
    versions: entry.version?.map((version) => VERSIONS[version]),
    commonNames: entry.common_name,
    alternativeNames: entry.alternative_name,
    userProperties: entry.user_property && Object.entries(entry.user_property),
    pool,
    refuse: entry.refuse,
  };
}

/** `path`: where the names stand. */
export function refuseUnknownListeners(named: readonly string[] | undefined, path: KeyPath, listeners: readonly ListenerConfig[], refuse: Refuse): void {
  const names = listeners.map(({ name }) => name);
  for (const name of named ?? []) {
    if (names.includes(name)) continue;
    const near = suggest(name, names);
    refuse(path, `cannot use ${JSON.stringify(name)} as ${pathText(path)}: expected the name of a listener (${names.join(", ")})`, near && `did you mean ${JSON.stringify(near)}?`);
  }
}

function checkListeners(entry: ParsedRoute, path: KeyPath, listeners: readonly ListenerConfig[], refuse: Refuse): void {
  refuseUnknownListeners(entry.listener, [...path, "listener"], listeners, refuse);
  const own = listeners.filter(({ name }) => entry.listener?.includes(name) ?? true);
  // A PROXY header can tell of TLS as well.
  const isForTls = own.some(({ tls, proxyProtocol }) => tls !== undefined || proxyProtocol !== undefined);
  if ((entry.sni ?? entry.alpn ?? entry.common_name ?? entry.alternative_name) && !isForTls) {
    refuse(path, `${pathText(path)} never fits: sni, alpn and names of certificates are known of listeners with tls only`);
  }
}

/** A host name, or `*.` and the rest of one: a star stands for one label (RFC 6125 section 6.4.3). */
export function refuseServerName(name: string, path: KeyPath, refuse: Refuse): void {
  if (/^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(name)) return;
  refuse(path, `cannot use ${JSON.stringify(name)} as ${pathText(path)}: expected a host name, such as mqtt.example.com or *.example.com`);
}

export function resolvePoolName(name: string | undefined, path: KeyPath, poolNames: readonly string[], refuse: Refuse): string {
  const chosen = name ?? (poolNames.length === 1 ? poolNames[0]! : "default");
  if (poolNames.length === 0 || poolNames.includes(chosen)) return chosen;
  if (name === undefined) {
    const reason = `${pathText(path)} is missing: there are several pools, and none is called "default"`;
    refuse(path.slice(0, -1), reason, `add pool = ${JSON.stringify(poolNames[0])}`);
  } else {
    const near = suggest(name, poolNames);
    const reason = `cannot use ${JSON.stringify(name)} as ${pathText(path)}: expected a pool that exists (${poolNames.join(", ")})`;
    refuse(path, reason, near && `did you mean ${JSON.stringify(near)}?`);
  }
  return chosen;
}
