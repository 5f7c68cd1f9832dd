import { addressBytes, addressText, withoutZone } from "../../lib/network.ts";
import { readServerName } from "../tls_hello/server_name.ts";
import { crc32c } from "./crc32c.ts";
import { CLIENT, FIELD, isCommonName, isWord, TEXT_BYTES_MAX, UNIQUE_ID_BYTES_MAX } from "./fields.ts";
import type { Endpoint, ProxyHeader, ProxyTls } from "./types.ts";
import { INET, INET6, PROXY, SIGNATURE, STREAM, VERSION } from "./version2.ts";

/** Who is told to whom. An address that is no IP address ("unix", a host name) is one that cannot be told. */
export type ProxyEnds = Pick<ProxyHeader, "source" | "destination">;

/** mosquitto reads no block that is longer; and in 516 bytes the whole header fits the smallest segment, as section 2 asks. */
const BLOCK_BYTES_MAX = 500;
const CRC_FIELD_BYTES = 7;
const NOT_VERIFIED = 1;
const NOTHING = new Uint8Array(0);
const encoder = new TextEncoder();

/** The line of version 1: section 2.1. UNKNOWN when the client has no IP address. */
export function proxyHeaderV1(ends: ProxyEnds): Uint8Array {
  const told = tellableEnds(ends);
  if (told === undefined) return encoder.encode("PROXY UNKNOWN\r\n");
  const family = told.source.length === 4 ? "TCP4" : "TCP6";
  const addresses = [told.source, told.destination].map((bytes) => familyText(bytes)).join(" ");
  return encoder.encode(`PROXY ${family} ${addresses} ${told.sourcePort} ${told.destinationPort}\r\n`);
}

/** TCP6 wants a mapped address as IPv6. */
function familyText(bytes: Uint8Array): string {
  const text = addressText(bytes);
  return bytes.length === 16 && !text.includes(":") ? `::ffff:${text}` : text;
}

/**
 * The header of version 2, with a checksum: section 2.2. LOCAL, and nothing else, when the client has no IP address. What would not fit or what
 * our own reader would refuse is left out; cut, a name would be another's.
 */
export function proxyHeaderV2(header: ProxyEnds & Partial<ProxyHeader>): Uint8Array {
  const told = tellableEnds(header);
  if (told === undefined) return join([SIGNATURE, Uint8Array.of(VERSION << 4, 0, 0, 0)]);
  const block = [told.source, told.destination, uint16(told.sourcePort), uint16(told.destinationPort)];
  let room = BLOCK_BYTES_MAX - CRC_FIELD_BYTES - sizeOf(block);
  for (const field of optionalFields(header)) {
    if (field.length > room) continue;
    room -= field.length;
    block.push(field);
  }
  const family = told.source.length === 4 ? INET : INET6;
  const length = uint16(sizeOf(block) + CRC_FIELD_BYTES);
  const bytes = join([SIGNATURE, Uint8Array.of((VERSION << 4) | PROXY, (family << 4) | STREAM), length, ...block, field(FIELD.crc32c, uint32(0))]);
  bytes.set(uint32(crc32c(bytes)), bytes.length - 4);
  return bytes;
}

interface TellableEnds {
  /** Both of 4 or both of 16 bytes. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** A destination that is not known is 0.0.0.0 or ::, because the client's address alone is what the receiver wants. */
function tellableEnds({ source, destination }: ProxyEnds): TellableEnds | undefined {
  const from = endpointBytes(source);
  if (from === undefined || source === undefined) return undefined;
  const to = endpointBytes(destination);
  const ports = { sourcePort: source.port, destinationPort: to === undefined ? 0 : (destination?.port ?? 0) };
  if (to === undefined) return { source: from, destination: new Uint8Array(from.length), ...ports };
  if (from.length === to.length) return { source: from, destination: to, ...ports };
  return { source: mapped(from), destination: mapped(to), ...ports };
}

function endpointBytes(endpoint: Endpoint | undefined): Uint8Array | undefined {
  return endpoint && addressBytes(withoutZone(endpoint.address));
}

function mapped(bytes: Uint8Array): Uint8Array {
  return bytes.length === 16 ? bytes : join([new Uint8Array(10), Uint8Array.of(0xff, 0xff), bytes]);
}

/** In the order of their worth; empty ones for what is not there. */
function optionalFields({ tls, authority, alpn, uniqueId }: Partial<ProxyHeader>): Uint8Array[] {
  return [
    tls === undefined ? NOTHING : tlsField(tls),
    textField(FIELD.authority, authority, isAuthority),
    textField(FIELD.alpn, alpn, isWord),
    uniqueId === undefined || uniqueId.length > UNIQUE_ID_BYTES_MAX ? NOTHING : field(FIELD.uniqueId, uniqueId),
  ];
}

function tlsField({ version, cipher, verified, clientCommonName }: ProxyTls): Uint8Array {
  // Both bits: whoever asks for a certificate of this connection or of its session shall find it. mosquitto looks at the latter.
  const client = CLIENT.tls | (verified ? CLIENT.certificateInConnection | CLIENT.certificateInSession : 0);
  const parts = [
    Uint8Array.of(client),
    uint32(verified ? 0 : NOT_VERIFIED),
    textField(FIELD.tlsVersion, version?.replace(/^(?=\d)/, "TLSv"), isWord),
    textField(FIELD.cipher, cipher, isWord),
    // mosquitto takes the name for the user's without a look at the bits.
    textField(FIELD.commonName, verified ? clientCommonName : undefined, isCommonName),
  ];
  return field(FIELD.tls, join(parts));
}

function textField(type: number, text: string | undefined, isFit: (text: string) => boolean): Uint8Array {
  const value = encoder.encode(text);
  return text === undefined || value.length > TEXT_BYTES_MAX || !isFit(text) ? NOTHING : field(type, value);
}

function isAuthority(text: string): boolean {
  const read = readServerName(encoder.encode(text));
  return "name" in read && read.name !== undefined;
}

function field(type: number, value: Uint8Array): Uint8Array {
  return join([Uint8Array.of(type), uint16(value.length), value]);
}

function uint16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

function uint32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

function sizeOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(sizeOf(parts));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
