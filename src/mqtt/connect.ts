import { ByteReader } from "./byte_reader.ts";
import { PASSWORD, SESSION_EXPIRY, USERNAME, WILL } from "./connect_layout.ts";
import { type Fault, fault, type FaultCode, type Version } from "./fault.ts";
import { AUTHENTICATION_DATA, AUTHENTICATION_METHOD, CONNECT_PROPERTIES, type PropertyValues, readProperties, WILL_PROPERTIES } from "./properties.ts";
import { isConnect, packetName } from "./rules.ts";

/** What sluice knows of a client from its CONNECT. What few ask for is read from the frame when they do: connect_fields.ts. */
export interface Connect {
  /** The packet as it came. */
  readonly frame: Uint8Array;
  readonly version: Version;
  /** Level byte with bit 7 set, as bridges send it; passed on unchanged. */
  readonly bridge: boolean;
  /** May be empty: the broker then assigns one. */
  readonly clientId: string;
  readonly username: string | undefined;
  readonly keepAliveSeconds: number;
  readonly cleanStart: boolean;
  /** How long the broker keeps the MQTT session after the connection, in MQTT 5's words for 3.x too: 0 not at all, SESSION_NEVER_EXPIRES for ever. */
  readonly sessionExpirySeconds: number;
  /** Where the user name and password begin: they are the last fields of the packet. */
  readonly credentialsAt: number;
  /** Offset of the connect flags byte. */
  readonly flagsAt: number;
}

/** A CONNECT that is refused; `version` is undefined where it could not be told, and then no CONNACK can be sent. */
export interface RefusedConnect {
  readonly refused: Fault;
  readonly version: Version | undefined;
}

/** MQTT 5 section 3.1.2.11.2; what clean session 0 means in 3.x. */
export const SESSION_NEVER_EXPIRES = 0xffff_ffff;

const WILL_RETAIN = 0x20, CLEAN = 0x02, RESERVED = 0x01;
const willQos = (flags: number) => (flags >> 3) & 3;

/** The objection to a connection's first byte, before anything else is read: [MQTT-3.1.0-1]. */
export function judgeFirstByte(first: number): Fault | undefined {
  if (first === 0x10) return undefined;
  if (first === 0x16) return fault("wrong_protocol", "a TLS handshake on a listener without TLS");
  if (first >= 0x41 && first <= 0x5a) return fault("wrong_protocol", "text such as HTTP, SSH or a PROXY header, not MQTT");
  if (isConnect(first)) return fault("malformed_packet", "CONNECT with reserved flags set");
  return fault("protocol_error", `the first packet is ${packetName(first)}, not CONNECT`);
}

function refuse(code: FaultCode, detail: string, version: Version | undefined): RefusedConnect {
  return { refused: fault(code, detail), version };
}

/**
 * Reads one whole CONNECT frame and checks every field of it: UTF-8 and U+0000, flags that belong together, property blocks within
 * their bounds and without duplicates, nothing left over.
 */
export function readConnect(frame: Uint8Array): Connect | RefusedConnect {
  const reader = new ByteReader(frame, 1);
  reader.variableInteger("remaining length");
  const name = readProtocolName(reader);
  const level = reader.byte("protocol level");
  if (reader.failure !== undefined) return refuse("malformed_packet", reader.failure, undefined);
  const version = versionOf(name, level);
  if (typeof version !== "number") return version;
  const flagsAt = reader.position;
  const flags = reader.byte("connect flags");
  checkFlags(reader, flags, version);
  const keepAliveSeconds = reader.uint16("keep alive");
  const cleanStart = (flags & CLEAN) !== 0;
  const sessionExpirySeconds = version === 5 ? readConnectProperties(reader) : cleanStart ? 0 : SESSION_NEVER_EXPIRES;
  const clientId = reader.text("client identifier");
  if (flags & WILL) checkWill(reader, version);
  const credentialsAt = reader.position;
  const username = flags & USERNAME ? reader.text("user name") : undefined;
  if (flags & PASSWORD) reader.binary("password");
  if (reader.left > 0) reader.fail(`${reader.left} bytes after the last field of CONNECT`);
  if (reader.failure !== undefined) return refuse("malformed_packet", reader.failure, version);
  if (clientId === "" && (version === 3 || (version === 4 && !cleanStart))) {
    // [MQTT-3.1.3-8]; MQTT 3.1 section 3.1 demands an identifier always.
    return refuse("client_id_rejected", "an empty client identifier is not allowed here", version);
  }
  return { frame, version, bridge: level > 127, clientId, username, keepAliveSeconds, cleanStart, sessionExpirySeconds, credentialsAt, flagsAt };
}

