import { TAG } from "../../../src/transport/certificates/der.ts";

/** Bytes as DER would have them, and as it would not: nothing is checked. */

export function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat(contents);
  if (body.length < 0x80) return Uint8Array.from([tag, body.length, ...body]);
  const length = [body.length >> 24, body.length >> 16, body.length >> 8, body.length].map((byte) => byte & 0xff);
  while (length[0] === 0) length.shift();
  return Buffer.concat([Uint8Array.from([tag, 0x80 + length.length, ...length]), body]);
}

export const sequence = (...values: readonly Uint8Array[]): Uint8Array => der(TAG.sequence, ...values);
export const text = (tag: number, value: string): Uint8Array => der(tag, Buffer.from(value, "utf8"));
export const oid = (inHex: string): Uint8Array => der(TAG.objectIdentifier, Buffer.from(inHex, "hex"));

export const COMMON_NAME = "550403";
export const ORGANISATION = "55040a";

export function attribute(type: string, value: Uint8Array): Uint8Array {
  return sequence(oid(type), value);
}

/** Each attribute in a set of its own. */
export function name(...attributes: readonly Uint8Array[]): Uint8Array {
  return sequence(...attributes.map((one) => der(TAG.set, one)));
}

export const commonName = (value: string, tag: number = TAG.utf8String): Uint8Array => attribute(COMMON_NAME, text(tag, value));

export function extension(type: string, value: Uint8Array): Uint8Array {
  return sequence(oid(type), der(TAG.octetString, value));
}

export const subjectAltName = (...names: readonly Uint8Array[]): Uint8Array => extension("551d11", sequence(...names));
export const dns = (value: string): Uint8Array => text(0x82, value);
export const email = (value: string): Uint8Array => text(0x81, value);
export const uri = (value: string): Uint8Array => text(0x86, value);
export const ip = (...bytes: readonly number[]): Uint8Array => der(0x87, Uint8Array.from(bytes));

export interface CertificateParts {
  readonly subject?: Uint8Array;
  readonly extensions?: readonly Uint8Array[];
  readonly notBefore?: Uint8Array;
  readonly notAfter?: Uint8Array;
  readonly publicKey?: Uint8Array;
}

const ECDSA = sequence(oid("2a8648ce3d040302"));
const P256_KEY = sequence(sequence(oid("2a8648ce3d0201"), oid("2a8648ce3d030107")), der(TAG.bitString, new Uint8Array(66)));

/** A certificate with nothing but zeros for a signature: whoever reads names does not verify it. */
export function certificate({ subject = name(commonName("device")), extensions = [], notBefore, notAfter, publicKey = P256_KEY }: CertificateParts = {}): Uint8Array {
  const validity = sequence(notBefore ?? text(TAG.utcTime, "260101000000Z"), notAfter ?? text(TAG.generalizedTime, "20510101000000Z"));
  const version = der(0xa0, der(TAG.integer, Uint8Array.of(2)));
  const serial = der(TAG.integer, Uint8Array.of(1));
  const list = extensions.length === 0 ? [] : [der(0xa3, sequence(...extensions))];
  const signed = sequence(version, serial, ECDSA, name(commonName("issuer")), validity, subject, publicKey, ...list);
  return sequence(signed, ECDSA, der(TAG.bitString, new Uint8Array(65)));
}

