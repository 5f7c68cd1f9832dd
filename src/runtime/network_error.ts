import { certificateVerdict, handshakeFailure } from "./tls_reason.ts";
import type { NetworkError, NetworkErrorCode } from "./types.ts";

/** What the operating system and the runtimes call it, in our code and in words for people. */
const KNOWN: Readonly<Record<string, readonly [NetworkErrorCode, string]>> = {
  ECONNREFUSED: ["refused", "connection refused"],
  ETIMEDOUT: ["timeout", "no answer in time"],
  ENOTFOUND: ["name_not_found", "no such host name"],
  ENODATA: ["name_not_found", "the host name has no address"],
  EAI_NONAME: ["name_not_found", "no such host name"],
  EAI_AGAIN: ["name_not_found", "the name server does not answer"],
  EAI_NODATA: ["name_not_found", "the host name has no address"],
  EHOSTUNREACH: ["unreachable", "no route to the host"],
  ENETUNREACH: ["unreachable", "no route to the network"],
  EHOSTDOWN: ["unreachable", "the host is down"],
  EADDRNOTAVAIL: ["unreachable", "the address does not belong to this machine"],
  ECONNRESET: ["reset", "connection reset by the peer"],
  ECONNABORTED: ["reset", "connection aborted"],
  EPIPE: ["reset", "the peer has closed the connection"],
  ERR_STREAM_DESTROYED: ["reset", "the peer has closed the connection"],
  EEXIST: ["address_in_use", "there is a file that is not a socket"],
  ENOENT: ["refused", "no such file or directory"],
  ENOTDIR: ["refused", "a part of the path is not a directory"],
  EADDRINUSE: ["address_in_use", "the address is already in use"],
  EACCES: ["denied", "permission denied"],
  EPERM: ["denied", "permission denied"],
  EMFILE: ["descriptors", "no file descriptor left in this process"],
  ENFILE: ["descriptors", "no file descriptor left in this machine"],
  // Deno has names instead of codes for some.
  ConnectionRefused: ["refused", "connection refused"],
  ConnectionReset: ["reset", "connection reset by the peer"],
  ConnectionAborted: ["reset", "connection aborted"],
  BrokenPipe: ["reset", "the peer has closed the connection"],
  TimedOut: ["timeout", "no answer in time"],
  AddrInUse: ["address_in_use", "the address is already in use"],
  AddrNotAvailable: ["unreachable", "the address does not belong to this machine"],
  PermissionDenied: ["denied", "permission denied"],
  NotCapable: ["denied", "permission denied"],
};

interface Thrown {
  readonly code?: unknown;
  readonly name?: unknown;
  readonly message?: unknown;
  readonly errors?: readonly unknown[];
  readonly cert?: { readonly subjectaltname?: string; readonly subject?: { readonly CN?: string } };
}

/**
 * The error value for what a runtime threw or reported. `action` names what was tried and where, for example
 * `connect to localhost:1883`. `host` is the name that a certificate had to have.
 */
export function networkError(action: string, thrown: unknown, host?: string): NetworkError {
  const [code, reason] = classify(unwrap(thrown), host);
  return { code, message: `${action}: ${reason}` };
}

/** An attempt at several addresses of one name fails with all their errors; the first speaks for the rest. */
function unwrap(thrown: unknown): Thrown {
  const error = (typeof thrown === "object" && thrown !== null ? thrown : { message: String(thrown) }) as Thrown;
  return typeof error.code !== "string" && error.errors?.length ? unwrap(error.errors[0]) : error;
}

function classify(error: Thrown, host: string | undefined): readonly [NetworkErrorCode, string] {
  const code = String(error.code ?? "");
  const message = String(error.message ?? "unknown reason");
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return ["tls", wrongName(error, host)];
  const known = KNOWN[code] ?? KNOWN[String(error.name ?? "")];
  if (known !== undefined) return known;
  const verdict = certificateVerdict(code);
  if (verdict !== undefined) return ["tls", verdict];
  // Name lookups fail in Deno without any code.
  if (/failed to lookup address|name or service not known|^invalid host/i.test(message)) return KNOWN["ENOTFOUND"]!;
  if (/os error 97|EAFNOSUPPORT/.test(`${code} ${message}`)) return ["unreachable", "the machine does not have this address family"];
  if (isTls(code, message)) return ["tls", handshakeFailure(code, message) ?? `TLS failed (${brief(message)})`];
  return ["other", brief(message)];
}

function wrongName(error: Thrown, host: string | undefined): string {
  const names = error.cert?.subjectaltname || error.cert?.subject?.CN;
  return `the certificate is not for "${host ?? "this host"}"${names ? `, it is for ${names}` : ""}`;
}

function isTls(code: string, message: string): boolean {
  return code === "EPROTO" || code.startsWith("ERR_SSL") || code.startsWith("ERR_TLS") || code.startsWith("CERT_")
    || /PEM routines|\bSSL|\bTLS|certificate|handshake/i.test(message);
}

/** OpenSSL speaks in colons and numbers (`0A00010B:SSL routines::wrong version number`); the last part is what is meant. */
function brief(message: string): string {
  const line = message.split("\n", 1)[0]!.trim();
  if (!/SSL routines/.test(line)) return line;
  const parts = line.split(":").filter((part) => part !== "" && !/^\.\.|^\d+$|\.c$/.test(part));
  const reason = parts[parts.findIndex((part) => /SSL routines/.test(part)) + 1];
  return (reason === "OPENSSL_internal" ? parts.at(-1)! : (parts.at(-1) ?? line)).toLowerCase().replaceAll("_", " ");
}

/** A handler of the layers above threw: a mistake of ours, which costs this one connection. */
export function internalError(thrown: unknown): NetworkError {
  const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  return { code: "internal", message: text.startsWith("internal error: ") ? text : `internal error: ${text}` };
}

/** For a throw where nobody is left to tell: a line on stderr rather than a dead process or silence. */
export function reportInternalError(thrown: unknown): void {
  console.error(internalError(thrown).message);
}
