import { addressBytes, addressText } from "../../lib/network.ts";
import type { Machine } from "../../runtime/types.ts";
import { serverNamePattern } from "../tls_hello/server_name.ts";

/** The names and addresses under which clients may look for this host: its own, those for mDNS, and loopback. */
export function hostNames(machine: Machine): string[] {
  const own = serverNamePattern(machine.hostName());
  const names = own === undefined ? [] : own.includes(".") ? [own] : [own, `${own}.local`];
  const addresses = machine.addresses().flatMap((text) => readAddress(text) ?? []);
  return [...new Set([...names, "localhost", "127.0.0.1", "::1", ...addresses])];
}

/** Link-local ones are left out: they come and go, and nobody can use one without naming an interface (RFC 4007 section 11). */
function readAddress(text: string): string | undefined {
  const bytes = addressBytes(text);
  if (bytes === undefined) return undefined;
  const [first, second] = bytes as unknown as [number, number];
  const isLinkLocal = bytes.length === 4 ? first === 169 && second === 254 : first === 0xfe && (second & 0xc0) === 0x80;
  return isLinkLocal ? undefined : addressText(bytes);
}
