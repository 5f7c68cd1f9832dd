import { hostAndPort } from "../runtime/address.ts";
import { suggest } from "../lib/suggest.ts";
import type { Scheme } from "./types.ts";

/** What a URL of a listener, a broker or a forward proxy says. */
export interface Address {
  readonly scheme: Scheme | "http" | "socks5";
  /** Without brackets, in lower case; undefined when the URL names none (`:1883`). */
  readonly host: string | undefined;
  readonly port: number;
  /** `+unix://`: the socket's file. */
  readonly unixPath?: string;
  /** `+systemd://`: the name of the socket that systemd hands over; empty: the only one. */
  readonly systemdName?: string;
  /** WebSocket: path and query; undefined when the URL names none. */
  readonly path?: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

export type AddressRole = "listener" | "broker" | "forward proxy";

/** What would have been right, in words that follow "expected". */
export interface AddressFault {
  readonly expected: string;
}

const DEFAULT_PORTS: Readonly<Record<Address["scheme"], number>> = { mqtt: 1883, mqtts: 8883, ws: 80, wss: 443, any: 8883, http: 3128, socks5: 1080 };
const SCHEMES: Readonly<Record<AddressRole, readonly Address["scheme"][]>> = {
  listener: ["mqtt", "mqtts", "ws", "wss", "any"],
  broker: ["mqtt", "mqtts", "ws", "wss"],
  "forward proxy": ["http", "socks5"],
};
const PARTS = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(?:([^/?#]*)@)?(\[[^\]]*\]|[^:/?#[\]]*)(?::([^:/?#]*))?([/?#].*)?$/i;
const IPV6 = /^(?=.*:.*:)[0-9a-f:.]+(?:%[\w.-]+)?$/i;
const HOST_NAME = /^[a-z0-9_]([a-z0-9._-]*[a-z0-9_.])?$/i;
const SOCKET = /^(?:([a-z]+)\+)?(unix|systemd):\/\/(.*)$/is;

/** Reads `scheme://[user[:password]@][host][:port][/path]`, or `[scheme+]unix:///path`; without a scheme it is mqtt. */
export function parseAddress(text: string, role: AddressRole): Address | AddressFault {
  const socket = SOCKET.exec(text);
  if (socket) return parseSocket(socket, role);
  if (IPV6.test(text.replace(/^[a-z0-9]+:\/\//i, ""))) return { expected: "brackets around an IPv6 address, such as mqtt://[::1]:1883" };
  const match = PARTS.exec(text);
  if (!match) return { expected: expectedForm(role) };
  const [, schemeText = role === "forward proxy" ? "" : "mqtt", credentials, hostText = "", portText, rest = ""] = match;
  const scheme = schemeNamed(schemeText, role);
  if (scheme === undefined) return { expected: expectedScheme(schemeText.toLowerCase(), role) };
  const misread = findMisread(match, scheme);
  if (misread !== undefined) return misread;
  const path = parsePath(scheme, role, rest);
  if (typeof path === "object") return path;
  if (hostText === "" && portText === undefined) return { expected: "a host, a port or both" };

  if (/^\d+$/.test(hostText) && portText === undefined) {
    return { expected: role === "listener" ? `a colon in front of a port, such as mqtt://:${hostText}` : `a host in front of a port, such as localhost:${hostText}` };
  }

  const host = hostText.replace(/^\[|\]$/g, "").toLowerCase();
  if (hostText.startsWith("[") ? !IPV6.test(host) : host !== "" && !HOST_NAME.test(host)) {
    return { expected: host === "*" ? "no host for every address, such as mqtt://:1883" : "a host name or an IP address" };
  }
  const port = portText === undefined ? DEFAULT_PORTS[scheme] : /^\d{1,5}$/.test(portText) ? Number(portText) : NaN;
  if (!(port <= 65535)) return { expected: "a port from 1 to 65535" };

  const login = parseCredentials(credentials);
  if ("expected" in login) return login;
  const address = { scheme, host: host === "" ? undefined : host, port, ...(path !== undefined && { path }), ...login };
  return faultFor(role, address) ?? address;
}

function faultFor(role: AddressRole, { host, port, username }: Address): AddressFault | undefined {
  if (role === "listener") return username === undefined ? undefined : { expected: "no user or password in the URL of a listener" };
  if (host === undefined) return { expected: `a host in the URL of a ${role}` };
  return port === 0 ? { expected: "a port from 1 to 65535" } : undefined;
}

function schemeNamed(text: string, role: AddressRole): Address["scheme"] | undefined {
  return SCHEMES[role].find((scheme) => scheme === text.toLowerCase());
}

function expectedForm(role: AddressRole): string {
  return role === "forward proxy" ? "http://host:port or socks5://host:port" : "mqtt://host:port or mqtts://host:port";
}

function expectedScheme(scheme: string, role: AddressRole): string {
  if (role === "forward proxy") return scheme === "socks5h" ? "socks5:// in front: the proxy resolves every name" : "http:// or socks5:// in front";
  const expected = `${SCHEMES[role].map((each) => `${each}://`).join(", ")} or unix:// in front`;
  if (scheme === "tcp") return `${expected} (for tcp:// write mqtt://)`;
  if (scheme === "ssl" || scheme === "tls") return `${expected} (for ${scheme}:// write mqtts://)`;
  if (scheme === "http" || scheme === "https") return `${expected} (for ${scheme}:// write ${scheme === "http" ? "ws" : "wss"}://)`;
  const near = suggest(scheme, [...SCHEMES[role], "unix", "systemd"]);
  return near === undefined ? expected : `${expected} (did you mean ${near}://?)`;
}

/** What fits the form of a URL and was meant otherwise. Nothing of it is repeated: a password may be in it. */
function findMisread([, , , host = "", port, rest = ""]: RegExpExecArray, scheme: Address["scheme"]): AddressFault | undefined {
  if (port === "" && rest.startsWith("/") && /^(unix|mqtts?|wss?|any|http|socks5)$/i.test(host)) {
    return { expected: `two slashes behind the colon, such as ${host.toLowerCase() === "unix" ? "unix:///run/sluice.sock" : `${host.toLowerCase()}://host:port`}` };
  }
  const isPath = hasPath(scheme) && rest.startsWith("/") && !/\D/.test(port ?? "");
  return rest.includes("@") && !isPath ? { expected: "#, / and ? in user and password percent-encoded: %23, %2F and %3F" } : undefined;
}

const hasPath = (scheme: Address["scheme"]) => scheme === "ws" || scheme === "wss" || scheme === "any";

/** Only WebSocket has a path; a listener's has no query, because clients may add theirs. */
function parsePath(scheme: Address["scheme"], role: AddressRole, rest: string): string | undefined | AddressFault {
  if (rest === "" || rest === "/") return undefined;
  if (!hasPath(scheme)) return { expected: "no path or query after the port" };
  if (!/^\/[!-~]*$/.test(rest) || rest.includes("#")) return { expected: "a path of printable ASCII characters, such as /mqtt" };
  return role === "listener" && rest.includes("?") ? { expected: "no query in the path of a listener" } : rest;
}

function parseSocket([, schemeText = "mqtt", kind, rest = ""]: RegExpExecArray, role: AddressRole): Address | AddressFault {
  const scheme = schemeNamed(schemeText, role);
  if (scheme === undefined) return { expected: expectedScheme(schemeText.toLowerCase(), role) };
  const address = { scheme, host: undefined, port: 0, username: undefined, password: undefined };
  if (kind?.toLowerCase() === "systemd") {
    if (role !== "listener") return { expected: "systemd:// for listeners only" };
    return /^[\w.@-]*$/.test(rest) ? { ...address, systemdName: rest } : { expected: "the name that FileDescriptorName= gives the socket, such as mqtts+systemd://tls" };
  }
  // 107 bytes are what the kernel's structure can hold.
  const fits = /^\/[^\0]*[^\0/]$/.test(rest) && new TextEncoder().encode(rest).length <= 107;
  return fits ? { ...address, unixPath: rest } : { expected: "the absolute path of a socket of at most 107 bytes, such as unix:///run/sluice.sock" };
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

/** Where a listener or a broker is: as the log and the hash know it. */
export function placeOf({ host, port, unixPath, systemdName }: Pick<Address, "host" | "port" | "unixPath" | "systemdName">): string {
  if (unixPath !== undefined) return `unix:${unixPath}`;
  if (systemdName !== undefined) return systemdName === "" ? "systemd" : `systemd:${systemdName}`;
  return hostAndPort(host, port);
}

/** The URL of a listener. */
export function urlOf(address: Pick<Address, "scheme" | "host" | "port" | "unixPath" | "systemdName" | "path">): string {
  const { scheme, unixPath, systemdName, path = "" } = address;
  const kind = scheme === "mqtt" ? "" : `${scheme}+`;
  if (unixPath !== undefined) return `${kind}unix://${unixPath}`;
  if (systemdName !== undefined) return `${kind}systemd://${systemdName}`;
  return `${scheme}://${placeOf(address)}${path}`;
}

/** A URL's text with its password hidden, well-formed or not: for messages. */
export function redact(text: string): string {
  return text.replace(/^([a-z][a-z0-9+.-]*:\/\/)?([^:@]*):.*@/is, "$1$2:***@");
}
