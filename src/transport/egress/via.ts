import type { Via } from "./types.ts";

/** What would have been right, in words that follow "expected"; never a part of the text, which may hold a password. */
export interface ViaFault {
  readonly expected: string;
}

const FORM = "http://[user:password@]host:port or socks5://[user:password@]host[:port]";
const SOCKS_PORT = 1080; // RFC 1928 section 3
const SOCKS_TEXT_BYTES_MAX = 255; // RFC 1929 section 2
const PARTS = /^([a-z][a-z0-9+.-]*):\/\/(?:([^/?#]*)@)?(\[[0-9a-f:.]+(?:%[\w.-]+)?\]|[a-z0-9_][a-z0-9._-]*)(?::(\d{1,5}))?\/?$/i;
const CONTROL = /\p{Cc}/u;

/** Reads the URL of a forward proxy: `http://[user:password@]host:port` or `socks5://[user:password@]host[:1080]`. */
export function parseVia(text: string): Via | ViaFault {
  const parts = PARTS.exec(text);
  if (parts === null) return { expected: FORM };
  const [, schemeText = "", login, hostText = "", portText] = parts;
  const scheme = schemeText.toLowerCase();
  if (scheme === "socks5h") return { expected: `${FORM} (for socks5h:// write socks5://: the proxy resolves every name)` };
  if (scheme !== "http" && scheme !== "socks5") return { expected: FORM };
  if (portText === undefined && scheme === "http") return { expected: "a port behind the host, such as http://proxy:3128" };
  const port = portText === undefined ? SOCKS_PORT : Number(portText);
  if (port < 1 || port > 65535) return { expected: "a port from 1 to 65535" };
  const credentials = readLogin(scheme, login);
  if ("expected" in credentials) return credentials;
  return { scheme, host: hostText.replace(/^\[|\]$/g, "").toLowerCase(), port, ...credentials };
}

function readLogin(scheme: Via["scheme"], login: string | undefined): Pick<Via, "username" | "password"> | ViaFault {
  if (login === undefined) return { username: undefined, password: undefined };
  const colon = login.indexOf(":");
  let username: string;
  let password: string | undefined;
  try {
    username = decodeURIComponent(colon < 0 ? login : login.slice(0, colon));
    password = colon < 0 ? undefined : decodeURIComponent(login.slice(colon + 1));
  } catch {
    return { expected: "valid percent-encoding in user and password, such as %25 for %" };
  }
  if (username === "") return { expected: "a user name in front of the @" };
  if (CONTROL.test(`${username}${password ?? ""}`)) return { expected: "no control characters in user and password" };
  if (scheme === "http") return username.includes(":") ? { expected: "no colon in the user name: HTTP's Basic ends it there" } : { username, password };
  const fits = [username, password ?? ""].every((part) => part !== "" && new TextEncoder().encode(part).length <= SOCKS_TEXT_BYTES_MAX);
  return fits ? { username, password } : { expected: `a user and a password of 1 to ${SOCKS_TEXT_BYTES_MAX} bytes for SOCKS 5` };
}
