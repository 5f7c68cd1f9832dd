import { readServerName } from "../tls_hello/server_name.ts";
import { VectorReader } from "../tls_hello/vector_reader.ts";
import { crc32c } from "./crc32c.ts";
import type { ProxyHeader, ProxyTls, Refusal } from "./types.ts";

/** The types of fields that mean something to us: section 2.2. */
export const FIELD = { alpn: 0x01, authority: 0x02, crc32c: 0x03, uniqueId: 0x05, tls: 0x20, tlsVersion: 0x21, commonName: 0x22, cipher: 0x23 } as const;
const NAMES: ReadonlyMap<number, string> = new Map([
  [FIELD.alpn, "ALPN"],
  [FIELD.authority, "authority"],
  [FIELD.crc32c, "CRC32c"],
  [FIELD.uniqueId, "unique id"],
  [FIELD.tls, "TLS field"],
  [FIELD.tlsVersion, "TLS version"],
  [FIELD.commonName, "common name"],
  [FIELD.cipher, "cipher"],
]);
/** Bits of the TLS field's first byte: section 2.2.6. */
export const CLIENT = { tls: 0x01, certificateInConnection: 0x02, certificateInSession: 0x04 } as const;
/** Section 2.2.5. */
export const UNIQUE_ID_BYTES_MAX = 128;
export const TEXT_BYTES_MAX = 255;

const CONTROL = /\p{Cc}/u;
const WORD = /^[!-~]+$/;
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

type Fields = Pick<ProxyHeader, "authority" | "alpn" | "tls" | "uniqueId">;
type MutableFields = { -readonly [Key in keyof Fields]: Fields[Key] };

/**
 * Reads the type-length-value fields from `start` to the end of a whole header. Their lengths must add up. A field of which there can be one
 * stands once; a text that is empty says nothing; types that are not listed here are skipped (section 2.2).
 */
export function readFields(header: Uint8Array, start: number): Fields | Refusal {
  const fields: MutableFields = { authority: undefined, alpn: undefined, tls: undefined, uniqueId: undefined };
  const reader = new VectorReader(header);
  reader.position = start;
  const seen = new Set<number>();
  while (reader.left > 0) {
    const { type, value } = readField(reader, seen);
    if (type === FIELD.authority) fields.authority = readAuthority(reader, value);
    else if (type === FIELD.alpn) fields.alpn = readWord(reader, value, type);
    else if (type === FIELD.tls) fields.tls = readTls(reader, value);
    else if (type === FIELD.uniqueId) fields.uniqueId = readUniqueId(reader, value);
    else if (type === FIELD.crc32c) checkSum(reader, header, value);
  }
  return reader.failure === undefined ? fields : { refused: reader.failure };
}

function readField(reader: VectorReader, seen: Set<number>): { type: number; value: Uint8Array } {
  const type = reader.uint8("a field's type");
  const name = NAMES.get(type);
  const value = reader.vector16(name ?? `field ${type}`);
  if (name !== undefined && seen.has(type)) reader.fail(`${name} twice`); // which one would count?
  seen.add(type);
  return { type, value };
}

/** What SNI may be, an authority may be: it goes the same ways. */
function readAuthority(reader: VectorReader, value: Uint8Array): string | undefined {
  if (value.length === 0) return undefined;
  const read = readServerName(value);
  if ("name" in read) return read.name;
  reader.fail(`authority ${read.refused}`);
  return undefined;
}

function readUniqueId(reader: VectorReader, value: Uint8Array): Uint8Array {
  if (value.length > UNIQUE_ID_BYTES_MAX) reader.fail(`unique id of ${value.length} bytes`);
  return value.slice(); // a view would keep the whole chunk
}

function readTls(outer: VectorReader, value: Uint8Array): ProxyTls | undefined {
  const reader = new VectorReader(value);
  const client = reader.uint8("TLS field");
  const verify = reader.uint32("TLS field");
  const seen = new Set<number>();
  let version: string | undefined;
  let cipher: string | undefined;
  let commonName: string | undefined;
  while (reader.left > 0) {
    const field = readField(reader, seen);
    if (field.type === FIELD.tlsVersion) version = readWord(reader, field.value, field.type)?.replace(/^TLSv/, "");
    else if (field.type === FIELD.cipher) cipher = readWord(reader, field.value, field.type);
    else if (field.type === FIELD.commonName) commonName = readCommonName(reader, field.value);
  }
  if (reader.failure !== undefined) outer.fail(reader.failure);
  if ((client & CLIENT.tls) === 0) return undefined;
  // HAProxy writes a verify of zero without a certificate too: nothing was wrong with none.
  const verified = verify === 0 && (client & (CLIENT.certificateInConnection | CLIENT.certificateInSession)) !== 0;
  return { version, cipher, verified, clientCommonName: verified ? commonName : undefined };
}

function readWord(reader: VectorReader, value: Uint8Array, type: number): string | undefined {
  if (value.length === 0) return undefined;
  const text = value.length <= TEXT_BYTES_MAX ? String.fromCharCode(...value) : "";
  if (isWord(text)) return text;
  reader.fail(`${NAMES.get(type)} is not of 1 to ${TEXT_BYTES_MAX} printable ASCII characters`);
  return undefined;
}

function readCommonName(reader: VectorReader, value: Uint8Array): string | undefined {
  if (value.length === 0) return undefined;
  try {
    const text = decoder.decode(value);
    if (isCommonName(text)) return text;
    reader.fail("common name holds control characters");
  } catch {
    reader.fail("common name is not valid UTF-8");
  }
  return undefined;
}

/** It may become a user name, and stand in a log line or another's header. */
export function isCommonName(text: string): boolean {
  return text !== "" && !CONTROL.test(text);
}

/** Printable ASCII without blanks. */
export function isWord(text: string): boolean {
  return WORD.test(text);
}

/** Over the whole header with zeros in the field: section 2.2.3. */
function checkSum(reader: VectorReader, header: Uint8Array, value: Uint8Array): void {
  if (value.length !== 4) return reader.fail(`CRC32c of ${value.length} bytes`);
  const at = reader.position - value.length;
  const told = new VectorReader(value).uint32("CRC32c");
  const found = crc32c(header.subarray(0, at), new Uint8Array(4), header.subarray(reader.position));
  if (told !== found) reader.fail("CRC32c does not fit");
}
