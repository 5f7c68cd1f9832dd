import { networkError } from "./network_error.ts";
import { certificateVerdict } from "./tls_reason.ts";
import type { NetworkError } from "./types.ts";

const ACTION = "TLS handshake";

export const HUNG_UP: NetworkError = { code: "reset", message: `${ACTION}: the peer hung up` };
export const NO_CERTIFICATE: NetworkError = { code: "tls", message: `${ACTION}: the client gave no certificate` };
export const OTHER_SESSION: NetworkError = { code: "tls", message: `${ACTION}: the resumed session was begun under other authorities` };

/** The error value for what a runtime threw or reported during a handshake. `host` is the name that the peer's certificate had to have. */
export function handshakeError(thrown: unknown, host?: string): NetworkError {
  const error = networkError(ACTION, thrown, host);
  return error.code === "reset" ? HUNG_UP : error;
}

/** A judgement that the runtime throws at, over a certificate that nobody has thought of, is a refusal. */
export function judged(judge: () => NetworkError | undefined): NetworkError | undefined {
  try {
    return judge();
  } catch (thrown) {
    return handshakeError(thrown);
  }
}

/** The part of what the runtimes tell of a peer's certificate that is used here; absent when there is none. */
export interface SeenCertificate {
  readonly valid_from?: string;
  readonly valid_to?: string;
  /** Object identifiers of the extended key usage. */
  readonly ext_key_usage?: readonly string[];
}

/** Object identifiers of RFC 5280 section 4.2.1.12. */
const PURPOSES = { client: "1.3.6.1.5.5.7.3.2", server: "1.3.6.1.5.5.7.3.1" } as const;

/**
 * The error for a certificate that was refused, with the code of the check that failed. What is plain to see in it goes before the code:
 * the date belongs into the message, and Deno has one code for everything.
 */
export function refusedCertificate(code: unknown, seen: SeenCertificate, side: keyof typeof PURPOSES): NetworkError {
  const { valid_from, valid_to, ext_key_usage } = seen;
  const now = Date.now();
  const reason =
    valid_to !== undefined && Date.parse(valid_to) < now ? `the certificate has expired, it was valid until ${dayOf(valid_to)}`
    : valid_from !== undefined && Date.parse(valid_from) > now ? `the certificate is not valid yet, it will be from ${dayOf(valid_from)} on`
    : ext_key_usage !== undefined && !ext_key_usage.includes(PURPOSES[side]) ? certificateVerdict("INVALID_PURPOSE")
    : undefined;
  return { code: "tls", message: `${ACTION}: ${reason ?? verdictOf(code)}` };
}

function verdictOf(code: unknown): string {
  const refused = "the certificate was not accepted";
  if (typeof code !== "string") return refused;
  return certificateVerdict(code) ?? `${refused} (${code.toLowerCase().replaceAll("_", " ")})`;
}

function dayOf(date: string): string {
  return new Date(date).toISOString().slice(0, 10);
}
