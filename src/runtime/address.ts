import type { ListenOptions } from "./types.ts";

const MAPPED = "::ffff:";

/** An IPv4 peer of a dual-stack listener arrives as `::ffff:192.0.2.1`; people know it as `192.0.2.1`. */
export function plainAddress(address: string): string {
  return address.startsWith(MAPPED) && address.includes(".") ? address.slice(MAPPED.length) : address;
}

/** `host:port` as in a URL, IPv6 in brackets, every address without a host. */
export function hostAndPort(host: string | undefined, port: number): string {
  if (host === undefined) return `:${port}`;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether it is an address and not a name; `node:net` could tell, but costs 2.5 MB on Bun. */
export function isAddress(host: string): boolean {
  return host.includes(":") || /^\d+(\.\d+){3}$/.test(host);
}

/** The far end of a connection. */
export interface Peer {
  readonly remoteAddress: string;
  readonly remotePort: number;
}

/** That of a unix socket, which has no address of its own. */
export const UNIX_PEER: Peer = { remoteAddress: "unix", remotePort: 0 };

/** Nobody asked before the connection was closed. */
export const UNKNOWN_PEER: Peer = { remoteAddress: "", remotePort: 0 };

/** A place to listen on or to dial, as people write it. */
export function placeOf({ path, host, port, descriptor }: Partial<Pick<ListenOptions, "path" | "host" | "port" | "descriptor">>): string {
  if (path !== undefined) return `unix:${path}`;
  return descriptor === undefined ? hostAndPort(host, port ?? 0) : `descriptor ${descriptor}`;
}

/** Who is at the other end, for messages. */
export function peerOf({ remoteAddress, remotePort }: Peer): string {
  return remoteAddress === UNIX_PEER.remoteAddress ? "a unix socket" : hostAndPort(remoteAddress, remotePort);
}
