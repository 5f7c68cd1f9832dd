import { hex, objectIdentifierText, readDerValue, readInside, TAG, type DerValue } from "./der.ts";

const ELLIPTIC = "2a8648ce3d0201";
const RSA = "2a864886f70d010101";
const CURVES: ReadonlyMap<string, string> = new Map([
  ["2a8648ce3d030107", "P-256"],
  ["2b81040022", "P-384"],
  ["2b81040023", "P-521"],
]);
const OTHERS: ReadonlyMap<string, string> = new Map([
  ["2b6570", "Ed25519"],
  ["2b6571", "Ed448"],
]);

/** What kind of key a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) holds, for people: `EC P-256`, `RSA 2048`, `Ed25519`. */
export function keyTypeText(publicKey: DerValue): string {
  const [algorithm, key] = readInside(publicKey, TAG.sequence) ?? [];
  const [identifier, parameter] = readInside(algorithm, TAG.sequence) ?? [];
  if (identifier?.tag !== TAG.objectIdentifier) return "(unreadable)";
  const name = hex(identifier.contents);
  if (name === ELLIPTIC) return `EC ${curveText(parameter)}`;
  if (name === RSA) return `RSA ${modulusBits(key) ?? "(unreadable)"}`;
  return OTHERS.get(name) ?? objectIdentifierText(identifier.contents);
}

function curveText(parameter: DerValue | undefined): string {
  if (parameter?.tag !== TAG.objectIdentifier) return "(unnamed curve)";
  return CURVES.get(hex(parameter.contents)) ?? objectIdentifierText(parameter.contents);
}

/** The first number of an RSAPublicKey (RFC 8017 appendix A.1.1), which stands in a bit string behind the count of its unused bits. */
function modulusBits(key: DerValue | undefined): number | undefined {
  if (key?.tag !== TAG.bitString) return undefined;
  const modulus = readInside(readDerValue(key.contents.subarray(1)), TAG.sequence)?.[0];
  if (modulus?.tag !== TAG.integer) return undefined;
  const first = modulus.contents.findIndex((byte) => byte !== 0);
  if (first < 0) return undefined;
  return (modulus.contents.length - first) * 8 - Math.clz32(modulus.contents[first]!) + 24;
}
