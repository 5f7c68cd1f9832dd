/** What a check of a certificate found, by the names that OpenSSL and BoringSSL have for it; the runtimes pass them on as error codes. */
const VERDICTS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "the certificate has expired",
  CERT_NOT_YET_VALID: "the certificate is not valid yet",
  DEPTH_ZERO_SELF_SIGNED_CERT: "the certificate is not signed by a trusted authority (self-signed)",
  SELF_SIGNED_CERT_IN_CHAIN: "the certificate comes from an unknown authority",
  UNABLE_TO_GET_ISSUER_CERT: "the certificate comes from an unknown authority",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "the certificate comes from an unknown authority",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "the certificate comes from an unknown authority",
  CERT_SIGNATURE_FAILURE: "the certificate's signature is wrong",
  CERT_UNTRUSTED: "the certificate's authority is not trusted for this purpose",
  CERT_REJECTED: "the certificate's authority rejects this purpose",
  CERT_CHAIN_TOO_LONG: "the certificate's chain is too long",
  PATH_LENGTH_EXCEEDED: "the certificate's chain is longer than its authority allows",
  INVALID_CA: "the certificate is signed by one that is no authority",
  INVALID_PURPOSE: "the certificate is not made for this side of TLS (extended key usage)",
  CERT_REVOKED: "the certificate was revoked",
  UNABLE_TO_GET_CRL: "there is no revocation list of the certificate's authority",
  CRL_HAS_EXPIRED: "the revocation list of the certificate's authority has expired",
  CRL_NOT_YET_VALID: "the revocation list of the certificate's authority is not valid yet",
  CRL_SIGNATURE_FAILURE: "the revocation list of the certificate's authority has a wrong signature",
};

/** What our own library finds wrong, in the words of OpenSSL, BoringSSL and rustls. */
const FAILURES: readonly (readonly [RegExp, string])[] = [
  [/wrong[ _]version[ _]number|http[ _]request|InvalidContentType/i, "what came is not TLS"],
  [/unsupported[ _]protocol|Supported ?Versions? ?Extension|SignatureAlgorithmsExtensionRequired|NotOfferedOrEnabled/i, "no common version of TLS"],
  [/no[ _]application[ _]protocol|any known protocol/i, "no common application protocol (ALPN)"],
  [/no[ _]shared[ _]cipher|NoCipherSuitesInCommon/i, "no common cipher"],
  [/did[ _]not[ _]return[ _]a[ _]certificate|sent no certificates/i, "the client gave no certificate"],
  [/too[ _]?many[ _]?key[ _]?update/i, "too many key updates came"],
  [/no[ _]renegotiation|renegotiation[ _]attack/i, "the peer wants to renegotiate"],
  // What an alert looks like to BoringSSL that OpenSSL still sends in the clear.
  [/bad[ _]packet[ _]length/i, "the peer refused with an alert that cannot be read: does it trust the certificate?"],
];

/** What the peer's alert means, where its name alone does not say it (RFC 8446 section 6.2). */
const ALERTS: Readonly<Record<string, string>> = {
  "bad certificate": "the peer does not accept the certificate",
  "unsupported certificate": "the peer does not accept the certificate",
  "certificate unknown": "the peer does not accept the certificate",
  "certificate revoked": "the peer says that the certificate was revoked",
  "certificate expired": "the peer says that the certificate has expired",
  "unknown ca": "the peer does not trust the certificate",
  "certificate required": "the peer wants a certificate",
  "protocol version": "no common version of TLS",
  "no application protocol": "no common application protocol (ALPN)",
  "unrecognized name": "the peer has no certificate for this name",
};

const ALERT_NUMBERS: Readonly<Record<string, string>> = { 116: "certificate required", 120: "no application protocol" };

/** A check of a certificate by its code; undefined: it is none. */
export function certificateVerdict(code: string): string | undefined {
  return VERDICTS[code];
}

/** Why a handshake failed, from what the library says; undefined: it says nothing that is known here. */
export function handshakeFailure(code: string, message: string): string | undefined {
  const own = FAILURES.find(([words]) => words.test(`${code} ${message}`))?.[1];
  if (own !== undefined) return own;
  const alert = alertOf(code, message);
  return alert && `${ALERTS[alert] ?? "the peer refused"} (alert "${alert}")`;
}

/** `ERR_SSL_TLSV1_ALERT_UNKNOWN_CA` of OpenSSL and BoringSSL or `tlsv1 alert unknown ca`, `received fatal alert: UnknownCA` of rustls. */
function alertOf(code: string, message: string): string | undefined {
  const name = /ALERT_([A-Z_]+)$/.exec(code)?.[1]
    ?? /(?:ssl|tls)v\d+[_ ]alert[_ ]([a-z_ ]+)/i.exec(message)?.[1]
    ?? /fatal alert: (\w+)/.exec(message)?.[1]?.replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_");
  if (name !== undefined) return name.toLowerCase().replaceAll("_", " ");
  return ALERT_NUMBERS[/alert number (\d+)/i.exec(message)?.[1] ?? ""];
}
