import { hex, objectIdentifierText, readInside, TAG, type DerValue } from "./der.ts";
import { readDerText } from "./der_text.ts";

const COMMON_NAME = "550403";

/** How people write the attributes of a name: RFC 4514 section 3, and the e-mail address that OpenSSL puts there. */
const SHORT_NAMES: ReadonlyMap<string, string> = new Map([
  [COMMON_NAME, "CN"],
  ["550405", "serialNumber"],
  ["550406", "C"],
  ["550407", "L"],
  ["550408", "ST"],
  ["550409", "STREET"],
  ["55040a", "O"],
  ["55040b", "OU"],
  ["0992268993f22c640101", "UID"],
  ["0992268993f22c640119", "DC"],
  ["2a864886f70d010901", "emailAddress"],
]);

interface Attribute {
  readonly type: DerValue;
  readonly value: DerValue;
}

/** The attributes of a Name (RFC 5280 section 4.1.2.4) in their order; undefined when it is none. */
function readAttributes(name: DerValue): Attribute[] | undefined {
  const sets = readInside(name, TAG.sequence)?.map((set) => readInside(set, TAG.set));
  const attributes: Attribute[] = [];
  for (const set of sets ?? [undefined]) {
    if (set === undefined) return undefined;
    for (const attribute of set) {
      const [type, value] = readInside(attribute, TAG.sequence) ?? [];
      if (type?.tag !== TAG.objectIdentifier || value === undefined) return undefined;
      attributes.push({ type, value });
    }
  }
  return attributes;
}

/**
 * The one common name. undefined when there is none, when it is dropped (control characters, no text), and when there are two: programs
 * disagree on which of them counts, and who can choose between two names is nobody for sure.
 */
export function readCommonName(name: DerValue): string | undefined {
  const found = readAttributes(name)?.filter(({ type }) => hex(type.contents) === COMMON_NAME);
  return found?.length === 1 ? readDerText(found[0]!.value) : undefined;
}

/** The name in one line, in the order of the certificate: `O=Acme, CN=sensor-1`. Unsafe until it went through `printable`. */
export function nameText(name: DerValue): string {
  const attributes = readAttributes(name);
  if (attributes === undefined) return "(unreadable)";
  return attributes.map(({ type, value }) => `${SHORT_NAMES.get(hex(type.contents)) ?? objectIdentifierText(type.contents)}=${valueText(value)}`).join(", ");
}

/** Escaped as in RFC 4514 section 2.4, so that a comma in a value is not taken for the next attribute. */
function valueText(value: DerValue): string {
  const text = readDerText(value);
  return text === undefined ? "(unreadable)" : text.replace(/[,+"\\<>;=]|^[ #]| $/g, "\\$&");
}
