import { readCommonName } from "./distinguished_name.ts";
import { readFields, type CertificateFields } from "./fields.ts";
import { NO_NAMES, readAlternativeNames, type AlternativeNames } from "./names.ts";

const SUBJECT_ALT_NAME = "551d11";

/** What a certificate says of who has it. Texts are as they stand there, without control characters; `#` and `+` may be among them. */
export interface CertificateOwner {
  /** undefined: none, one with control characters, or several. */
  readonly commonName: string | undefined;
  readonly names: AlternativeNames;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface CertificateFacts extends CertificateOwner {
  /** SHA-256 over the whole certificate, lower-case hex. */
  readonly fingerprint: string;
}

/**
 * Reads a certificate that the handshake has verified; never throws. undefined: it cannot be read, and its owner is nobody, which is not the
 * same as a client without a certificate. The runtimes' own text of a SubjectAltName is not used: it let one name pass for two others
 * (CVE-2021-44532).
 */
export function readCertificateFacts(der: Uint8Array): CertificateFacts | undefined {
  const fields = readFields(der);
  const owner = fields && ownerOf(fields);
  return owner && { ...owner, fingerprint: fingerprintOf(fields.der) };
}

export function ownerOf({ subject, notBefore, notAfter, extensions }: CertificateFields): CertificateOwner | undefined {
  const extension = extensions.get(SUBJECT_ALT_NAME);
  const names = extension === undefined ? NO_NAMES : readAlternativeNames(extension);
  if (names === undefined) return undefined;
  return { commonName: readCommonName(subject), names, notBefore, notAfter };
}

/** Asked for here and not imported: `node:crypto` costs 2 to 5 MB on Bun, and who has no client certificates needs none of it. */
export function fingerprintOf(der: Uint8Array): string {
  return process.getBuiltinModule("node:crypto").createHash("sha256").update(der).digest("hex");
}
