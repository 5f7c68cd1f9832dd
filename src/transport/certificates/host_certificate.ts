import { X509Certificate } from "node:crypto";
import type { AuthorityFault, AuthorityFiles } from "./authority_files.ts";
import { cannotWrite, CERTIFICATE_MODE, fault, KEY_MODE, readText, type AuthoritySystem } from "./files.ts";
import type { GivenName } from "./given_name.ts";
import { createKey, openKey, type Key } from "./keys.ts";
import { DAYS, makeServerCertificate } from "./make.ts";
import { certificateProblems } from "./pair.ts";
import { readCertificate, type Certificate } from "./read.ts";
import { openSigner } from "./signer.ts";

const DAY_MS = 86_400_000;
const RENEW_BEFORE_MS = 30 * DAY_MS;

/** Where the certificate of this host lies, who signs it and what it shall be for. */
export interface HostCertificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly authority: AuthorityFiles;
  readonly names: readonly GivenName[];
}

export interface Renewal {
  readonly issued: boolean;
  /** Why it could not be made anew, though it should be. */
  readonly fault: AuthorityFault | undefined;
  /** Whether there is one that can be used, whatever came of the rest. */
  readonly serves: boolean;
}

/** Makes the certificate anew when it is missing or useless, ends within 30 days, or is for other names. */
export async function renewHostCertificate(system: AuthoritySystem, host: HostCertificate): Promise<Renewal> {
  const cert = await readText(system, host.certFile);
  const key = await readText(system, host.keyFile);
  if (cert.reason !== undefined) return { issued: false, fault: cert, serves: false };
  if (key.reason !== undefined) return { issued: false, fault: key, serves: false };
  const now = system.wallClock();
  const authority = readCertificate(host.authority.cert);
  const current = readCertificate(cert.text ?? "");
  const serves = authority !== undefined && current !== undefined
    && certificateProblems({ cert: cert.text ?? "", key: key.text ?? "" }, now).length === 0 && isSignedBy(current, authority);
  if (serves && isFor(current, host.names) && !endsSoon(current, authority, now)) return { issued: false, fault: undefined, serves };
  const failed = await issue(system, host, key.text);
  return { issued: failed === undefined, fault: failed, serves: serves || failed === undefined };
}

/** Answers what went wrong. The key stays when it can be used: then one file is replaced, and no moment comes in which the two do not fit. */
async function issue(system: AuthoritySystem, { certFile, keyFile, authority, names }: HostCertificate, keyText: string | undefined): Promise<AuthorityFault | undefined> {
  if (authority.key === undefined) {
    return fault(`the authority's key "${authority.keyFile}" is missing`, `put it back; or remove "${authority.caFile}", and let devices trust the new authority that is made then`);
  }
  const now = system.wallClock();
  const signer = await openSigner({ cert: authority.cert, key: authority.key }, now);
  if ("reason" in signer) {
    return fault(`cannot sign with "${signer.about === "key" ? authority.keyFile : authority.caFile}": ${signer.reason}`, "remove ca.pem and ca.key, and let devices trust the new authority that is made then");
  }
  const key = await hostKey(system, keyFile, keyText);
  if ("reason" in key) return key;
  const { cert } = await makeServerCertificate(signer, { names, key, days: DAYS.server, now });
  const machine = await system.machine();
  const error = await machine.writeFile(certFile, cert, { mode: CERTIFICATE_MODE, replace: true });
  return error && cannotWrite(certFile, error);
}

/** The key that is there, or a new one; when several start at once, the first to write it has made it for all. */
async function hostKey(system: AuthoritySystem, file: string, text: string | undefined): Promise<Key | AuthorityFault> {
  const given = text === undefined ? undefined : openKey(text);
  if (given) return given;
  const fresh = createKey();
  const machine = await system.machine();
  const error = await machine.writeFile(file, fresh.pem, { mode: KEY_MODE, replace: text !== undefined });
  if (error?.code !== "exists") return error ? cannotWrite(file, error) : fresh;
  const other = await readText(system, file);
  if (other.reason !== undefined) return other;
  return openKey(other.text ?? "") ?? fault(`cannot use "${file}" as a private key: expected PEM text`);
}

/** The signature counts: authorities that were made on the same host have the same name. */
function isSignedBy(certificate: Certificate, authority: Certificate): boolean {
  try {
    const signer = new X509Certificate(authority.fields.der);
    const signed = new X509Certificate(certificate.fields.der);
    return signed.checkIssued(signer) && signed.verify(signer.publicKey);
  } catch {
    return false;
  }
}

function isFor({ names: { dns, ip } }: Certificate, names: readonly GivenName[]): boolean {
  const given = new Set([...dns.map((name) => `dns ${name}`), ...ip.map((address) => `ip ${address}`)]);
  const wanted = new Set(names.map(({ kind, value }) => `${kind} ${value}`));
  return given.size === wanted.size && [...wanted].every((name) => given.has(name));
}

/** A certificate that ends with its authority cannot be had for longer. */
function endsSoon(certificate: Certificate, authority: Certificate, now: number): boolean {
  return certificate.notAfter - now < RENEW_BEFORE_MS && certificate.notAfter < authority.notAfter;
}
