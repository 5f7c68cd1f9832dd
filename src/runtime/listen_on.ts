import { placeOf } from "./address.ts";
import { networkError } from "./network_error.ts";
import type { ListenOptions } from "./types.ts";
import { claimPath, type SocketFiles, withMode } from "./unix_path.ts";

/** Exactly one of the three. */
export type Place =
  | { readonly hostname: string; readonly port: number }
  | { readonly path: string }
  | { readonly fd: number };

/**
 * Listens where the options say: on a descriptor, at a path, or on the host, or on every address (`::` takes IPv4 as well, and a machine
 * without IPv6 has `0.0.0.0`). At a path `listen` has to bind before it returns. Rejects with a NetworkError value.
 */
export async function listenOn<T>(options: ListenOptions, files: SocketFiles, listen: (place: Place) => T | Promise<T>): Promise<T> {
  const { host, port, path, mode, descriptor } = options;
  try {
    if (descriptor !== undefined) return await onDescriptor(descriptor, listen);
    if (path !== undefined) {
      await claimPath(path, files);
      return await withMode(mode, () => listen({ path }));
    }
    return await (host === undefined ? onEveryAddress(port, listen) : onHost(host, port, listen));
  } catch (thrown) {
    throw networkError(`listen on ${placeOf(options)}`, thrown);
  }
}

async function onDescriptor<T>(fd: number, listen: (place: Place) => T | Promise<T>): Promise<T> {
  try {
    return await listen({ fd });
  } catch (thrown) {
    const { code } = thrown as { code?: string };
    throw code === "EINVAL" || code === "EBADF" || code === "ENOTSOCK" ? { message: "it is not a listening socket" } : thrown;
  }
}

async function onHost<T>(hostname: string, port: number, listen: (place: Place) => T | Promise<T>): Promise<T> {
  try {
    return await listen({ hostname, port });
  } catch (thrown) {
    // Deno's word for an address of another machine.
    throw (thrown as { code?: string }).code === "EINVAL" ? { code: "EADDRNOTAVAIL" } : thrown;
  }
}

async function onEveryAddress<T>(port: number, listen: (place: Place) => T | Promise<T>): Promise<T> {
  try {
    return await listen({ hostname: "::", port });
  } catch (thrown) {
    const { code, name } = thrown as { code?: string; name?: string };
    if (code === "EADDRINUSE" || name === "AddrInUse") throw thrown;
    return listen({ hostname: "0.0.0.0", port });
  }
}
