import { hex, readDerValue, readInside, TAG, type DerValue } from "./der.ts";
import { readPem } from "./pem.ts";

/** The public key in an ECPrivateKey (RFC 5915 section 3), which need not be there. */
const EC_PUBLIC_KEY = 0xa1;

/**
 * Whether a private key, PEM text, says in so many words that a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) is its own: keys for RSA and
 * mostly those for elliptic curves do. False says nothing: a library has to be asked, and that costs 2 MB on Bun which most never need.
 * Whether the private half is that of the public one is seen by the TLS library.
 */
export function namesPublicKey(keyPem: string, publicKey: DerValue): boolean {
  const [algorithm, bits] = readInside(publicKey, TAG.sequence) ?? [];
  if (algorithm === undefined || bits?.tag !== TAG.bitString) return false;
  const key = bits.contents.subarray(1); // behind the count of unused bits
  return readPem(keyPem).some(({ label, der }) => {
    const value = der && readDerValue(der);
    if (label === "RSA PRIVATE KEY") return isRsaKeyOf(value, key);
    if (label === "EC PRIVATE KEY") return isEcKeyOf(value, key);
    if (label !== "PRIVATE KEY") return false;
    // PrivateKeyInfo, RFC 5208 section 5
    const [, itsAlgorithm, wrapped] = readInside(value, TAG.sequence) ?? [];
    if (itsAlgorithm === undefined || wrapped?.tag !== TAG.octetString || !isSame(itsAlgorithm.whole, algorithm.whole)) return false;
    const inner = readDerValue(wrapped.contents);
    return isRsaKeyOf(inner, key) || isEcKeyOf(inner, key);
  });
}

/** RSAPrivateKey and RSAPublicKey (RFC 8017 appendix A.1) have the same two numbers: modulus and exponent. */
function isRsaKeyOf(privateKey: DerValue | undefined, key: Uint8Array): boolean {
  const [, modulus, exponent] = readInside(privateKey, TAG.sequence) ?? [];
  const [itsModulus, itsExponent] = readInside(readDerValue(key), TAG.sequence) ?? [];
  if (modulus?.tag !== TAG.integer || exponent?.tag !== TAG.integer || itsModulus === undefined || itsExponent === undefined) return false;
  return isSame(modulus.whole, itsModulus.whole) && isSame(exponent.whole, itsExponent.whole);
}

function isEcKeyOf(privateKey: DerValue | undefined, key: Uint8Array): boolean {
  const inside = readInside(privateKey, TAG.sequence)?.find(({ tag }) => tag === EC_PUBLIC_KEY);
  const bits = inside && readDerValue(inside.contents);
  return bits?.tag === TAG.bitString && isSame(bits.contents.subarray(1), key);
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length > 0 && hex(one) === hex(other);
}
