import { networkError } from "./network_error.ts";
import type { NetworkError, ServerTlsOptions } from "./types.ts";

/** A wire format's length byte stands before each protocol (RFC 7301 section 3.1). */
const PROTOCOL_SIZE_MAX = 255;

/** The PEM blocks of one kind ("CERTIFICATE", "X509 CRL"), each as it stands (RFC 7468); what is between them is commentary. */
export function pemBlocks(text: string, label: string): string[] {
  return text.match(new RegExp(`-----BEGIN ${label}-----[^-]*-----END ${label}-----`, "g")) ?? [];
}

/**
 * What every library would let pass and that must not: client certificates without an authority to judge them would be judged by the
 * public ones, and a file with nothing in it is a mistake.
 */
export function materialProblem(options: ServerTlsOptions): NetworkError | undefined {
  const { cert, ca, crl, clientCertificates, alpn } = options;
  if (pemBlocks(cert, "CERTIFICATE").length === 0) return unusable("the certificate", "there is no PEM certificate in it");
  if (clientCertificates !== "none" && ca === undefined) return unusable("the client authorities", "none are given");
  if (ca !== undefined && isCut(ca, "CERTIFICATE")) return unusable("the client authorities", "there is no whole PEM certificate in them");
  if (crl !== undefined && isCut(crl, "X509 CRL")) return unusable("the revocation lists", "there is no whole PEM list in them");
  const protocol = alpn.find((name) => name.length === 0 || name.length > PROTOCOL_SIZE_MAX);
  return protocol === undefined ? undefined : unusable("ALPN", `a protocol's name has 1 to ${PROTOCOL_SIZE_MAX} characters`);
}

/** Nothing in it, or a block that has no end: libraries stop reading there and are content with what they have. */
function isCut(text: string, label: string): boolean {
  const begins = text.split(`-----BEGIN ${label}-----`).length - 1;
  return begins === 0 || begins !== pemBlocks(text, label).length;
}

export function unusable(what: string, reason: string): NetworkError {
  return { code: "tls", message: `load ${what}: ${reason}` };
}

/** The list in wire format: each name behind its length (RFC 7301 section 3.1). */
export function protocolList(protocols: readonly string[]): Uint8Array {
  return Buffer.concat(protocols.map((name) => Buffer.from(String.fromCharCode(name.length) + name, "latin1")));
}

/** What the libraries say of material, in words where people make the mistake. */
export function materialReason(thrown: unknown): string {
  const { code, message } = thrown as { code?: unknown; message?: unknown };
  const text = `${String(code)} ${String(message)}`;
  if (/KEY_VALUES_MISMATCH|key values mismatch|KEY_TYPE_MISMATCH/i.test(text)) return "the key does not belong to the certificate";
  if (/BAD_DECRYPT|bad decrypt|PASSPHRASE|interrupted or cancelled|BAD_PASSWORD_READ/i.test(text)) return "the key is encrypted";
  if (/NO_START_LINE|no start line|unsupported/i.test(text)) return "there is no PEM key in it";
  return networkError("", thrown).message.slice(": ".length);
}
