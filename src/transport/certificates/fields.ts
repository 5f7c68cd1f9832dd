import { hex, readDerValue, readInside, TAG, type DerValue } from "./der.ts";
import { readDerTime } from "./der_time.ts";
import { isCertificateLabel, readPem } from "./pem.ts";

/** A certificate's own limit: TLS libraries take chains of about 100 KB, and real certificates have 1 to 4. */
const CERTIFICATE_BYTES_MAX = 65_536;
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;

/** The fields of a certificate (RFC 5280 section 4.1) that anybody here asks for, as DER. Nothing is verified. */
export interface CertificateFields {
  /** The whole certificate, without what may have stood behind it. */
  readonly der: Uint8Array;
  readonly issuer: DerValue;
  readonly subject: DerValue;
  readonly publicKey: DerValue;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** What each extension holds, by its object identifier in hex. */
  readonly extensions: ReadonlyMap<string, Uint8Array>;
}

/**
 * Reads bytes that anybody may have made; undefined when they are no certificate. One that has an extension twice is none either (RFC 5280
 * section 4.2): who reads the first and who reads the last would see different names.
 */
export function readFields(bytes: Uint8Array): CertificateFields | undefined {
  const certificate = readDerValue(bytes);
  if (certificate === undefined || certificate.whole.length > CERTIFICATE_BYTES_MAX) return undefined;
  const signed = readInside(readInside(certificate, TAG.sequence)?.[0], TAG.sequence);
  if (signed?.[0]?.tag === VERSION) signed.shift();
  const [, , issuer, validity, subject, publicKey] = signed ?? [];
  const [from, to] = readInside(validity, TAG.sequence) ?? [];
  const notBefore = readDerTime(from);
  const notAfter = readDerTime(to);
  const extensions = readExtensions(signed?.find(({ tag }) => tag === EXTENSIONS));
  if (issuer?.tag !== TAG.sequence || subject?.tag !== TAG.sequence || publicKey?.tag !== TAG.sequence) return undefined;
  if (notBefore === undefined || notAfter === undefined || extensions === undefined) return undefined;
  return { der: certificate.whole, issuer, subject, publicKey, notBefore, notAfter, extensions };
}

/** Every certificate in PEM text, in its order; undefined when one of them cannot be read. */
export function readAllFields(pem: string): CertificateFields[] | undefined {
  const found: CertificateFields[] = [];
  for (const { label, der } of readPem(pem)) {
    if (!isCertificateLabel(label)) continue;
    const fields = der && readFields(der);
    if (fields === undefined) return undefined;
    found.push(fields);
  }
  return found;
}

function readExtensions(field: DerValue | undefined): Map<string, Uint8Array> | undefined {
  const extensions = new Map<string, Uint8Array>();
  if (field === undefined) return extensions;
  const list = readInside(readDerValue(field.contents), TAG.sequence);
  if (list === undefined) return undefined;
  for (const extension of list) {
    const parts = readInside(extension, TAG.sequence);
    const identifier = parts?.[0];
    const value = parts?.at(-1);
    if (identifier?.tag !== TAG.objectIdentifier || value?.tag !== TAG.octetString) return undefined;
    const name = hex(identifier.contents);
    if (extensions.has(name)) return undefined;
    extensions.set(name, value.contents);
  }
  return extensions;
}
