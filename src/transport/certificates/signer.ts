import { openSigningKey, type SigningKey } from "./keys.ts";
import { certificateProblems, type PemPair } from "./pair.ts";
import { readCertificate, type Certificate } from "./read.ts";

/** An authority that can sign. */
export interface Signer {
  readonly certificate: Certificate;
  readonly key: SigningKey;
}

/** Why an authority cannot sign, in words that follow the name of one of its files and a colon. */
export interface SignerFault {
  readonly about: "cert" | "key";
  readonly reason: string;
}

/** Takes EC P-256, P-384 and RSA keys, for authorities that were not made here. `now` is in milliseconds since 1970. */
export async function openSigner(authority: PemPair, now: number): Promise<Signer | SignerFault> {
  const [problem] = certificateProblems(authority, now);
  const certificate = readCertificate(authority.cert);
  if (problem || certificate === undefined) return problem ?? { about: "cert", reason: "it cannot be read" };
  if (!certificate.isAuthority) return { about: "cert", reason: "it is not that of an authority, and may not sign others" };
  const key = await openSigningKey(authority.key);
  return key ? { certificate, key } : { about: "key", reason: `its kind is ${certificate.keyType}: expected EC P-256, EC P-384 or RSA` };
}
