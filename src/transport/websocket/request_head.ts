import { HttpFields, isToken } from "./http_fields.ts";
import { HttpLinesReader, type HttpRefusal } from "./http_lines.ts";

/** A request as far as an upgrade is concerned, and the bytes that came behind its head: a client may send frames before it has our answer. */
export interface RequestHead {
  readonly method: string;
  /** Without the query; `*` for a question about the server itself. */
  readonly path: string;
  readonly fields: HttpFields;
  readonly rest: Uint8Array;
}

/** Reads the head of one HTTP/1.1 request from chunks of any size. After an answer nothing more is pushed. */
export class RequestHeadReader {
  readonly #lines = new HttpLinesReader((line) => (isRequestLine(line) ? undefined : NO_REQUEST));

  /** undefined: more bytes are needed. */
  push(chunk: Uint8Array): RequestHead | HttpRefusal | undefined {
    const head = this.#lines.push(chunk);
    return head === undefined || "status" in head ? head : readRequest(head.lines, head.rest);
  }
}

const NO_REQUEST = "a first line that is no request";

function isRequestLine(line: string): boolean {
  const [method = "", target = "", version = "", more] = line.split(" ", 4);
  return isToken(method) && target !== "" && /^HTTP\/\d\.\d$/.test(version) && more === undefined;
}

function readRequest(lines: readonly string[], rest: Uint8Array): RequestHead | HttpRefusal {
  const [method, target, version] = (lines[0] as string).split(" ", 3) as [string, string, string];
  if (version !== "HTTP/1.1") return badVersion(version);
  const path = pathOf(target);
  if (path === undefined) return bad("a request target that is no path");
  const fields = new HttpFields();
  for (const line of lines.slice(1)) {
    const objection = fields.add(line);
    if (objection !== undefined) return bad(objection);
  }
  const host = fields.only("host");
  if (host === undefined || !isHost(host)) return bad("no Host, or not exactly one, or none that names a host"); // RFC 9112 section 3.2
  return { method, path, fields, rest };
}

const bad = (reason: string): HttpRefusal => ({ status: 400, reason });

/** RFC 6455 section 4.1 asks for HTTP/1.1 at least; an upgrade is unknown to older versions and to newer ones. */
function badVersion(version: string): HttpRefusal {
  if (/^HTTP\/1\.\d$/.test(version)) return bad(`${version}: an upgrade needs HTTP/1.1`);
  return { status: 505, reason: "a version of HTTP other than 1.1" };
}

/** RFC 9112 section 3.2: the usual form, the whole URL (which every server must take), or `*`. */
function pathOf(target: string): string | undefined {
  if (target === "*") return target;
  const whole = /^(?:https?|wss?):\/\/[^/?]+/i.exec(target);
  const rest = whole === null ? target : target.slice(whole[0].length);
  const query = rest.indexOf("?");
  const path = query < 0 ? rest : rest.slice(0, query);
  if (path === "" && whole !== null) return "/";
  return path.startsWith("/") ? path : undefined;
}

/** Only its form: which names lead here is not for sluice to know. */
function isHost(host: string): boolean {
  return /^[0-9A-Za-z.:_~!$&'()*+;=%[\]-]+$/.test(host);
}
