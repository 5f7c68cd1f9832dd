const MAPPED_PREFIX = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);
const DECIMAL = /^(?:0|[1-9]\d{0,2})$/; // no leading zeros: some programs read them as octal
const GROUP = /^[0-9a-f]{1,4}$/i;
const DOTTED_TAIL = /:([0-9.]+)$/;
/** "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255" */
const TEXT_LENGTH_MAX = 45;

/** A block of IP addresses, or "unix": everybody who comes through a unix socket. */
export type Network = "unix" | AddressBlock;

export interface AddressBlock {
  /** 4 or 16; everything behind the prefix is zero. */
  readonly bytes: Uint8Array;
  readonly prefixBits: number;
}

/** What would have been right, in words that follow "expected". */
export interface NetworkFault {
  readonly expected: string;
}

/** Reads "10.0.0.0/8", "2001:db8::/32", an address alone, or "unix". An IPv4-mapped block is the IPv4 block. */
export function parseNetwork(text: string): Network | NetworkFault {
  if (text === "unix") return "unix";
  const slash = text.indexOf("/");
  const addressPart = slash < 0 ? text : text.slice(0, slash);
  const bytes = addressBytes(addressPart);
  if (bytes === undefined) return { expected: 'an IP address, a network such as 10.0.0.0/8 or 2001:db8::/32, or "unix"' };
  const bitsMax = addressPart.includes(":") ? 128 : 32;
  const bits = slash < 0 ? String(bitsMax) : text.slice(slash + 1);
  if (!DECIMAL.test(bits) || Number(bits) > bitsMax) return { expected: `a prefix of 0 to ${bitsMax} bits behind the slash` };
  const prefixBits = Number(bits) - (bitsMax - 8 * bytes.length);
  if (prefixBits < 0) return { expected: "a prefix of 96 to 128 bits behind an IPv4-mapped address" };
  const block = { bytes: bytes.map((byte, at) => byte & maskByte(prefixBits, at)), prefixBits };
  if (block.bytes.some((byte, at) => byte !== bytes[at])) {
    return { expected: `only zeros behind the prefix, such as ${addressText(block.bytes)}/${prefixBits}, or an address alone` };
  }
  return block;
}

/**
 * Whether one of the networks holds the address, which is a text as `Connection.remoteAddress` has it, or "unix". A zone
 * ("fe80::1%eth0") is looked past; IPv4 in an IPv6 coat is IPv4, so that ::/0 holds no IPv4 address. What is no address is in no network.
 */
export function includesAddress(networks: readonly Network[], address: string): boolean {
  if (address === "unix") return networks.includes("unix");
  const bytes = addressBytes(withoutZone(address));
  return bytes !== undefined && networks.some((network) => network !== "unix" && holds(network, bytes));
}

function holds({ bytes, prefixBits }: AddressBlock, address: Uint8Array): boolean {
  if (bytes.length !== address.length) return false;
  for (let at = 0; at < bytes.length; at++) if (bytes[at] !== ((address[at] as number) & maskByte(prefixBits, at))) return false;
  return true;
}

function maskByte(prefixBits: number, at: number): number {
  const bits = Math.min(8, Math.max(0, prefixBits - 8 * at));
  return (0xff00 >> bits) & 0xff;
}

/** "fe80::1" of "fe80::1%eth0": the zone means something on one machine only. */
export function withoutZone(address: string): string {
  const percent = address.indexOf("%");
  return percent < 0 ? address : address.slice(0, percent);
}

/**
 * The 4 or 16 bytes of an address (RFC 4291 section 2.2), in network order; undefined when the text is none. IPv4-mapped IPv6 gives the
 * 4 bytes of the IPv4 address. Strict: four decimal numbers without leading zeros, or IPv6 without brackets and zone.
 */
export function addressBytes(text: string): Uint8Array | undefined {
  if (text.length > TEXT_LENGTH_MAX) return undefined;
  if (!text.includes(":")) return ipv4Bytes(text);
  const bytes = ipv6Bytes(text);
  return bytes !== undefined && isMapped(bytes) ? bytes.subarray(MAPPED_PREFIX.length) : bytes;
}

function ipv4Bytes(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(4);
  let count = 0;
  for (let at = 0; at <= text.length; at++) {
    const from = at;
    let value = 0;
    for (let digit = digitAt(text, at); digit >= 0; digit = digitAt(text, ++at)) value = value * 10 + digit;
    const length = at - from;
    if (length < 1 || length > 3 || value > 255 || (length > 1 && text[from] === "0") || count === 4) return undefined;
    bytes[count++] = value;
    if (at < text.length && text[at] !== ".") return undefined;
  }
  return count === 4 ? bytes : undefined;
}

/** Its value; outside of 0 to 9, or behind the end: negative. */
function digitAt(text: string, at: number): number {
  const digit = text.charCodeAt(at) - 48;
  return digit <= 9 ? digit : -1;
}

function ipv6Bytes(text: string): Uint8Array | undefined {
  const dotted = DOTTED_TAIL.exec(text)?.[1];
  if (dotted?.includes(".")) {
    const tail = ipv4Bytes(dotted);
    if (tail === undefined) return undefined;
    const [a, b, c, d] = Array.from(tail, (byte) => byte.toString(16).padStart(2, "0"));
    return ipv6Bytes(`${text.slice(0, -dotted.length)}${a}${b}:${c}${d}`);
  }
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail] = [groupBytes(halves[0] ?? ""), groupBytes(halves[1] ?? "")];
  if (head === undefined || tail === undefined) return undefined;
  const given = head.length + tail.length;
  if (halves.length === 1 ? given !== 16 : given > 14) return undefined; // :: stands for one group at least
  const bytes = new Uint8Array(16);
  bytes.set(head);
  bytes.set(tail, 16 - tail.length);
  return bytes;
}

function groupBytes(text: string): number[] | undefined {
  if (text === "") return [];
  const groups = text.split(":");
  if (!groups.every((group) => GROUP.test(group))) return undefined;
  return groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]);
}

function isMapped(bytes: Uint8Array): boolean {
  return MAPPED_PREFIX.every((byte, at) => byte === bytes[at]);
}

/** The text of 4 or 16 bytes: IPv6 in RFC 5952's form, IPv4-mapped as IPv4. */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  if (isMapped(bytes)) return bytes.subarray(MAPPED_PREFIX.length).join(".");
  const groups = Array.from({ length: 8 }, (_, at) => (((bytes[2 * at] as number) << 8) | (bytes[2 * at + 1] as number)).toString(16));
  const zeros = longestZeros(groups);
  if (zeros.length < 2) return groups.join(":"); // RFC 5952 section 4.2.2: :: is not for a single group
  return `${groups.slice(0, zeros.start).join(":")}::${groups.slice(zeros.start + zeros.length).join(":")}`;
}

/** The first of the longest runs: RFC 5952 section 4.2.3. */
function longestZeros(groups: readonly string[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (const [at, group] of groups.entries()) {
    if (group !== "0") start = at + 1;
    else if (at + 1 - start > best.length) best = { start, length: at + 1 - start };
  }
  return best;
}
