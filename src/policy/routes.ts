import type { RouteConfig } from "../config/types.ts";
import { matchesServerName } from "../transport/tls_hello/server_name.ts";

/** What routes go by. */
export interface RouteKey {
  readonly listener: string;
  /** In lower case; undefined: no TLS, or the client named none. */
  readonly serverName: string | undefined;
  /** The protocol that was agreed on; where TLS is passed through, all that the client offers. */
  readonly alpn: readonly string[];
}

/** The pool of the first route that fits; undefined: none does, and the listener's own pool it is. */
export function routedPool(routes: readonly RouteConfig[], key: RouteKey): string | undefined {
  return routes.find((route) => fits(route, key))?.pool;
}

function fits({ listeners, serverNames, alpn }: RouteConfig, key: RouteKey): boolean {
  if (listeners !== undefined && !listeners.includes(key.listener)) return false;
  if (alpn !== undefined && !alpn.some((protocol) => key.alpn.includes(protocol))) return false;
  const { serverName } = key;
  return serverNames === undefined || (serverName !== undefined && serverNames.some((pattern) => matchesServerName(pattern, serverName)));
}
