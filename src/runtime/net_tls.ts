import type { Socket } from "node:net";
import process from "node:process";
import type { TLSSocket } from "node:tls";
import type { TlsFacts } from "./types.ts";

/** It does not look at revocation lists, and has one code for whatever is wrong with a certificate. */
export const onDeno = process.versions["deno"] !== undefined;

/** The TCP socket under a TLS one. The property is not documented; all three runtimes have it, and the tests hold them to it. */
export function transportOf(socket: TLSSocket): Socket | undefined {
  return (socket as unknown as { _parent?: Socket })._parent;
}

/** The peer's own certificate as DER; undefined when it gave none. */
export function certificateOf(socket: TLSSocket): Uint8Array | undefined {
  // An empty object where there is none, null on a closed socket.
  return (socket.getPeerCertificate() as { raw?: Uint8Array } | null)?.raw;
}

export function factsOf(socket: TLSSocket, certificate: Uint8Array | undefined): TlsFacts {
  return {
    version: socket.getProtocol() === "TLSv1.3" ? "1.3" : "1.2",
    alpn: socket.alpnProtocol || undefined,
    certificate,
  };
}
