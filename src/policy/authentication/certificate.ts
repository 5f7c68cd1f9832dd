import { isUsername } from "./username.ts";
import { NEXT, refused, type Authenticator, type IdentityCertificate } from "./types.ts";

/** Where the user's name stands in a certificate: its common name, or its only alternative name of one kind. */
export type CertificateField = "common_name" | "dns" | "email" | "uri" | "ip";

/**
 * Makes a name in the client's certificate its user name. Clients without one are left to the next. Names of other kinds are never looked
 * at: an e-mail address is no host (CVE-2022-21656), and who may choose one of several names chooses who they are.
 */
export function createCertificateAuthenticator(field: CertificateField): Authenticator {
  return {
    name: "certificate",
    check({ certificate }) {
      if (certificate === undefined) return NEXT;
      const names = namesIn(certificate, field);
      if (names.length !== 1) return refused("not_authorized", `the certificate has ${names.length === 0 ? "no" : names.length} names of the kind ${field}: expected one`);
      const [username] = names;
      return isUsername(username) ? { kind: "allowed", username } : refused("not_authorized", `the name of the kind ${field} in the certificate cannot be a user name`);
    },
  };
}

function namesIn({ commonName, names }: IdentityCertificate, field: CertificateField): readonly string[] {
  if (field === "common_name") return commonName === undefined ? [] : [commonName];
  return names[field];
}
