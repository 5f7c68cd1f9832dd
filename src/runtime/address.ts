import { networkError } from "./network_error.ts";
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

/** Listens on the host, or on every address: `::` takes IPv4 as well, and a machine without IPv6 has `0.0.0.0`. */
export async function listenOn<T>(options: ListenOptions, listen: (host: string) => T | Promise<T>): Promise<T> {
  try {
    if (options.host !== undefined) return await listen(options.host);
    return await onEveryAddress(listen);
  } catch (thrown) {
    // Deno's word for an address of another machine.
    if ((thrown as { code?: string }).code === "EINVAL") (thrown as { code: string }).code = "EADDRNOTAVAIL";
    throw networkError(`listen on ${hostAndPort(options.host, options.port)}`, thrown);
  }
}

async function onEveryAddress<T>(listen: (host: string) => T | Promise<T>): Promise<T> {
  try {
    return await listen("::");
  } catch (thrown) {
    const { code, name } = thrown as { code?: string; name?: string };
    if (code === "EADDRINUSE" || name === "AddrInUse") throw thrown;
    return listen("0.0.0.0");
  }
}
