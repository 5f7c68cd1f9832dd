import { sha1 } from "./sha1.ts";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** What a server has to answer to a client's key: RFC 6455 section 4.2.2, step 5. */
export function acceptOf(key: string): string {
  return base64(sha1(new TextEncoder().encode(key + GUID)));
}

/** Sixteen bytes in base64: RFC 6455 section 4.1. */
export function isKey(text: string | undefined): text is string {
  return text !== undefined && /^[0-9A-Za-z+/]{22}==$/.test(text);
}

export function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
