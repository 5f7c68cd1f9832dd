import { strict as assert } from "node:assert";
import { test } from "node:test";
import { refusedCertificate } from "../../src/runtime/handshake_error.ts";
import { handshakeFailure } from "../../src/runtime/tls_reason.ts";

test("handshakeFailure knows the same failure in the words of OpenSSL, BoringSSL and rustls", () => {
  const cases: readonly (readonly [reason: string, ...said: readonly (readonly [code: string, message: string])[]])[] = [
    [
      'the peer does not trust the certificate (alert "unknown ca")',
      ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", "error:0A000418:SSL routines:ssl3_read_bytes:tlsv1 alert unknown ca:../rec_layer_s3.c:1605:SSL alert number 48"],
      ["EPROTO", "tlsv1 alert unknown ca"],
      ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", "received fatal alert: UnknownCA"],
    ],
    [
      'the peer wants a certificate (alert "certificate required")',
      ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "tlsv13 alert certificate required"],
      ["ERR_SSL_TLSV1_ALERT_CERTIFICATE_REQUIRED", "TLSV1_ALERT_CERTIFICATE_REQUIRED"],
      ["", "received fatal alert: CertificateRequired"],
      ["", "SSL alert number 116"],
    ],
    ['the peer refused (alert "internal error")', ["", "received fatal alert: InternalError"]],
    [
      "no common version of TLS",
      ["ERR_SSL_UNSUPPORTED_PROTOCOL", "error:0A000102:SSL routines:tls_early_post_process_client_hello:unsupported protocol"],
      ["", "peer is incompatible: SupportedVersionsExtensionRequired"],
    ],
    ["no common application protocol (ALPN)", ["", "no application protocol"], ["", "peer doesn't support any known protocol"]],
    ["no common cipher", ["", "NO_SHARED_CIPHER"], ["", "peer is incompatible: NoCipherSuitesInCommon"]],
    ["the client gave no certificate", ["ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE", ""], ["", "peer sent no certificates"]],
    ["what came is not TLS", ["", "wrong version number"], ["", "HTTP_REQUEST"], ["", "received corrupt message of type InvalidContentType"]],
  ];
  for (const [reason, ...said] of cases) {
    for (const [code, message] of said) assert.equal(handshakeFailure(code, message), reason, message);
  }
  assert.equal(handshakeFailure("", "something else"), undefined);
});

test("refusedCertificate says what is plain to see in the certificate, whatever the code", () => {
  const good = { valid_from: "Jan  1 00:00:00 2020 GMT", valid_to: "Jan  1 00:00:00 2120 GMT", ext_key_usage: ["1.3.6.1.5.5.7.3.2"] };
  const message = (code: unknown, seen: Parameters<typeof refusedCertificate>[1]) => refusedCertificate(code, seen, "client").message;
  assert.equal(
    message("UNABLE_TO_VERIFY_LEAF_SIGNATURE", { ...good, valid_to: "Jan  1 00:00:00 2021 GMT" }),
    "TLS handshake: the certificate has expired, it was valid until 2021-01-01",
  );
  assert.equal(
    message("UNABLE_TO_VERIFY_LEAF_SIGNATURE", { ...good, valid_from: "Jan  1 00:00:00 2119 GMT" }),
    "TLS handshake: the certificate is not valid yet, it will be from 2119-01-01 on",
  );
  assert.match(message("UNABLE_TO_VERIFY_LEAF_SIGNATURE", { ...good, ext_key_usage: ["1.3.6.1.5.5.7.3.1"] }), /not made for this side/);
  assert.match(message("UNABLE_TO_VERIFY_LEAF_SIGNATURE", good), /unknown authority/);
  assert.match(message("CERT_REVOKED", {}), /was revoked/);
  assert.equal(message("SOME_OTHER_CHECK", good), "TLS handshake: the certificate was not accepted (some other check)");
  assert.equal(message(undefined, {}), "TLS handshake: the certificate was not accepted");
});
