import { readServerName } from "./server_name.ts";
import { VectorReader } from "./vector_reader.ts";

export type TlsVersion = "SSL 3.0" | "1.0" | "1.1" | "1.2" | "1.3";

/** What a ClientHello says in the clear. */
export interface HelloFields {
  /** Lower case, without the dot at its end; undefined when none was sent, or an IP address, which is no name. */
  readonly serverName: string | undefined;
  /** In the client's order, one character for each byte: names of protocols are bytes (RFC 7301 section 3.1). Empty: none was offered. */
  readonly alpn: readonly string[];
  /** The highest that the client offers; undefined when we know none of them. */
  readonly version: TlsVersion | undefined;
}

type MutableFields = { -readonly [Key in keyof HelloFields]: HelloFields[Key] };

/** RFC 6066 section 3, RFC 7301 section 3.1, RFC 8446 section 4.2.1. */
const SERVER_NAME = 0;
const ALPN = 16;
const SUPPORTED_VERSIONS = 43;
const HOST_NAME_TYPE = 0;
/** No client has more than some thirty. */
export const EXTENSIONS_MAX = 256;

const VERSIONS: ReadonlyMap<number, TlsVersion> = new Map([
  [0x0300, "SSL 3.0"],
  [0x0301, "1.0"],
  [0x0302, "1.1"],
  [0x0303, "1.2"],
  [0x0304, "1.3"],
]);
const LEGACY_VERSION_MAX = 0x0303; // TLS 1.3 and later are offered in supported_versions alone: RFC 8446 section 4.1.2

/** Reads the body of a ClientHello (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2). Every length must add up. */
export function readHelloFields(body: Uint8Array): HelloFields | { readonly refused: string } {
  const reader = new VectorReader(body);
  const legacyVersion = reader.uint16("version");
  const fields: MutableFields = { serverName: undefined, alpn: [], version: VERSIONS.get(Math.min(legacyVersion, LEGACY_VERSION_MAX)) };
  reader.skip(32, "random");
  if (reader.skipVector(1, "session id") > 32) reader.fail("session id of more than 32 bytes");
  const suites = reader.skipVector(2, "cipher suites");
  if (suites === 0 || suites % 2 !== 0) reader.fail(`cipher suites of ${suites} bytes`);
  if (reader.skipVector(1, "compression methods") === 0) reader.fail("no compression methods");
  if (reader.left > 0) readExtensions(reader, fields); // before TLS 1.3 there may be none
  if (reader.left > 0) reader.fail("bytes after the extensions");
  return reader.failure === undefined ? fields : { refused: reader.failure };
}

/** The types of the extensions of the hello that is being read. */
const types = new Uint16Array(EXTENSIONS_MAX);

function readExtensions(reader: VectorReader, fields: MutableFields): void {
  const outerEnd = reader.enter(2, "extensions");
  for (let count = 0; reader.left > 0; count++) readExtension(reader, count, fields);
  reader.leave(outerEnd);
}

function readExtension(reader: VectorReader, count: number, fields: MutableFields): void {
  if (count === EXTENSIONS_MAX) return reader.fail(`more than ${EXTENSIONS_MAX} extensions`);
  const type = reader.uint16("an extension's type");
  const outerEnd = reader.enter(2, "an extension");
  // RFC 8446 section 4.2: which one would count?
  for (let index = 0; index < count; index++) if (types[index] === type) reader.fail(`extension ${type} twice`);
  types[count] = type;
  if (type === SERVER_NAME) readServerNames(reader, fields);
  else if (type === ALPN) readProtocols(reader, fields);
  else if (type === SUPPORTED_VERSIONS) readVersions(reader, fields);
  else reader.skip(reader.left, "an extension");
  if (reader.left > 0) reader.fail(`bytes after the content of extension ${type}`);
  reader.leave(outerEnd);
}

function readServerNames(reader: VectorReader, fields: MutableFields): void {
  const outerEnd = reader.enter(2, "server names");
  if (reader.left === 0) reader.fail("an empty list of server names");
  for (let found = false; reader.left > 0; ) {
    const type = reader.uint8("a server name's type");
    const bytes = reader.vector16("server name"); // other types begin with a length of two bytes too: RFC 6066 section 3
    if (type !== HOST_NAME_TYPE || reader.failure !== undefined) continue;
    if (found) reader.fail("two server names");
    found = true;
    const read = readServerName(bytes);
    if ("refused" in read) reader.fail(`server name ${read.refused}`);
    else fields.serverName = read.name;
  }
  reader.leave(outerEnd);
}

function readProtocols(reader: VectorReader, fields: MutableFields): void {
  const outerEnd = reader.enter(2, "ALPN");
  if (reader.left === 0) reader.fail("an empty ALPN list");
  const protocols: string[] = [];
  while (reader.left > 0) {
    const name = reader.vector8("ALPN protocol");
    if (name.length === 0) reader.fail("an empty ALPN protocol");
    protocols.push(String.fromCharCode(...name));
  }
  fields.alpn = protocols;
  reader.leave(outerEnd);
}

function readVersions(reader: VectorReader, fields: MutableFields): void {
  const outerEnd = reader.enter(1, "supported versions");
  if (reader.left === 0) reader.fail("an empty list of supported versions");
  let highest = 0;
  while (reader.left > 0) {
    const version = reader.uint16("a supported version");
    if (VERSIONS.has(version)) highest = Math.max(highest, version); // what we do not know may be GREASE: RFC 8701
  }
  fields.version = VERSIONS.get(highest);
  reader.leave(outerEnd);
}
