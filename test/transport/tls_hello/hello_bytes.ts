import { bytes, hex, uint16 } from "../../support/mqtt_bytes.ts";

type Part = Uint8Array | readonly number[] | string;

/** Bytes behind a length of so many bytes. */
export function vector(lengthBytes: 1 | 2 | 3, ...parts: readonly Part[]): Uint8Array {
  const content = bytes(...parts);
  const length = content.length;
  return bytes([length >> 16, (length >> 8) & 0xff, length & 0xff].slice(3 - lengthBytes), content);
}

export function extension(type: number, ...content: readonly Part[]): Uint8Array {
  return bytes(uint16(type), vector(2, ...content));
}

export function serverName(name: Part, type = 0): Uint8Array {
  return extension(0, vector(2, [type], vector(2, name)));
}

export function alpn(...names: readonly Part[]): Uint8Array {
  return extension(16, vector(2, ...names.map((name) => vector(1, name))));
}

export function supportedVersions(...versions: readonly number[]): Uint8Array {
  return extension(43, vector(1, ...versions.map(uint16)));
}

export interface HelloParts {
  readonly version?: number;
  readonly sessionId?: Uint8Array;
  readonly suites?: Uint8Array;
  readonly compression?: Uint8Array;
  /** Absent: no extensions at all, not even their length. */
  readonly extensions?: readonly Uint8Array[];
  readonly trailing?: Uint8Array;
}

/** The handshake message (RFC 8446 section 4.1.2), whatever is in it. */
export function helloMessage(parts: HelloParts = {}): Uint8Array {
  const body = bytes(
    uint16(parts.version ?? 0x0303),
    new Uint8Array(32).fill(7),
    vector(1, parts.sessionId ?? new Uint8Array(32)),
    vector(2, parts.suites ?? hex("1301 1302")),
    vector(1, parts.compression ?? [0]),
    parts.extensions === undefined ? [] : vector(2, ...parts.extensions),
    parts.trailing ?? [],
  );
  return bytes([1], vector(3, body));
}

/** The message in records of at most so many bytes (RFC 8446 section 5.1). */
export function records(message: Uint8Array, size = 16_384): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < message.length; at += size) parts.push(bytes([0x16, 3, 1], vector(2, message.subarray(at, at + size))));
  return bytes(...parts);
}
