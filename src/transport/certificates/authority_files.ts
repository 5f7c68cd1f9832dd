import { join } from "node:path";
import type { Machine } from "../../runtime/types.ts";
import { cannotWrite, CERTIFICATE_MODE, fault, KEY_MODE, readText, type AuthoritySystem } from "./files.ts";
import { createKey, openSigningKey } from "./keys.ts";
import { COMMON_NAME_LENGTH_MAX, DAYS, makeAuthority } from "./make.ts";

/** Why something cannot be used or made, in words that need nothing before them. */
export interface AuthorityFault {
  readonly reason: string;
  readonly suggestion: string | undefined;
}

/** What the files of an authority hold: PEM text. */
export interface AuthorityFiles {
  readonly caFile: string;
  readonly keyFile: string;
  readonly cert: string;
  /** undefined: it is kept elsewhere, and nothing can be signed here. */
  readonly key: string | undefined;
  /** It was made just now, so no device trusts it yet. */
  readonly created: boolean;
}

/** Two files are made; that others make them at the same time, or remove them, cannot go on for ever. */
const ROUNDS_MAX = 8;
const DIRECTORY_MODE = 0o700;

/**
 * Reads ca.pem and ca.key of the directory, and makes what is missing of them, the directory too. What is there is never overwritten: when
 * several start at once, the first to write a file has made it for all.
 */
export async function ensureAuthorityFiles(system: AuthoritySystem, directory: string): Promise<AuthorityFiles | AuthorityFault> {
  const machine = await system.machine();
  const refused = await machine.makeDirectory(directory, DIRECTORY_MODE);
  if (refused) return fault(`cannot make the directory "${directory}": ${refused.message}`, "set STATE_DIRECTORY or XDG_STATE_HOME to a directory that can be written");
  const caFile = join(directory, "ca.pem");
  const keyFile = join(directory, "ca.key");
  let created = false;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const cert = await readText(system, caFile);
    const key = await readText(system, keyFile);
    if (cert.reason !== undefined) return cert;
    if (key.reason !== undefined) return key;
    if (cert.text !== undefined) return { caFile, keyFile, cert: cert.text, key: key.text, created };
    const next = key.text === undefined ? { file: keyFile, text: createKey().pem, mode: KEY_MODE } : await certify(system, machine, caFile, key.text);
    if (next === undefined) return fault(`cannot use "${keyFile}" as an authority's key: expected PEM text of an EC P-256, EC P-384 or RSA key`, "remove it, and a new authority is made");
    const error = await machine.writeFile(next.file, next.text, { mode: next.mode, replace: false });
    if (error && error.code !== "exists") return cannotWrite(next.file, error);
    if (error === undefined && next.file === caFile) created = true;
  }
  return fault(`cannot make an authority in "${directory}": its files appear and disappear`);
}

/** What an authority is called unless somebody says otherwise. */
export function authorityName(machine: Machine): string {
  return `sluice CA on ${machine.hostName()}`.replace(/[^\x20-\x7e]/g, "?").slice(0, COMMON_NAME_LENGTH_MAX);
}

async function certify(system: AuthoritySystem, machine: Machine, file: string, keyText: string): Promise<{ file: string; text: string; mode: number } | undefined> {
  const key = await openSigningKey(keyText);
  if (key === undefined) return undefined;
  const { cert } = await makeAuthority({ commonName: authorityName(machine), key, days: DAYS.authority, now: system.wallClock() });
  return { file, text: cert, mode: CERTIFICATE_MODE };
}
