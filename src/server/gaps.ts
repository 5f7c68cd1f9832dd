import type { Configuration, Scheme } from "../config/types.ts";
import type { Runtime } from "../runtime/types.ts";

export const TLS_WITHOUT_BACK_PRESSURE =
  "on this runtime TLS has no back-pressure: a peer that reads slowly lets memory grow, and a close can be missed until keep-alive ends the session; "
  + "use the executable or Node for mqtts://";

/** Whether TLS is asked of a runtime that cannot stop reading it. */
export function lacksTlsBackPressure({ capabilities }: Runtime, { listeners, pools }: Configuration): boolean {
  const isSecure = ({ scheme }: { readonly scheme: Scheme }) => scheme === "mqtts" || scheme === "wss";
  return !capabilities.tlsBackPressure && (listeners.some(({ tls }) => typeof tls === "object") || pools.some(({ brokers }) => brokers.some(isSecure)));
}
