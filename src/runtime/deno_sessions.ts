import type { TLSSocket } from "node:tls";

/** Fingerprints of certificates for each text of authorities; the oldest goes when there are too many. */
const verified = new Map<string, Set<string>>();
const CERTIFICATES_MAX = 10_000;

/**
 * Deno keeps the TLS sessions of all servers of a process together: one that was begun with a certificate of one authority is resumed by
 * a server that trusts another, and "authorized" there, whatever its options say (seen on 2.9; OpenSSL and BoringSSL keep them apart).
 * So a resumed session counts only when its certificate was verified in a whole handshake by the same authorities.
 */
export function isVerifiedHere(authorities: string, socket: TLSSocket): boolean {
  const certificates = verified.get(authorities) ?? new Set();
  const { fingerprint256 } = socket.getPeerCertificate();
  if (socket.isSessionReused()) return certificates.has(fingerprint256);
  verified.set(authorities, certificates.add(fingerprint256));
  if (certificates.size > CERTIFICATES_MAX) certificates.delete(certificates.values().next().value!);
  return true;
}
