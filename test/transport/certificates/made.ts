import { createKey, openSigningKey } from "../../../src/transport/certificates/keys.ts";
import { readGivenName, type GivenName } from "../../../src/transport/certificates/given_name.ts";
import { makeAuthority, makeClientCertificate, makeServerCertificate } from "../../../src/transport/certificates/make.ts";
import type { PemPair } from "../../../src/transport/certificates/pair.ts";
import { openSigner, type Signer } from "../../../src/transport/certificates/signer.ts";

export function givenNames(...texts: readonly string[]): GivenName[] {
  return texts.map((text) => {
    const name = readGivenName(text);
    if (name === undefined) throw new RangeError(`read the name "${text}"`);
    return name;
  });
}

export async function signerOf(authority: PemPair, now = Date.now()): Promise<Signer> {
  const signer = await openSigner(authority, now);
  if ("reason" in signer) throw new Error(signer.reason);
  return signer;
}

export async function authority({ commonName = "Test CA", days = 3650, now = Date.now() } = {}): Promise<PemPair> {
  const key = await openSigningKey(createKey().pem);
  if (key === undefined) throw new Error("a fresh key cannot sign");
  return makeAuthority({ commonName, key, days, now });
}

export async function server(ca: PemPair, names: readonly string[], { days = 365, now = Date.now() } = {}): Promise<PemPair> {
  return makeServerCertificate(await signerOf(ca, now), { names: givenNames(...names), key: createKey(), days, now });
}

export async function client(ca: PemPair, commonName: string, names: readonly string[] = [], { days = 730, now = Date.now() } = {}): Promise<PemPair> {
  return makeClientCertificate(await signerOf(ca, now), { commonName, names: givenNames(...names), key: createKey(), days, now });
}
