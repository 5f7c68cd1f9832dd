import { addressBytes, addressText, withoutZone } from "../../lib/network.ts";

/** What one customer of a network operator gets at least (RFC 6177), and can change addresses within at will. */
const IPV6_PREFIX_BYTES = 8;

/**
 * What failures of an address are counted for: an IPv4 address alone, an IPv6 address's "2001:db8:0:1::/64". undefined: those who come
 * through a unix socket are many behind one name, and none of them may lock out the others.
 */
export function sourceNetwork(address: string): string | undefined {
  const bytes = addressBytes(withoutZone(address));
  if (bytes === undefined) return undefined;
  if (bytes.length === 4) return addressText(bytes);
  return `${addressText(bytes.map((byte, at) => (at < IPV6_PREFIX_BYTES ? byte : 0)))}/${8 * IPV6_PREFIX_BYTES}`;
}
