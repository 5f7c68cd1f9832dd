import { createPrivateKey, X509Certificate } from "node:crypto";
import { materialReason, pemBlocks, unusable } from "./tls_material.ts";
import type { NetworkError } from "./types.ts";

const OWN = "the certificate and its key";

/** Deno would find out in the first handshake, or never say it. */
export function keyProblem(cert: string, key: string): NetworkError | undefined {
  try {
    const [own] = pemBlocks(cert, "CERTIFICATE").map((block) => new X509Certificate(block));
    if (own === undefined) return unusable(OWN, "there is no PEM certificate in it");
    return own.checkPrivateKey(createPrivateKey(key)) ? undefined : unusable(OWN, "the key does not belong to the certificate");
  } catch (thrown) {
    return unusable(OWN, materialReason(thrown));
  }
}

/** Node drops authorities that it cannot read. */
export function authorityProblem(authorities: string | undefined): NetworkError | undefined {
  try {
    for (const block of pemBlocks(authorities ?? "", "CERTIFICATE")) new X509Certificate(block);
    return undefined;
  } catch (thrown) {
    return unusable("the client authorities", materialReason(thrown));
  }
}
