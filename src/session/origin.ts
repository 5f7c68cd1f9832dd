import type { Transport } from "../config/types.ts";

/** What is known of a client before it says anything in MQTT. */
export interface Origin {
  readonly transport: Transport;
  /** The client's own, also behind another proxy that says so. */
  readonly address: string;
  readonly port: number;
  /** The other proxy that the connection comes from, when its PROXY header named the client. */
  readonly proxyAddress: string | undefined;
  readonly tls: OriginTls | undefined;
}

export interface OriginTls {
  /** "1.2" or "1.3"; undefined: another proxy did TLS and does not say. */
  readonly version: string | undefined;
  /** The name that the client asked for (SNI), in lower case. */
  readonly serverName: string | undefined;
  readonly alpn: string | undefined;
  /** The client's certificate, verified. */
  readonly certificate: ClientCertificate | undefined;
}

/** Of a certificate's fields those that can tell who its owner is. */
export interface ClientCertificate {
  readonly commonName: string | undefined;
  readonly names: { readonly dns: readonly string[]; readonly email: readonly string[]; readonly uri: readonly string[]; readonly ip: readonly string[] };
  /** SHA-256 of the certificate, lower-case hex; undefined: another proxy did TLS, and only told the name. */
  readonly fingerprint: string | undefined;
}
