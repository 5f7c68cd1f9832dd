import { addressBytes } from "../../lib/network.ts";

/** What would have been right, in words that follow "expected". */
export interface ServiceUrlFault {
  readonly expected: string;
}

/**
 * The URL of a service that is asked about clients. What goes over the network goes over TLS, since passwords are in it one way and
 * verdicts or keys the other, unless plain HTTP was chosen knowingly; to this very machine it may be plain.
 */
export function parseServiceUrl(text: string, { plainHttp }: { readonly plainHttp: boolean }): URL | ServiceUrlFault {
  let url;
  try {
    url = new URL(text);
  } catch {
    return { expected: "a URL such as https://auth.example/check" };
  }
  if (url.username !== "" || url.password !== "") return { expected: "no credentials in the URL: they belong into a header" };
  if (url.protocol === "https:") return url;
  if (url.protocol !== "http:") return { expected: "https:// in front" };
  return plainHttp || isLoopback(url.hostname) ? url : { expected: "https://, or http:// to this very machine" };
}

/** As `URL` writes hosts: IPv4 in its plain form whatever was typed, IPv6 in brackets. */
function isLoopback(hostname: string): boolean {
  if (hostname === "localhost") return true;
  const bytes = addressBytes(hostname.replace(/^\[|\]$/g, ""));
  if (bytes?.length === 4) return bytes[0] === 127;
  return bytes?.length === 16 && bytes.every((byte, at) => byte === (at === 15 ? 1 : 0));
}
