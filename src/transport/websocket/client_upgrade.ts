import { acceptOf, base64 } from "./accept_key.ts";
import { httpLines, STATUS_WORDS } from "./http_answer.ts";
import { HttpFields } from "./http_fields.ts";
import { HttpLinesReader } from "./http_lines.ts";

/** Every broker takes it for all versions of MQTT; [MQTT-6.0.0-3]. */
const PROTOCOL = "mqtt";

export interface UpgradeRequestOptions {
  /** The Host header: `host:port`, brackets around IPv6. */
  readonly host: string;
  /** With the query. */
  readonly path: string;
  /** Further header lines; none of those that the request has anyway. */
  readonly headers: Readonly<Record<string, string>>;
  /** Sixteen random bytes: RFC 6455 section 4.1, number 7. */
  readonly random: Uint8Array;
}

export interface UpgradeRequest {
  readonly bytes: Uint8Array;
  /** What `Sec-WebSocket-Accept` of the answer has to be. */
  readonly accept: string;
  /** Without the query, which may hold a secret: for messages. */
  readonly path: string;
}

/** The request that asks a broker for WebSocket. */
export function upgradeRequest({ host, path, headers, random }: UpgradeRequestOptions): UpgradeRequest {
  const key = base64(random);
  const bytes = httpLines([
    `GET ${path} HTTP/1.1`,
    `Host: ${host}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Key: ${key}`,
    "Sec-WebSocket-Version: 13",
    `Sec-WebSocket-Protocol: ${PROTOCOL}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ]);
  return { bytes, accept: acceptOf(key), path: path.replace(/\?.*/s, "") };
}

/** The broker speaks WebSocket from `rest` on, or why it does not, in words for its operator. */
export type UpgradeResponse = { readonly rest: Uint8Array } | { readonly refused: string };

/** Reads the broker's answer from chunks of any size: RFC 6455 section 4.1, the second list. After an answer nothing more is pushed. */
export class UpgradeResponseReader {
  readonly #lines = new HttpLinesReader();
  readonly #request: UpgradeRequest;

  constructor(request: UpgradeRequest) {
    this.#request = request;
  }

  /** undefined: more bytes are needed. */
  push(chunk: Uint8Array): UpgradeResponse | undefined {
    const head = this.#lines.push(chunk);
    if (head === undefined) return undefined;
    if ("status" in head) return { refused: `the broker's answer cannot be read: ${head.reason}` };
    const refused = judge(head.lines, this.#request);
    return refused === undefined ? { rest: head.rest } : { refused };
  }
}

function judge(lines: readonly string[], { accept, path }: UpgradeRequest): string | undefined {
  const status = /^HTTP\/1\.1 (\d{3})(?: |$)/.exec(lines[0] as string)?.[1];
  if (status === undefined) return "the broker's answer is not HTTP/1.1";
  // Whatever else it is: what follows another status is no frame (CVE-2024-23326).
  if (status !== "101") return `the broker answered ${statusText(Number(status))}: ${hint(Number(status), path)}`;
  const fields = new HttpFields();
  for (const line of lines.slice(1)) {
    const objection = fields.add(line);
    if (objection !== undefined) return `the broker's answer cannot be read: ${objection}`;
  }
  if (fields.only("upgrade")?.toLowerCase() !== "websocket") return "the broker answered 101 without Upgrade: websocket";
  if (!fields.lists("connection", "upgrade")) return "the broker answered 101 without Connection: Upgrade";
  if (fields.only("sec-websocket-accept") !== accept) return "the broker's Sec-WebSocket-Accept does not belong to our key";
  if (fields.list("sec-websocket-extensions").some((one) => one !== "")) return "the broker wants an extension that was not offered";
  if (fields.only("sec-websocket-protocol") !== PROTOCOL) return `the broker did not agree on the subprotocol "${PROTOCOL}"`; // [MQTT-6.0.0-4]
  return undefined;
}

/** The broker's own words are left out: they could be anything. */
function statusText(status: number): string {
  const words = STATUS_WORDS[status];
  return words === undefined ? String(status) : `${status} ${words}`;
}

function hint(status: number, path: string): string {
  if (status === 401 || status === 403) return "does it ask for a header?";
  if (status >= 300 && status < 400) return "sluice follows no redirects";
  if (status === 429 || status >= 500) return "it, or a proxy in front of it, has trouble";
  return `is ${path} its WebSocket path?`;
}
