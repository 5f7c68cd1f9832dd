import { addressBytes, addressText } from "../../lib/network.ts";
import { serverNamePattern } from "../tls_hello/server_name.ts";

/** A name that somebody wants in a certificate. */
export interface GivenName {
  readonly kind: "dns" | "ip" | "email" | "uri";
  /** In one form for each: lower case for DNS, RFC 5952 for addresses. */
  readonly value: string;
}

const EMAIL = /^[\x21-\x3f\x41-\x7e]+@[a-z0-9.-]+$/i;
const URI = /^(?:urn:|[a-z][a-z0-9+.-]*:\/\/)[\x21-\x7e]+$/i;
const LENGTH_MAX = 1024;

/** Tells what kind of name it is: `gateway.local`, `*.example.com`, `10.0.0.5`, `a@b.example`, `urn:dev:1`. undefined: none of them. */
export function readGivenName(text: string): GivenName | undefined {
  if (text.length > LENGTH_MAX) return undefined;
  const address = addressBytes(text);
  if (address) return { kind: "ip", value: addressText(address) };
  const host = serverNamePattern(text);
  // Four numbers that are no address (300.1.1.1, 010.0.0.1) are no name either.
  if (host !== undefined) return /^[\d.]+$/.test(host) ? undefined : { kind: "dns", value: host };
  if (EMAIL.test(text)) return { kind: "email", value: text };
  return URI.test(text) ? { kind: "uri", value: text } : undefined;
}

/** Of these, what a server can be reached under: a DNS name or an address. */
export function readServedName(text: string): GivenName | undefined {
  const name = readGivenName(text);
  return name?.kind === "dns" || name?.kind === "ip" ? name : undefined;
}
