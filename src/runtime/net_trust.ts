import { readFileSync } from "node:fs";
import process from "node:process";
import { createSecureContext, type SecureContext } from "node:tls";

/** Reading the system's authorities takes 10 ms and more, so a context is made once for each set of material. */
const contexts = new Map<string, SecureContext>();
const CONTEXTS_MAX = 16;

/** For dialing: the authorities to trust (absent: the system's), and our own certificate with its key. All PEM text; throws when it is not. */
export function clientContext(authorities: string | undefined, cert: string | undefined, key: string | undefined): SecureContext {
  const name = JSON.stringify([authorities, cert, key]);
  let context = contexts.get(name);
  if (context === undefined) {
    const ca = authorities ?? systemAuthorities();
    context = createSecureContext({ minVersion: "TLSv1.2", ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert, key }) });
    if (contexts.size === CONTEXTS_MAX) contexts.clear();
    contexts.set(name, context);
  }
  return context;
}

/** Where Linux distributions keep what their machine trusts. Elsewhere, the runtime's own list has to do. */
const AUTHORITY_FILES = [
  "/etc/ssl/certs/ca-certificates.crt", // Debian, Alpine, Arch
  "/etc/pki/tls/certs/ca-bundle.crt", // Fedora, Red Hat
  "/etc/ssl/ca-bundle.pem", // SUSE
];

function systemAuthorities(): string | undefined {
  const named = process.env["SSL_CERT_FILE"];
  for (const file of named ? [named] : AUTHORITY_FILES) {
    try {
      return readFileSync(file, "utf8");
    } catch {
      // Not this distribution.
    }
  }
  return undefined;
}
