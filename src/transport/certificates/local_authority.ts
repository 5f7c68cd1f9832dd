import { join } from "node:path";
import type { AuthorityFault, AuthorityFiles } from "./authority_files.ts";
import { dateText } from "./date_text.ts";
import { fault, warnOfReaders, type AuthoritySystem } from "./files.ts";
import { readServedName, type GivenName } from "./given_name.ts";
import type { Renewal } from "./host_certificate.ts";
import { readCertificate } from "./read.ts";

export interface LocalAuthorityOptions {
  readonly directory: string;
  /** DNS names and addresses of this host, the best known first (`hostNames`). */
  readonly names: readonly string[];
}

export interface LocalAuthority {
  /** What devices must trust. */
  readonly caFile: string;
  /** The certificate of this host, and its key. */
  readonly certFile: string;
  readonly keyFile: string;
  /** The authority was made just now: no device trusts it yet. */
  readonly created: boolean;
  /** The certificate of this host was made just now. */
  readonly issued: boolean;
  /** For people, and none of them a reason not to start. */
  readonly warnings: readonly string[];
}

/** Devices need time to get to know a new authority. */
const WARN_BEFORE_MS = 180 * 86_400_000;

/**
 * The authority of this host (ca.pem, ca.key) and a certificate for it (server.pem, server.key), made where they are missing, renewed where they
 * must be. What exists of the authority is never replaced. An old certificate that still serves is better than no start: then what keeps
 * it from being renewed is a warning. Never rejects.
 */
export async function ensureLocalAuthority(system: AuthoritySystem, { directory, names }: LocalAuthorityOptions): Promise<LocalAuthority | AuthorityFault> {
  const wanted: GivenName[] = [];
  for (const text of names) {
    const name = readServedName(text);
    if (name === undefined) return fault(`cannot make a certificate for ${JSON.stringify(text)}: expected a DNS name or an IP address`);
    wanted.push(name);
  }
  // Late, for what they need: `node:crypto` costs 5 MB on Bun, which only those pay who have certificates made.
  const { ensureAuthorityFiles } = await import("./authority_files.ts");
  const { renewHostCertificate } = await import("./host_certificate.ts");
  const authority = await ensureAuthorityFiles(system, directory);
  if ("reason" in authority) return authority;
  const host = { certFile: join(directory, "server.pem"), keyFile: join(directory, "server.key"), authority, names: wanted };
  const renewal = await renewHostCertificate(system, host);
  if (renewal.fault && !renewal.serves) return renewal.fault;
  const { certFile, keyFile } = host;
  const { caFile, created } = authority;
  return { caFile, certFile, keyFile, created, issued: renewal.issued, warnings: await warningsOf(system, authority, keyFile, renewal) };
}

async function warningsOf(system: AuthoritySystem, { caFile, keyFile, cert }: AuthorityFiles, hostKeyFile: string, { fault: failed }: Renewal): Promise<string[]> {
  const machine = await system.machine();
  const end = readCertificate(cert)?.notAfter ?? Infinity;
  return [
    ...(failed ? [`the certificate of this host cannot be renewed: ${failed.reason}`] : []),
    ...(end - system.wallClock() < WARN_BEFORE_MS ? [`the authority "${caFile}" ends on ${dateText(end)}, and what it signed with it`] : []),
    ...(await warnOfReaders(machine, keyFile)),
    ...(await warnOfReaders(machine, hostKeyFile)),
  ];
}
