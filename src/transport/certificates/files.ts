import type { FileError, Machine, System } from "../../runtime/types.ts";
import type { AuthorityFault } from "./authority_files.ts";

export type AuthoritySystem = Pick<System, "readFile" | "wallClock" | "machine">;

export const KEY_MODE = 0o600;
export const CERTIFICATE_MODE = 0o644;

/** `text` is undefined when there is no such file. */
export async function readText(system: AuthoritySystem, file: string): Promise<{ readonly text: string | undefined; readonly reason?: undefined } | AuthorityFault> {
  const bytes = await system.readFile(file);
  if (bytes instanceof Uint8Array) return { text: new TextDecoder().decode(bytes) };
  return bytes.code === "missing" ? { text: undefined } : fault(`cannot read "${file}": ${bytes.message}`);
}

/** A private key that others can read is no secret; where files have no mode that means anything, nothing is said. */
export async function warnOfReaders(machine: Machine, file: string): Promise<string[]> {
  const mode = await machine.fileMode(file);
  if (machine.userId === undefined || typeof mode !== "number" || (mode & 0o077) === 0) return [];
  return [`the private key "${file}" can be read by others than its owner: chmod 600 ${file}`];
}

export function cannotWrite(file: string, error: FileError): AuthorityFault {
  return fault(`cannot write "${file}": ${error.message}`);
}

export function fault(reason: string, suggestion?: string): AuthorityFault {
  return { reason, suggestion };
}
