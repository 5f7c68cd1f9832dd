import type { Scheme } from "./types.ts";

/** What a URL of a listener or a broker says. */
export interface Address {
  readonly scheme: Scheme;
  /** Without brackets, in lower case; undefined when the URL names none (`:1883`). */
  readonly host: string | undefined;
  readonly port: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** What would have been right, in words that follow "expected". */
export interface AddressFault {
  readonly expected: string;
}

const DEFAULT_PORTS: Record<Scheme, number> = { mqtt: 1883, mqtts: 8883 };
const PARTS = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(?:([^/?#]*)@)?(\[[^\]]*\]|[^:/?#[\]]*)(?::([^:/?#]*))?([/?#].*)?$/i;
const IPV6 = /^(?=.*:.*:)[0-9a-f:.]+(?:%[\w.-]+)?$/i;
const HOST_NAME = /^[a-z0-9_]([a-z0-9._-]*[a-z0-9_.])?$/i;

/** Reads `mqtt|mqtts://[user[:password]@][host][:port]`; without a scheme it is mqtt. */
export function parseAddress(text: string): Address | AddressFault {
  if (IPV6.test(text.replace(/^mqtts?:\/\//i, ""))) return { expected: "brackets around an IPv6 address, such as mqtt://[::1]:1883" };
  const match = PARTS.exec(text);
  if (!match) return { expected: "mqtt://host:port or mqtts://host:port" };
  const [, schemeText = "mqtt", credentials, hostText = "", portText, rest] = match;
  const scheme = schemeText.toLowerCase();
  if (scheme !== "mqtt" && scheme !== "mqtts") return { expected: expectedScheme(scheme) };
  if (rest !== undefined && rest !== "/") return { expected: "no path or query after the port" };
  if (hostText === "" && portText === undefined) return { expected: "a host, a port or both" };

  const host = hostText.replace(/^\[|\]$/g, "").toLowerCase();
  if (hostText.startsWith("[") ? !IPV6.test(host) : host !== "" && !HOST_NAME.test(host)) {
    return { expected: host === "*" ? "no host for every address, such as mqtt://:1883" : "a host name or an IP address" };
  }
  const port = portText === undefined ? DEFAULT_PORTS[scheme] : /^\d{1,5}$/.test(portText) ? Number(portText) : NaN;
  if (!(port <= 65535)) return { expected: "a port from 1 to 65535" };

  const login = parseCredentials(credentials);
  if ("expected" in login) return login;
  return { scheme, host: host === "" ? undefined : host, port, ...login };
}

function expectedScheme(scheme: string): string {
  const expected = "mqtt:// or mqtts:// in front";
  if (scheme === "tcp") return `${expected} (for tcp:// write mqtt://)`;
  if (scheme === "ssl" || scheme === "tls") return `${expected} (for ${scheme}:// write mqtts://)`;
  if (scheme === "ws" || scheme === "wss") return `${expected} (WebSocket is not supported yet)`;
  return expected;
}

function parseCredentials(text: string | undefined): Pick<Address, "username" | "password"> | AddressFault {
  if (text === undefined) return { username: undefined, password: undefined };
  const colon = text.indexOf(":");
  try {
    const username = decodeURIComponent(colon < 0 ? text : text.slice(0, colon));
    const password = colon < 0 ? undefined : decodeURIComponent(text.slice(colon + 1));
    // [MQTT-3.1.2-22]: no password without a user name.
    if (username === "") return { expected: "a user name in front of the @" };
    return { username, password };
  } catch {
    return { expected: "valid percent-encoding in user and password, such as %25 for %" };
  }
}

/** A URL's text with its password hidden, well-formed or not: for messages. */
export function redact(text: string): string {
  return text.replace(/^([a-z][a-z0-9+.-]*:\/\/)?([^:@]*):.*@/is, "$1$2:***@");
}
