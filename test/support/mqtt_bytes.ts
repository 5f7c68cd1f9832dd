/**
 * MQTT packets as bytes, built by hand for tests: nothing here shares a line with what is tested, and everything that a
 * hostile client may say can be said.
 */

export type Version = 3 | 4 | 5;
type Bytes = Uint8Array | readonly number[] | string;

const ENCODER = new TextEncoder();

/** Joins parts; a string stands for its UTF-8 bytes, without a length. */
export function bytes(...parts: readonly Bytes[]): Uint8Array {
  const chunks = parts.map((part) => (typeof part === "string" ? ENCODER.encode(part) : Uint8Array.from(part)));
  const out = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    out.set(chunk, at);
    at += chunk.length;
  }
  return out;
}

/** Bytes from hexadecimal digits; blanks are ignored. */
export function hex(text: string): Uint8Array {
  const digits = text.replace(/\s+/g, "");
  if (digits.length % 2 !== 0 || /[^0-9a-f]/i.test(digits)) throw new RangeError(`read hex "${text}"`);
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}

export function uint16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

export function uint32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

/** Two bytes of length, then the bytes [1.5.4]. */
export function field(value: Bytes): Uint8Array {
  const content = bytes(value);
  return bytes(uint16(content.length), content);
}

/** A variable byte integer [1.5.5]; `width` above the needed one makes it non-minimal. */
export function variableInteger(value: number, width = 1): Uint8Array {
  const out: number[] = [];
  let rest = value;
  do {
    out.push(rest % 128);
    rest = Math.floor(rest / 128);
  } while (rest > 0 || out.length < width);
  return Uint8Array.from(out, (digit, i) => (i < out.length - 1 ? digit | 0x80 : digit));
}

/** A whole packet: first byte, remaining length, body. */
export function packet(firstByte: number, ...body: readonly Bytes[]): Uint8Array {
  const content = bytes(...body);
  return bytes([firstByte], variableInteger(content.length), content);
}

/** A property block with its length; in 3.x there is none. */
function properties(version: Version, content: Bytes = []): Uint8Array {
  if (version !== 5) return new Uint8Array(0);
  const block = bytes(content);
  return bytes(variableInteger(block.length), block);
}

/** The properties that tests use most. */
export const PROPERTY = {
  sessionExpirySeconds: (value: number) => bytes([0x11], uint32(value)),
  assignedClientId: (value: string) => bytes([0x12], field(value)),
  serverKeepAliveSeconds: (value: number) => bytes([0x13], uint16(value)),
  authenticationMethod: (value: string) => bytes([0x15], field(value)),
  authenticationData: (value: Bytes) => bytes([0x16], field(value)),
  reasonString: (value: string) => bytes([0x1f], field(value)),
  receiveMaximum: (value: number) => bytes([0x21], uint16(value)),
  topicAliasMaximum: (value: number) => bytes([0x22], uint16(value)),
  topicAlias: (value: number) => bytes([0x23], uint16(value)),
  user: (name: string, value: string) => bytes([0x26], field(name), field(value)),
  packetSizeMax: (value: number) => bytes([0x27], uint32(value)),
} as const;

export interface ConnectFields {
  /** 3 is MQTT 3.1, 4 is 3.1.1. */
  version?: Version;
  clientId?: Bytes;
  clean?: boolean;
  keepAliveSeconds?: number;
  username?: Bytes;
  password?: Bytes;
  will?: { topic: Bytes; payload: Bytes; qos?: number; retain?: boolean; properties?: Bytes };
  properties?: Bytes;
  /** The bit that a mosquitto bridge sets in the protocol level. */
  bridge?: boolean;
  /** The raw values in place of those that the version and the fields ask for. */
  protocolName?: Bytes;
  protocolLevel?: number;
  flags?: number;
  /** Bytes after the last field. */
  trailing?: Bytes;
}

export function connect(fields: ConnectFields = {}): Uint8Array {
  const version = fields.version ?? 4;
  const { will, username, password } = fields;
  const level = fields.protocolLevel ?? (version | (fields.bridge === true ? 0x80 : 0));
  const flags =
    (fields.clean === false ? 0 : 0x02) |
    (will === undefined ? 0 : 0x04 | ((will.qos ?? 0) << 3) | (will.retain === true ? 0x20 : 0)) |
    (password === undefined ? 0 : 0x40) |
    (username === undefined ? 0 : 0x80);
  return packet(
    0x10,
    field(fields.protocolName ?? (version === 3 ? "MQIsdp" : "MQTT")),
    [level, fields.flags ?? flags],
    uint16(fields.keepAliveSeconds ?? 60),
    properties(version, fields.properties),
    field(fields.clientId ?? "test-client"),
    ...(will === undefined ? [] : [properties(version, will.properties), field(will.topic), field(will.payload)]),
    ...(username === undefined ? [] : [field(username)]),
    ...(password === undefined ? [] : [field(password)]),
    fields.trailing ?? [],
  );
}

