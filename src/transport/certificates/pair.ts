import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";
import { dateText } from "./date_text.ts";
import { isCertificateLabel, readPem } from "./pem.ts";
import { isIssuedBy, readCertificates, type Certificate } from "./read.ts";

/** A certificate, followed by its chain, and its private key: PEM text. */
export interface PemPair {
  readonly cert: string;
  readonly key: string;
}

export interface PairProblem {
  readonly kind: "unreadable" | "mismatch" | "not_yet_valid" | "expired" | "chain";
  /** Which of the two files it is about. */
  readonly about: "cert" | "key";
  /** In words that follow the file's name and a colon. */
  readonly reason: string;
  readonly suggestion: string | undefined;
}

/** Everything that is wrong with the pair at this time (milliseconds since 1970), the worst first; empty: it can be used. Never throws. */
export function certificateProblems(pair: PemPair, now: number): PairProblem[] {
  const chain = readCertificates(pair.cert);
  const [leaf] = chain ?? [];
  const key = keyProblem(pair.key, leaf?.fields.der);
  const problems: PairProblem[] = key ? [key] : [];
  if (chain === undefined || leaf === undefined) return [notCertificate(pair.cert), ...problems];
  if (key?.kind === "unreadable") return problems;
  return [...problems, ...chain.flatMap((certificate, index) => dateProblem(certificate, index, now) ?? []), ...chainProblems(chain)];
}

/** What is wrong with a private key, PEM text, beside its certificate, DER, or alone. */
export function keyProblem(pem: string, certificate: Uint8Array | undefined): PairProblem | undefined {
  const key = readPrivateKey(pem);
  if (key === undefined) return notKey(pem);
  if (certificate === undefined || isKeyOf(certificate, key)) return undefined;
  const suggestion = "the certificate that the key is for comes first in its file, before its chain";
  return { kind: "mismatch", about: "key", reason: "it does not fit the certificate", suggestion };
}

/** undefined: no private key, or an encrypted one. */
function readPrivateKey(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}

function isKeyOf(certificate: Uint8Array, key: KeyObject): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(key);
  } catch {
    return false; // a certificate whose key no library can read
  }
}

function notCertificate(text: string): PairProblem {
  const labels = readPem(text).map(({ label }) => label);
  const found = labels.some(isCertificateLabel) ? ", and one of the certificates in it cannot be read"
    : /PRIVATE KEY-----/.test(text) ? ", found a private key"
    : "";
  return { kind: "unreadable", about: "cert", reason: `expected a certificate as PEM text${found}`, suggestion: undefined };
}

function notKey(text: string): PairProblem {
  const isEncrypted = /ENCRYPTED/.test(text);
  return {
    kind: "unreadable",
    about: "key",
    reason: `expected a private key as PEM text${isEncrypted ? ", and not an encrypted one" : /-----BEGIN CERTIFICATE-----/.test(text) ? ", found a certificate" : ""}`,
    suggestion: isEncrypted ? "decrypt it: openssl pkey -in key.pem -out decrypted.pem" : undefined,
  };
}

function dateProblem({ notBefore, notAfter }: Certificate, index: number, now: number): PairProblem | undefined {
  const it = index === 0 ? "it" : `the certificate in place ${index + 1}`;
  if (notAfter < now) return { kind: "expired", about: "cert", reason: `${it} expired on ${dateText(notAfter)}`, suggestion: undefined };
  if (notBefore <= now) return undefined;
  return { kind: "not_yet_valid", about: "cert", reason: `${it} is not valid before ${dateText(notBefore)}`, suggestion: "see whether the clock of this machine is right" };
}

/** Each certificate must have signed the one before it (RFC 8446 section 4.4.2): some clients do not look for it elsewhere. */
export function chainProblems(chain: readonly Certificate[]): PairProblem[] {
  const index = chain.findIndex((certificate, at) => at > 0 && !isIssuedBy(chain[at - 1]!, certificate));
  if (index < 0) return [];
  const reason = `the certificate in place ${index + 1} is not that of the authority which signed the one in place ${index}`;
  return [{ kind: "chain", about: "cert", reason, suggestion: "put the certificate first, then the one that signed it, and so on" }];
}
