import { serverNamePattern } from "../tls_hello/server_name.ts";
import { hex, readDerValue, readInside, TAG } from "./der.ts";
import { nameText } from "./distinguished_name.ts";
import { readAllFields, readFields, type CertificateFields } from "./fields.ts";
import { keyTypeText } from "./key_type.ts";
import { ownerOf, type CertificateOwner } from "./facts.ts";

const BASIC_CONSTRAINTS = "551d13";

/** A certificate of our own, or one that somebody wants to see. */
export interface Certificate extends CertificateOwner {
  /**
   * The names that a server with this certificate serves, as `findByServerName` looks for them: those for DNS, or the common name when there
   * are none (RFC 6125 section 6.4.4). Wildcards stay as they are.
   */
  readonly serverNames: readonly string[];
  /** Such as `O=Acme, CN=sensor-1`; unsafe until it went through `printable`. */
  readonly subject: string;
  readonly issuer: string;
  /** Whether its key signed it, going by the names alone. */
  readonly isSelfIssued: boolean;
  /** Whether it may sign others. */
  readonly isAuthority: boolean;
  /** Such as `EC P-256`. */
  readonly keyType: string;
  readonly fields: CertificateFields;
}

/** The first certificate in PEM text; undefined when there is none, or it cannot be read. */
export function readCertificate(pem: string): Certificate | undefined {
  return readCertificates(pem)?.[0];
}

/** Every certificate in PEM text, in its order; undefined when one of them cannot be read. */
export function readCertificates(pem: string): Certificate[] | undefined {
  const found = readAllFields(pem)?.map(detailsOf);
  return found?.every((details) => details !== undefined) ? found : undefined;
}

/** The same from DER. */
export function readDetails(der: Uint8Array): Certificate | undefined {
  const fields = readFields(der);
  return fields && detailsOf(fields);
}

function detailsOf(fields: CertificateFields): Certificate | undefined {
  const owner = ownerOf(fields);
  return owner && {
    ...owner,
    serverNames: serverNames(owner),
    subject: nameText(fields.subject),
    issuer: nameText(fields.issuer),
    isSelfIssued: hex(fields.subject.whole) === hex(fields.issuer.whole),
    isAuthority: isAuthority(fields),
    keyType: keyTypeText(fields.publicKey),
    fields,
  };
}

/** Whether the first names the second as the one that signed it; the signature itself is not looked at. */
export function isIssuedBy(certificate: Certificate, authority: Certificate): boolean {
  return hex(certificate.fields.issuer.whole) === hex(authority.fields.subject.whole);
}

function serverNames({ names, commonName }: CertificateOwner): string[] {
  const given = names.dns.length > 0 ? names.dns : commonName === undefined ? [] : [commonName];
  return given.flatMap((name) => serverNamePattern(name) ?? []);
}

/** RFC 5280 section 4.2.1.9: absent means no. */
function isAuthority({ extensions }: CertificateFields): boolean {
  const extension = extensions.get(BASIC_CONSTRAINTS);
  const first = extension && readInside(readDerValue(extension), TAG.sequence)?.[0];
  return first?.tag === TAG.boolean && first.contents.length === 1 && first.contents[0] !== 0;
}
