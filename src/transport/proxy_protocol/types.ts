/** One end of a connection. A unix socket has the address "unix" and the port 0. */
export interface Endpoint {
  /** Canonical (RFC 5952), IPv4-mapped IPv6 as IPv4. */
  readonly address: string;
  readonly port: number;
}

/** What the other proxy says of the TLS that it took off (PROXY protocol section 2.2.6). */
export interface ProxyTls {
  /** "1.3"; "TLSv1.3" on the wire. Undefined when it does not say. */
  readonly version: string | undefined;
  readonly cipher?: string | undefined;
  /** The client gave a certificate, in this connection or the session that it resumed, and it was verified. */
  readonly verified: boolean;
  /** Of the client's certificate; undefined unless it was verified. */
  readonly clientCommonName: string | undefined;
}

/** What a PROXY header tells. All of it is undefined in version 1, but for the ends. */
export interface ProxyHeader {
  /** The client. Undefined (LOCAL, UNKNOWN): the connection is the other proxy's own, or it does not know. */
  readonly source: Endpoint | undefined;
  /** Where the client connected to. */
  readonly destination: Endpoint | undefined;
  /** The host name that the client asked for, in lower case; SNI, mostly. */
  readonly authority: string | undefined;
  readonly alpn: string | undefined;
  /** Undefined: the client came without TLS, or nothing is said of it. */
  readonly tls: ProxyTls | undefined;
  /** At most 128 bytes that name the connection across proxies (section 2.2.5). */
  readonly uniqueId: Uint8Array | undefined;
}

/** A header that was read, and how many bytes it had. */
export interface ParsedHeader {
  readonly header: ProxyHeader;
  readonly length: number;
}

/** What is wrong, in words that follow "PROXY header:"; never a byte of what was sent. */
export interface Refusal {
  readonly refused: string;
}

export const NOTHING_TOLD: ProxyHeader = {
  source: undefined,
  destination: undefined,
  authority: undefined,
  alpn: undefined,
  tls: undefined,
  uniqueId: undefined,
};
