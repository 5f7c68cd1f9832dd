import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createCertificateAuthenticator, type CertificateField } from "../../../src/policy/authentication/certificate.ts";
import { certificate, client } from "./identities.ts";

describe("createCertificateAuthenticator", () => {
  const whole = certificate({ commonName: "sensor 1", dns: ["sensor-1.example"], email: ["a+b@example.com"], uri: ["urn:dev:mac:0024befffe804ff1"], ip: ["2001:db8::1"] });
  const names: [CertificateField, string][] = [
    ["common_name", "sensor 1"],
    ["dns", "sensor-1.example"],
    ["email", "a+b@example.com"],
    ["uri", "urn:dev:mac:0024befffe804ff1"],
    ["ip", "2001:db8::1"],
  ];
  for (const [field, username] of names) {
    test(`${field} becomes the user name, in place of what the client says`, () => {
      const { check } = createCertificateAuthenticator(field);
      assert.deepEqual(check(client({ certificate: whole, username: "root", password: "x" })), { kind: "allowed", username });
    });
  }

  test("clients without a certificate are left to the next", () => {
    assert.deepEqual(createCertificateAuthenticator("common_name").check(client({ username: "alice", password: "x" })), { kind: "next" });
  });

  const refusals: [string, CertificateField, Parameters<typeof certificate>[0]][] = [
    ["no common name", "common_name", { dns: ["a"] }],
    ["a name of another kind alone: CVE-2022-21656", "dns", { commonName: "a", email: ["a.example"], uri: ["a.example"] }],
    ["two of the kind", "dns", { dns: ["a", "b"] }],
    ["an empty name", "common_name", { commonName: "" }],
    ["T6: a NUL", "common_name", { commonName: "alice\u0000.example" }],
    ["T6: a line break", "common_name", { commonName: "alice\r\nX-Allow: 1" }],
    ["an escape sequence", "common_name", { commonName: "\u001b[2Jalice" }],
    ["half a character", "common_name", { commonName: "alice\ud800" }],
    ["a mark that turns the reading order", "common_name", { commonName: "\u202eecila" }],
    ["more than MQTT can carry", "uri", { uri: ["a".repeat(65_536)] }],
  ];
  for (const [what, field, shown] of refusals) {
    test(`refuses ${what}`, () => {
      const verdict = createCertificateAuthenticator(field).check(client({ certificate: certificate(shown), username: "alice" }));
      assert.ok(!(verdict instanceof Promise) && verdict.kind === "refused" && verdict.code === "not_authorized");
      assert.match(verdict.detail, /^[\x20-\x7e]{1,120}$/);
    });
  }
});
