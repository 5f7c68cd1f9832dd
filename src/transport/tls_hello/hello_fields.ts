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
  reader.bytes(32, "random");
  if (reader.vector8("session id").length > 32) reader.fail("session id of more than 32 bytes");
  const suites = reader.vector16("cipher suites").length;
  if (suites === 0 || suites % 2 !== 0) reader.fail(`cipher suites of ${suites} bytes`);
  if (reader.vector8("compression methods").length === 0) reader.fail("no compression methods");
  if (reader.left > 0) readExtensions(reader, fields); // before TLS 1.3 there may be none
  if (reader.left > 0) reader.fail("bytes after the extensions");
  return reader.failure === undefined ? fields : { refused: reader.failure };
}

function readExtensions(reader: VectorReader, fields: MutableFields): void {
  const seen = new Set<number>();
  reader.all(reader.vector16("extensions"), (extensions) => readExtension(extensions, seen, fields));
}

function readExtension(extensions: VectorReader, seen: Set<number>, fields: MutableFields): void {
  const type = extensions.uint16("an extension's type");
  const content = extensions.vector16("an extension");
  if (seen.has(type)) extensions.fail(`extension ${type} twice`); // RFC 8446 section 4.2: which one would count?
  seen.add(type);
  const read = READERS.get(type);
  if (read === undefined || extensions.failure !== undefined) return;
  const inside = new VectorReader(content);
  read(inside, fields);
  if (inside.left > 0) inside.fail(`bytes after the content of extension ${type}`);
  if (inside.failure !== undefined) extensions.fail(inside.failure);
}

const READERS: ReadonlyMap<number, (reader: VectorReader, fields: MutableFields) => void> = new Map([
  [SERVER_NAME, readServerNames],
  [ALPN, readProtocols],
  [SUPPORTED_VERSIONS, readVersions],
]);

function readServerNames(reader: VectorReader, fields: MutableFields): void {
  const list = reader.vector16("server names");
  if (list.length === 0) reader.fail("an empty list of server names");
  let found = false;
  reader.all(list, (names) => {
    const type = names.uint8("a server name's type");
    const bytes = names.vector16("server name"); // other types begin with a length of two bytes too: RFC 6066 section 3
    if (type !== HOST_NAME_TYPE || names.failure !== undefined) return;
    if (found) return names.fail("two server names");
    found = true;
    const read = readServerName(bytes);
    if ("refused" in read) names.fail(`server name ${read.refused}`);
    else fields.serverName = read.name;
  });
}

function readProtocols(reader: VectorReader, fields: MutableFields): void {
  const list = reader.vector16("ALPN");
  if (list.length === 0) reader.fail("an empty ALPN list");
  const protocols: string[] = [];
  reader.all(list, (names) => {
    const name = names.vector8("ALPN protocol");
    if (name.length === 0) names.fail("an empty ALPN protocol");
    protocols.push(String.fromCharCode(...name));
  });
  fields.alpn = protocols;
}

function readVersions(reader: VectorReader, fields: MutableFields): void {
  const list = reader.vector8("supported versions");
  if (list.length === 0) reader.fail("an empty list of supported versions");
  let highest = 0;
  reader.all(list, (versions) => {
    const version = versions.uint16("a supported version");
    if (VERSIONS.has(version)) highest = Math.max(highest, version); // what we do not know may be GREASE: RFC 8701
  });
  fields.version = VERSIONS.get(highest);
}
