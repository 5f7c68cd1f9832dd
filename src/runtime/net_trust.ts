import { readFileSync } from "node:fs";
import process from "node:process";
import { createSecureContext, type SecureContext } from "node:tls";
import { keyProblem } from "./net_material.ts";
import { materialReason, unusable } from "./tls_material.ts";
import type { NetworkError } from "./types.ts";

/** Reading the system's authorities takes 10 ms and more, so a context is made once for each set of material. */
const contexts = new Map<string, SecureContext | NetworkError>();
const CONTEXTS_MAX = 16;

/** For dialing: the authorities to trust (absent: the system's), and our own certificate with its key. All PEM text. */
export function clientContext(authorities: string | undefined, cert: string | undefined, key: string | undefined): SecureContext | NetworkError {
  const name = JSON.stringify([authorities, cert, key]);
  let context = contexts.get(name);
  if (context === undefined) {
    const ca = authorities ?? systemAuthorities();
    if (typeof ca === "object") return ca; // it may be there the next time
    context = makeContext(ca, cert, key);
    if (contexts.size === CONTEXTS_MAX) contexts.clear();
    contexts.set(name, context);
  }
  return context;
}

function makeContext(ca: string | undefined, cert: string | undefined, key: string | undefined): SecureContext | NetworkError {
  const problem = cert === undefined ? undefined : keyProblem(cert, key ?? "");
  if (problem !== undefined) return problem;
  try {
    return createSecureContext({ minVersion: "TLSv1.2", ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert, key }) });
  } catch (thrown) {
    return unusable("the authorities", materialReason(thrown));
  }
}

/** Where Linux distributions keep what their machine trusts. Elsewhere, the runtime's own list has to do. */
const AUTHORITY_FILES = [
  "/etc/ssl/certs/ca-certificates.crt", // Debian, Alpine, Arch
  "/etc/pki/tls/certs/ca-bundle.crt", // Fedora, Red Hat
  "/etc/ssl/ca-bundle.pem", // SUSE
];

function systemAuthorities(): string | NetworkError | undefined {
  const named = process.env["SSL_CERT_FILE"];
  for (const file of named ? [named] : AUTHORITY_FILES) {
    try {
      return readFileSync(file, "utf8");
    } catch {
      // Not this distribution; or the one that was asked for, and no other is trusted in its place.
      if (named) return { code: "tls", message: `cannot read the authorities of SSL_CERT_FILE, "${named}"` };
    }
  }
  return undefined;
}
