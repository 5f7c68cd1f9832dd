/** Who a client says it is: what stands in its CONNECT, and what is known of its connection. */
export interface Identity {
  /** As it came; empty when the broker is to choose one. */
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: Uint8Array | undefined;
  /** As `Connection.remoteAddress` has it, or "unix". */
  readonly address: string;
  readonly listener: string;
  /** Verified during the handshake. */
  readonly certificate: IdentityCertificate | undefined;
}

/** Of a client's certificate what can tell who its owner is. */
export interface IdentityCertificate {
  readonly commonName: string | undefined;
  readonly names: { readonly dns: readonly string[]; readonly email: readonly string[]; readonly uri: readonly string[]; readonly ip: readonly string[] };
  /** SHA-256, lower-case hex. */
  readonly fingerprint: string | undefined;
}

/** What a token says. It has no prototype: a claim is there or it is undefined. */
export type Claims = Readonly<Record<string, unknown>>;

export interface Allowed {
  readonly kind: "allowed";
  /** Stands in for the client's own from here on: in routes, rewriting and the log. Absent: the client's own was checked. */
  readonly username?: string;
  readonly claims?: Claims;
  /** When the right to be here ends, in milliseconds since 1970. */
  readonly expiresAt?: number;
}

export interface Refused {
  readonly kind: "refused";
  readonly code: "bad_credentials" | "not_authorized" | "auth_unavailable" | "banned";
  /** For the log. Never holds credentials. */
  readonly detail: string;
}

/** This authenticator has nothing to say about the client: the next one is asked. */
export interface Next {
  readonly kind: "next";
}

export type Verdict = Allowed | Refused | Next;

/** One way to know a client. */
export interface Authenticator {
  /** For the log: "password_file", say. */
  readonly name: string;
  /** Never throws and never rejects. What is known at once is answered without a promise. */
  check(identity: Identity): Verdict | Promise<Verdict>;
}

export const NEXT: Next = { kind: "next" };

export function refused(code: Refused["code"], detail: string): Refused {
  return { kind: "refused", code, detail };
}