/** Protocol names, as the number that their bytes make. */
const MQTT = 0x4d515454, MQISDP = 0x4d51_4973_6470;

function readProtocolName(reader: ByteReader): number {
  const what = "protocol name";
  const length = reader.uint16(what);
  if (length > 6) reader.fail(`${what} of ${length} bytes`);
  return length === 4 ? reader.uint32(what) : length === 6 ? reader.uint32(what) * 65536 + reader.uint16(what) : 0;
}

/** Protocol names and levels: MQTT 3.1 section 3.1, [MQTT-3.1.2-1], [MQTT-3.1.2-2]. Bit 7 is the mark of a bridge in 3.x. */
function versionOf(name: number, level: number): Version | RefusedConnect {
  if (name === MQISDP && (level & 127) === 3) return 3;
  if (name === MQTT && (level & 127) === 4) return 4;
  if (name === MQTT && level === 5) return 5;
  if (name !== MQTT) return refuse("malformed_packet", "the protocol name is not MQTT", undefined);
  return refuse("unsupported_version", `protocol level ${level} is not supported`, level > 5 ? 5 : 4);
}

function checkFlags(reader: ByteReader, flags: number, version: Version): void {
  if (flags & RESERVED) reader.fail("the reserved connect flag is set"); // [MQTT-3.1.2-3]
  if (willQos(flags) === 3) reader.fail("a will of QoS 3"); // [MQTT-3.1.2-12]
  if (!(flags & WILL) && (flags & WILL_RETAIN || willQos(flags) !== 0)) reader.fail("will flags without a will"); // [MQTT-3.1.2-11], [-13]
  if (version !== 5 && flags & PASSWORD && !(flags & USERNAME)) reader.fail("a password without a user name"); // 3.1.1 [MQTT-3.1.2-22]
}

/** Answers the Session Expiry Interval, in seconds: 0 when absent. */
function readConnectProperties(reader: ByteReader): number {
  const seen = readProperties(reader, CONNECT_PROPERTIES, "CONNECT");
  checkAuthentication(reader, seen);
  return (seen.get(SESSION_EXPIRY) as number | undefined) ?? 0;
}

function checkAuthentication(reader: ByteReader, seen: PropertyValues): void {
  if (seen.has(AUTHENTICATION_DATA) && !seen.has(AUTHENTICATION_METHOD)) reader.fail("Authentication Data without Authentication Method"); // MQTT 5 section 3.1.2.11.10
}

function checkWill(reader: ByteReader, version: Version): void {
  if (version === 5) readProperties(reader, WILL_PROPERTIES, "will");
  const topic = reader.text("will topic");
  if (topic === "" || /[#+]/.test(topic)) reader.fail("a will topic that is empty or has wildcards"); // [MQTT-4.7.1-1], [MQTT-4.7.3-1]
  reader.binary("will payload");
}

/** The CONNECT with other credentials in place of the client's; every other byte stays as it was, in its order. */
export function withCredentials(connect: Connect, username: string, password: string | undefined): Uint8Array {
  const { frame, credentialsAt, flagsAt } = connect;
  const encoder = new TextEncoder();
  const fields = password === undefined ? [username] : [username, password];
  const encoded = fields.map((field) => encoder.encode(field));
  const bodyAt = headerLength(frame);
  const bodyLength = credentialsAt - bodyAt + encoded.reduce((sum, field) => sum + 2 + field.length, 0);
  const header = encodeHeader(0x10, bodyLength);
  const out = new Uint8Array(header.length + bodyLength);
  out.set(header);
  out.set(frame.subarray(bodyAt, credentialsAt), header.length);
  const flags = header.length + flagsAt - bodyAt;
  out[flags] = ((out[flags] as number) & ~(USERNAME | PASSWORD)) | USERNAME | (password === undefined ? 0 : PASSWORD);
  let position = header.length + credentialsAt - bodyAt;
  for (const field of encoded) {
    out[position++] = field.length >> 8;
    out[position++] = field.length & 255;
    out.set(field, position);
    position += field.length;
  }
  return out;
}

function headerLength(frame: Uint8Array): number {
  let position = 1;
  while ((frame[position++] as number) > 127) continue;
  return position;
}

function encodeHeader(firstByte: number, remaining: number): Uint8Array {
  const bytes = [firstByte];
  do {
    bytes.push((remaining & 127) | (remaining > 127 ? 128 : 0));
    remaining >>= 7;
  } while (remaining > 0);
  return Uint8Array.from(bytes);
}
