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

export function resolveRoute(entry: ParsedInput["routes"][number], path: KeyPath, { poolNames, listeners }: Known, refuse: Refuse): RouteConfig {
  const pool = resolvePoolName(entry.pool, [...path, "pool"], poolNames, refuse);
  const names = listeners.map(({ name }) => name);
  for (const name of entry.listener ?? []) {
    if (names.includes(name)) continue;
    const near = suggest(name, names);
    refuse([...path, "listener"], `cannot use ${JSON.stringify(name)} as ${pathText([...path, "listener"])}: expected the name of a listener (${names.join(", ")})`, near && `did you mean ${JSON.stringify(near)}?`);
  }
  for (const name of entry.sni ?? []) refuseServerName(name, [...path, "sni"], refuse);
  const isForTls = listeners.some(({ name, tls }) => tls !== undefined && (entry.listener?.includes(name) ?? true));
  if ((entry.sni ?? entry.alpn) && !isForTls) {
    refuse(path, `${pathText(path)} never fits: sni and alpn are known of listeners with tls only`);
  }
  return { listeners: entry.listener, serverNames: entry.sni?.map((name) => name.toLowerCase()), alpn: entry.alpn, pool };
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
