import { HttpConnect } from "./http_connect.ts";
import { Socks5 } from "./socks5.ts";
import type { Egress, Target, Via } from "./types.ts";

export type { Egress } from "./types.ts";

/** Host names and addresses: nothing that could end a line or a field. */
const HOST = /^[\w.:%-]+$/;

/** Begins to ask the forward proxy for a connection to the target. */
export function egressThrough(via: Via, target: Target): Egress {
  if (!HOST.test(target.host)) throw new RangeError(`ask a forward proxy for ${JSON.stringify(target.host)}, expected a host name or an IP address`);
  return via.scheme === "http" ? new HttpConnect(via, target) : new Socks5(via, target);
}
