import { addressBytes } from "../../lib/network.ts";

/** RFC 6066 section 3 allows more; no host name of DNS is longer, and OpenSSL takes none. */
const BYTES_MAX = 255;
/** Underscores are no part of a host name (RFC 952), but of many a name in a container's network. */
const HOST_NAME = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;

/** The host name that a client asked for, or why it cannot be one, in words that follow its name. */
export type ServerName = { readonly name: string | undefined } | { readonly refused: string };

/**
 * Reads a host name from untrusted bytes (SNI, PROXY protocol's authority): lower case, without the dot at its end. An IP address is no
 * host name (RFC 6066 section 3), but clients in the field send one, so it counts as no name. Everything that could mean
 * something in a log line, a header or a pattern is refused.
 */
export function readServerName(bytes: Uint8Array): ServerName {
  if (bytes.length > BYTES_MAX) return { refused: `is longer than ${BYTES_MAX} bytes` };
  const text = String.fromCharCode(...bytes).toLowerCase().replace(/\.$/, "");
  if (addressBytes(text) !== undefined) return { name: undefined };
  return HOST_NAME.test(text) ? { name: text } : { refused: "is no host name" };
}

/**
 * A name as a certificate or the configuration has it ("Broker.Example.", "*.example.com") in the form in which names are compared;
 * undefined when it is none. A wildcard is the whole first label (RFC 9525 section 6.3).
 */
export function serverNamePattern(text: string): string | undefined {
  const lower = text.toLowerCase().replace(/\.$/, "");
  const host = lower.startsWith("*.") ? lower.slice(2) : lower;
  return lower.length <= BYTES_MAX && HOST_NAME.test(host) && addressBytes(host) === undefined ? lower : undefined;
}

/** Whether a pattern is for the name: it is the name, or has a wildcard for exactly one label of it. */
export function matchesServerName(pattern: string, serverName: string): boolean {
  return pattern === serverName || pattern === wildcardFor(serverName);
}

/** What stands under the name itself, otherwise under the wildcard for its first label. The keys are patterns. */
export function findByServerName<T>(byPattern: ReadonlyMap<string, T>, serverName: string): T | undefined {
  return byPattern.get(serverName) ?? byPattern.get(wildcardFor(serverName));
}

/** "*.example.com" for "broker.example.com"; a name of one label has none, and "*" is no pattern. */
function wildcardFor(serverName: string): string {
  const dot = serverName.indexOf(".");
  return dot < 0 ? "*" : `*${serverName.slice(dot)}`;
}
