import { addressText } from "../../lib/network.ts";
import { readDerValue, readInside, TAG, type DerValue } from "./der.ts";
import { readAscii } from "./der_text.ts";

/** Names by their kind, each as it stands in the certificate: one kind never passes for another. */
export interface AlternativeNames {
  readonly dns: readonly string[];
  readonly email: readonly string[];
  readonly uri: readonly string[];
  /** As `Connection.remoteAddress` writes them. */
  readonly ip: readonly string[];
}

export const NO_NAMES: AlternativeNames = { dns: [], email: [], uri: [], ip: [] };

/** More are not kept: a session holds them as long as it lives. */
const NAMES_MAX = 256;

/** The tags of a GeneralName's choices (RFC 5280 section 4.2.1.6). Others, such as directory names, are passed over. */
const KINDS: ReadonlyMap<number, keyof AlternativeNames> = new Map([
  [0x81, "email"],
  [0x82, "dns"],
  [0x86, "uri"],
  [0x87, "ip"],
]);

/**
 * The names in a SubjectAltName extension. One that has control characters (a NUL, a line break) or is not ASCII is dropped; `#`, `+` and
 * spaces stay, and mean nothing here. undefined: the extension is no list of names.
 */
export function readAlternativeNames(extension: Uint8Array): AlternativeNames | undefined {
  const list = readInside(readDerValue(extension), TAG.sequence);
  if (list === undefined) return undefined;
  const names: Record<keyof AlternativeNames, string[]> = { dns: [], email: [], uri: [], ip: [] };
  let kept = 0;
  for (const value of list) {
    const kind = KINDS.get(value.tag);
    const text = kind && readName(kind, value);
    if (kind === undefined || text === undefined || kept >= NAMES_MAX) continue;
    names[kind].push(text);
    kept++;
  }
  return names;
}

function readName(kind: keyof AlternativeNames, { contents }: DerValue): string | undefined {
  if (kind !== "ip") return readAscii(contents);
  return contents.length === 4 || contents.length === 16 ? addressText(contents) : undefined;
}
