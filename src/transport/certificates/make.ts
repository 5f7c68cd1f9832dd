import type { Extension, JsonGeneralName, Name } from "@peculiar/x509";
import { hex, readDerValue, TAG } from "./der.ts";
import type { GivenName } from "./given_name.ts";
import type { Key, SigningKey } from "./keys.ts";
import { loadX509Library, type X509Library } from "./library.ts";
import type { PemPair } from "./pair.ts";
import { writePem } from "./pem.ts";
import type { Signer } from "./signer.ts";

const DAY_MS = 86_400_000;
/** A certificate is good from a day before it was made: the clocks of devices are wrong, and they must not refuse it for that. */
const BACKDATED_MS = DAY_MS;
const SUBJECT_KEY_IDENTIFIER = "551d0e";
/** X.520's upper bound, which OpenSSL and others hold to. */
export const COMMON_NAME_LENGTH_MAX = 64;

export const DAYS = { authority: 3650, server: 365, client: 730 } as const;
/** A limit of the browsers' authorities that some TLS libraries hold everybody to. */
export const SERVER_DAYS_MAX = 397;

export interface Lifetime {
  /** From now on; a certificate ends with its authority at the latest. */
  readonly days: number;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Signs servers and clients, and no further authorities. The common name has at most 64 characters. */
export async function makeAuthority({ commonName, key, ...lifetime }: Lifetime & { readonly commonName: string; readonly key: SigningKey }): Promise<PemPair> {
  const library = await loadX509Library();
  const { BasicConstraintsExtension, KeyUsagesExtension, KeyUsageFlags, SubjectKeyIdentifierExtension } = library;
  const name = nameOf(library, commonName);
  const made = await library.X509CertificateGenerator.create({
    subject: name,
    issuer: name,
    ...dates(lifetime),
    publicKey: key.publicKey,
    signingKey: key.cryptoKey,
    signingAlgorithm: key.algorithm,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(key.publicKey),
    ],
  });
  return { cert: writePem("CERTIFICATE", new Uint8Array(made.rawData)), key: key.pem };
}

/** For servers: at least one name, each `dns` or `ip`. */
export async function makeServerCertificate(signer: Signer, { names, key, ...lifetime }: Lifetime & { readonly names: readonly GivenName[]; readonly key: Key }): Promise<PemPair> {
  const commonName = names.find(({ value }) => value.length <= COMMON_NAME_LENGTH_MAX)?.value;
  return makeLeaf(signer, { usage: "serverAuth", commonName, names, key, lifetime });
}

/** For clients, known by their common name: at most 64 characters. */
export async function makeClientCertificate(signer: Signer, options: Lifetime & { readonly commonName: string; readonly names: readonly GivenName[]; readonly key: Key }): Promise<PemPair> {
  const { commonName, names, key, ...lifetime } = options;
  return makeLeaf(signer, { usage: "clientAuth", commonName, names, key, lifetime });
}

interface Leaf {
  readonly usage: "serverAuth" | "clientAuth";
  readonly commonName: string | undefined;
  readonly names: readonly GivenName[];
  readonly key: Key;
  readonly lifetime: Lifetime;
}

async function makeLeaf(signer: Signer, { usage, commonName, names, key, lifetime }: Leaf): Promise<PemPair> {
  const library = await loadX509Library();
  const made = await library.X509CertificateGenerator.create({
    subject: nameOf(library, commonName),
    // The authority's name as it stands there, byte for byte: a text would be put together again in another way.
    issuer: new library.X509Certificate(signer.certificate.fields.der).subjectName,
    ...dates(lifetime, signer.certificate.notAfter),
    publicKey: key.publicKey,
    signingKey: signer.key.cryptoKey,
    signingAlgorithm: signer.key.algorithm,
    extensions: [
      new library.BasicConstraintsExtension(false, undefined, true),
      new library.KeyUsagesExtension(library.KeyUsageFlags.digitalSignature, true),
      new library.ExtendedKeyUsageExtension([library.ExtendedKeyUsage[usage]]),
      await library.SubjectKeyIdentifierExtension.create(key.publicKey),
      await authorityKeyIdentifier(library, signer),
      ...alternativeNames(library, names, commonName === undefined),
    ],
  });
  return { cert: writePem("CERTIFICATE", new Uint8Array(made.rawData)), key: key.pem };
}

/** The identifier that the authority gives itself; whoever signed it may have made it in another way than this library. */
async function authorityKeyIdentifier({ AuthorityKeyIdentifierExtension }: X509Library, { certificate: { fields } }: Signer): Promise<Extension> {
  const given = readDerValue(fields.extensions.get(SUBJECT_KEY_IDENTIFIER) ?? new Uint8Array());
  if (given?.tag === TAG.octetString) return new AuthorityKeyIdentifierExtension(hex(given.contents));
  return AuthorityKeyIdentifierExtension.create(fields.publicKey.whole);
}

/** Critical where there is no other name (RFC 5280 section 4.2.1.6). */
function alternativeNames({ SubjectAlternativeNameExtension }: X509Library, names: readonly GivenName[], isCritical: boolean): Extension[] {
  if (names.length === 0) return [];
  const written = names.map(({ kind, value }): JsonGeneralName => ({ type: kind === "uri" ? "url" : kind, value }));
  return [new SubjectAlternativeNameExtension(written, isCritical)];
}

/** Given as a value of its type: in a text, a comma or a `#` would mean something. */
function nameOf({ Name }: X509Library, commonName: string | undefined): Name {
  return new Name(commonName === undefined ? [] : [{ CN: [{ utf8String: commonName }] }]);
}

function dates({ days, now }: Lifetime, end = Infinity): { notBefore: Date; notAfter: Date } {
  // Certificates count in seconds, and the authority's end must not be passed by a fraction.
  const wanted = Math.floor((now + days * DAY_MS) / 1000) * 1000;
  return { notBefore: new Date(now - BACKDATED_MS), notAfter: new Date(Math.min(wanted, end)) };
}
