import { strict as assert } from "node:assert";
import { test } from "node:test";
import { networkError } from "../../src/runtime/network_error.ts";

const message = (thrown: unknown, host?: string) => networkError("connect to a:1", thrown, host);

test("networkError knows the system's codes and keeps the action in front", () => {
  assert.deepEqual(message({ code: "ECONNREFUSED" }), { code: "refused", message: "connect to a:1: connection refused" });
  assert.equal(message({ code: "EMFILE" }).code, "descriptors");
  assert.equal(message({ code: "EACCES" }).code, "denied");
  assert.equal(message({ name: "ConnectionReset" }).code, "reset");
});

test("networkError takes the first of several attempts when the whole has no code", () => {
  assert.equal(message({ message: "all failed", errors: [{ code: "EHOSTUNREACH" }, { code: "ECONNREFUSED" }] }).code, "unreachable");
});

test("networkError says for which name a certificate is, and for which it should be", () => {
  const thrown = { code: "ERR_TLS_CERT_ALTNAME_INVALID", cert: { subjectaltname: "DNS:b" } };
  assert.equal(message(thrown, "a").message, 'connect to a:1: the certificate is not for "a", it is for DNS:b');
  assert.equal(message({ code: "ERR_TLS_CERT_ALTNAME_INVALID" }, "a").message, 'connect to a:1: the certificate is not for "a"');
});

test("networkError reads what OpenSSL and BoringSSL mean out of their lines", () => {
  for (const line of [
    "80AC:error:0A00010B:SSL routines:ssl3_get_record:no shared cipher:../deps/openssl/record.c:354:\n",
    "error:100000f7:SSL routines:OPENSSL_internal:NO_SHARED_CIPHER",
  ]) {
    const error = message({ code: "EPROTO", message: line });
    assert.deepEqual(error, { code: "tls", message: "connect to a:1: no common cipher" });
  }
});

test("networkError makes one line of anything that can be thrown", () => {
  for (const thrown of [undefined, null, "text", 5, {}, new Error("first\nsecond"), { errors: [] }]) {
    const error = message(thrown);
    assert.equal(error.code, "other");
    assert.ok(!error.message.includes("\n"));
  }
});
