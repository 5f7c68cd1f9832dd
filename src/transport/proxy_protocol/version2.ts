import { addressText } from "../../lib/network.ts";
import { VectorReader } from "../tls_hello/vector_reader.ts";
import { readFields } from "./fields.ts";
import { type Endpoint, NOTHING_TOLD, type ParsedHeader, type Refusal } from "./types.ts";

/** Section 2.2. */
export const SIGNATURE = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
export const HEAD_BYTES = 16;
/** Addresses and fields. The specification wants all of it in 536 bytes; those who put a client's whole certificate in stay below this. */
export const BLOCK_BYTES_MAX = 4_096;

export const VERSION = 2;
const LOCAL = 0;
export const PROXY = 1;
const UNSPECIFIED = 0;
export const STREAM = 1;
export const INET = 1;
export const INET6 = 2;
const UNIX = 3;
const UNIX_PATH_BYTES = 108;

/** By family: both addresses, and with IP both ports. */
const ADDRESS_BLOCK_BYTES: readonly number[] = [0, 12, 36, 2 * UNIX_PATH_BYTES];

/**
 * Reads the header of version 2 (PROXY protocol section 2.2), whose signature was seen, from the front of the bytes; undefined: it is not
 * whole yet. Each byte is judged as soon as it is there. LOCAL, and a family or protocol that is not specified, say nothing: their
 * block is skipped unread, whatever it holds and whether there is one (Envoy's CVE-2024-23327).
 */
export function readVersion2(bytes: Uint8Array): ParsedHeader | Refusal | undefined {
  const [versionAndCommand, familyAndProtocol, high, low] = bytes.subarray(SIGNATURE.length, HEAD_BYTES);
  if (versionAndCommand === undefined) return undefined;
  const command = versionAndCommand & 15;
  if (versionAndCommand >> 4 !== VERSION) return refuse(`version ${versionAndCommand >> 4}`);
  if (command !== LOCAL && command !== PROXY) return refuse(`command ${command}`);
  if (familyAndProtocol === undefined) return undefined;
  const [family, protocol] = [familyAndProtocol >> 4, familyAndProtocol & 15];
  if (command === PROXY && (family > UNIX || protocol > STREAM)) return refuse(`family ${family} with protocol ${protocol}, which is no stream`);
  if (high === undefined || low === undefined) return undefined;
  const isSkipped = command === LOCAL || family === UNSPECIFIED || protocol === UNSPECIFIED;
  const blockBytes = high * 256 + low;
  const addressBytes = isSkipped ? 0 : (ADDRESS_BLOCK_BYTES[family] as number);
  if (blockBytes > BLOCK_BYTES_MAX) return refuse(`a length of ${blockBytes}, the limit is ${BLOCK_BYTES_MAX}`);
  if (blockBytes < addressBytes) return refuse(`a length of ${blockBytes}, its addresses alone have ${addressBytes} bytes`);
  const length = HEAD_BYTES + blockBytes;
  if (bytes.length < length) return undefined;
  if (isSkipped) return { header: NOTHING_TOLD, length };
  const fields = readFields(bytes.subarray(0, length), HEAD_BYTES + addressBytes);
  if ("refused" in fields) return refuse(fields.refused);
  return { header: { ...readEnds(family, bytes.subarray(HEAD_BYTES, HEAD_BYTES + addressBytes)), ...fields }, length };
}

function readEnds(family: number, block: Uint8Array): { source: Endpoint; destination: Endpoint } {
  // The path of a client's socket is a name that the client chose, and mostly none.
  if (family === UNIX) return { source: { address: "unix", port: 0 }, destination: { address: "unix", port: 0 } };
  const reader = new VectorReader(block);
  const size = family === INET ? 4 : 16;
  const [from, to] = [reader.bytes(size, "source"), reader.bytes(size, "destination")];
  const source = { address: addressText(from), port: reader.uint16("source port") };
  return { source, destination: { address: addressText(to), port: reader.uint16("destination port") } };
}

function refuse(reason: string): Refusal {
  return { refused: `version 2: ${reason}` };
}
