const EMPTY = new Uint8Array(0);

/** What a client speaks, as far as its first bytes tell. */
export type FirstBytesKind = "mqtt" | "tls" | "http" | "proxy" | "unknown";

const MARKS: readonly (readonly [mark: Uint8Array, kind: FirstBytesKind])[] = [
  [Uint8Array.of(0x10), "mqtt"], // CONNECT: MQTT 5 section 3.1.1
  [Uint8Array.of(0x16, 0x03), "tls"], // a handshake record of SSL 3.0 or later: RFC 8446 section 5.1
  [ascii("PROXY "), "proxy"], // PROXY protocol section 2.1
  [Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a), "proxy"], // section 2.2
  // RFC 9110 section 9 and RFC 5789; methods are case-sensitive
  ...["GET ", "HEAD ", "POST ", "PUT ", "PATCH ", "DELETE ", "CONNECT ", "OPTIONS ", "TRACE "].map((method) => [ascii(method), "http"] as const),
];

/**
 * Tells protocols apart by the mark with which each begins. The answer comes with the mark's last byte, or with the first byte that no mark
 * has: at most 12 bytes are kept. Whether a PROXY header is believed is for the caller to say, by whom it comes from: that section 2 of
 * its specification forbids to guess is meant for strangers.
 */
export class FirstBytes {
  /** Everything that was pushed, to be given to whoever speaks the protocol. */
  bytes: Uint8Array = EMPTY;

  /** undefined: more bytes are needed. */
  push(chunk: Uint8Array): FirstBytesKind | undefined {
    this.bytes = this.bytes.length === 0 ? chunk : join(this.bytes, chunk);
    return recognize(this.bytes);
  }
}

function recognize(bytes: Uint8Array): FirstBytesKind | undefined {
  let open = false;
  for (const [mark, kind] of MARKS) {
    const length = Math.min(mark.length, bytes.length);
    if (!mark.subarray(0, length).every((byte, at) => byte === bytes[at])) continue;
    if (length === mark.length) return kind;
    open = true;
  }
  return open ? undefined : "unknown";
}

function join(left: Uint8Array, right: Uint8Array): Uint8Array {
  const joined = new Uint8Array(left.length + right.length);
  joined.set(left);
  joined.set(right, left.length);
  return joined;
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
