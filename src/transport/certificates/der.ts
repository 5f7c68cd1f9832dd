/** The tags of DER (X.690 section 8.1.2) that certificates have. Those of a choice or an option are numbered where they stand. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  visibleString: 0x1a,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** One value: views into the bytes that it was read from, not copies. */
export interface DerValue {
  readonly tag: number;
  /** Tag and length are not among them. */
  readonly contents: Uint8Array;
  readonly whole: Uint8Array;
}

/** The value at the beginning of the bytes; undefined when there is none, or it goes on behind their end. */
export function readDerValue(bytes: Uint8Array): DerValue | undefined {
  const [tag, first] = bytes;
  // A tag of several bytes (31 in its lower bits) stands nowhere in a certificate.
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) return undefined;
  const lengthBytes = first < 0x80 ? 0 : first - 0x80;
  // 0x80 would be a length that is told only by an end mark, which DER has not (X.690 section 10.1); four bytes count to 4 GB.
  if (first === 0x80 || lengthBytes > 4 || bytes.length < 2 + lengthBytes) return undefined;
  let length = lengthBytes === 0 ? first : 0;
  for (let at = 2; at < 2 + lengthBytes; at++) length = length * 256 + bytes[at]!;
  const start = 2 + lengthBytes;
  if (bytes.length < start + length) return undefined;
  return { tag, contents: bytes.subarray(start, start + length), whole: bytes.subarray(0, start + length) };
}

/** The values that fill the bytes one after the other; undefined when they do not come out even. */
export function readDerValues(bytes: Uint8Array): DerValue[] | undefined {
  const values: DerValue[] = [];
  for (let rest = bytes; rest.length > 0; ) {
    const value = readDerValue(rest);
    if (value === undefined) return undefined;
    values.push(value);
    rest = rest.subarray(value.whole.length);
  }
  return values;
}

/** What stands in a value of this tag; undefined when the tag is another, or it does not come out even. */
export function readInside(value: DerValue | undefined, tag: number): DerValue[] | undefined {
  return value?.tag === tag ? readDerValues(value.contents) : undefined;
}

/** An object identifier in its dotted form (X.690 section 8.19). Long ones are cut, with an ellipsis: they are for people. */
export function objectIdentifierText(contents: Uint8Array): string {
  const numbers: number[] = [];
  let number = 0;
  for (const byte of contents.subarray(0, OBJECT_IDENTIFIER_BYTES_MAX)) {
    number = number * 128 + (byte & 0x7f);
    if (byte >= 0x80) continue;
    numbers.push(number);
    number = 0;
  }
  const [first = 0, ...others] = numbers;
  const root = Math.min(2, Math.floor(first / 40));
  return [root, first - 40 * root, ...others].join(".") + (contents.length > OBJECT_IDENTIFIER_BYTES_MAX ? "…" : "");
}

const OBJECT_IDENTIFIER_BYTES_MAX = 32;

/** The bytes in lower-case hex: how object identifiers are compared here. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