export function connack(
  fields: { version?: Version; sessionPresent?: boolean; code?: number; properties?: Bytes } = {},
): Uint8Array {
  const body = [fields.sessionPresent === true ? 1 : 0, fields.code ?? 0];
  return packet(0x20, body, properties(fields.version ?? 4, fields.properties));
}

export interface PublishFields {
  version?: Version;
  topic?: Bytes;
  payload?: Bytes;
  qos?: number;
  retain?: boolean;
  duplicate?: boolean;
  packetId?: number;
  properties?: Bytes;
}

export function publish(fields: PublishFields = {}): Uint8Array {
  const qos = fields.qos ?? 0;
  const first = 0x30 | (fields.duplicate === true ? 8 : 0) | (qos << 1) | (fields.retain === true ? 1 : 0);
  return packet(
    first,
    field(fields.topic ?? "test/topic"),
    qos > 0 ? uint16(fields.packetId ?? 1) : [],
    properties(fields.version ?? 4, fields.properties),
    fields.payload ?? "hello",
  );
}

export const puback = (packetId: number): Uint8Array => packet(0x40, uint16(packetId));
export const pubrec = (packetId: number): Uint8Array => packet(0x50, uint16(packetId));
export const pubrel = (packetId: number): Uint8Array => packet(0x62, uint16(packetId));
export const pubcomp = (packetId: number): Uint8Array => packet(0x70, uint16(packetId));

export function subscribe(
  filters: readonly (readonly [filter: Bytes, qos: number])[],
  fields: { version?: Version; packetId?: number; properties?: Bytes } = {},
): Uint8Array {
  const list = filters.map(([filter, qos]) => bytes(field(filter), [qos]));
  return packet(0x82, uint16(fields.packetId ?? 1), properties(fields.version ?? 4, fields.properties), ...list);
}

export function suback(
  packetId: number,
  codes: readonly number[],
  fields: { version?: Version; properties?: Bytes } = {},
): Uint8Array {
  return packet(0x90, uint16(packetId), properties(fields.version ?? 4, fields.properties), codes);
}

export function unsubscribe(
  filters: readonly Bytes[],
  fields: { version?: Version; packetId?: number; properties?: Bytes } = {},
): Uint8Array {
  const start = [uint16(fields.packetId ?? 1), properties(fields.version ?? 4, fields.properties)];
  return packet(0xa2, ...start, ...filters.map((filter) => field(filter)));
}

export const pingreq = (): Uint8Array => packet(0xc0);
export const pingresp = (): Uint8Array => packet(0xd0);

/** MQTT 5 with a reason; 3.x, or 5 without one, is the two bytes alone. */
export function disconnect(fields: { version?: Version; code?: number; properties?: Bytes } = {}): Uint8Array {
  if (fields.version !== 5 || (fields.code === undefined && fields.properties === undefined)) return packet(0xe0);
  return packet(0xe0, [fields.code ?? 0], properties(5, fields.properties));
}

export function auth(fields: { code?: number; properties?: Bytes } = {}): Uint8Array {
  return packet(0xf0, [fields.code ?? 0x18], properties(5, fields.properties));
}

/** One packet of a byte stream, as the reader below sees it. */
export interface RawPacket {
  readonly type: number;
  readonly flags: number;
  readonly body: Uint8Array;
  readonly whole: Uint8Array;
}

/** The first packet of these bytes, or undefined when it is not complete. */
export function readPacket(data: Uint8Array): RawPacket | undefined {
  let length = 0;
  for (let i = 1; i < data.length && i <= 4; i++) {
    const digit = data[i] as number;
    length += (digit & 0x7f) * 128 ** (i - 1);
    if ((digit & 0x80) !== 0) continue;
    if (data.length < 1 + i + length) return undefined;
    const first = data[0] as number;
    const whole = data.slice(0, 1 + i + length);
    return { type: first >> 4, flags: first & 15, body: whole.slice(1 + i), whole };
  }
  if (data.length > 4) throw new Error("read a packet: its length has more than four bytes");
  return undefined;
}
