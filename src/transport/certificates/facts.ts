import { readCommonName } from "./distinguished_name.ts";
import { readFields, type CertificateFields } from "./fields.ts";
import { NO_NAMES, readAlternativeNames, type AlternativeNames } from "./names.ts";

const SUBJECT_ALT_NAME = "551d11";

/** What a certificate says of who has it. Texts are as they stand there, without control characters; `#` and `+` may be among them. */
export interface CertificateFacts {
  /** undefined: none, one with control characters, or several. */
  readonly commonName: string | undefined;
  readonly names: AlternativeNames;
  /** SHA-256 over the whole certificate, lower-case hex. */
  readonly fingerprint: string;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/**
 * Reads a certificate that the handshake has verified; never throws. undefined: it cannot be read, and its owner is nobody, which is not the
 * same as a client without a certificate. The runtimes' own text of a SubjectAltName is not used: it let one name pass for two others
 * (CVE-2021-44532).
 */
export function readCertificateFacts(der: Uint8Array): CertificateFacts | undefined {
  const fields = readFields(der);
  return fields && factsOf(fields);
}

export function factsOf({ der, subject, notBefore, notAfter, extensions }: CertificateFields): CertificateFacts | undefined {
  const extension = extensions.get(SUBJECT_ALT_NAME);
  const names = extension === undefined ? NO_NAMES : readAlternativeNames(extension);
  if (names === undefined) return undefined;
  return { commonName: readCommonName(subject), names, fingerprint: fingerprintOf(der), notBefore, notAfter };
}

/** Asked for here and not imported: `node:crypto` costs 5 MB on Bun, and who has no certificates needs none of it. */
function fingerprintOf(der: Uint8Array): string {
  return process.getBuiltinModule("node:crypto").createHash("sha256").update(der).digest("hex");
}
