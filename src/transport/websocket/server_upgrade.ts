import { acceptOf, isKey } from "./accept_key.ts";
import { httpAnswer, httpLines } from "./http_answer.ts";
import { isToken } from "./http_fields.ts";
import type { HttpRefusal } from "./http_lines.ts";
import { isOriginAllowed } from "./origins.ts";
import type { RequestHead } from "./request_head.ts";

export interface UpgradeRules {
  /** Exactly this one; a client may add a query. */
  readonly path: string;
  /** The subprotocols that are spoken, such as `mqtt` and `mqttv3.1`. */
  readonly protocols: readonly string[];
  /** Pages that may connect: see `isOriginAllowed`. undefined: all. What is no page names no origin, and could name any: it is let in. */
  readonly origins: readonly string[] | undefined;
  /** false: also a client that offers none of the subprotocols is let in. [MQTT-6.0.0-3] asks clients for one. */
  readonly requireProtocol?: boolean;
}

/** The bytes to answer with, and whether frames follow them; if not, the connection is ended behind them. */
export type UpgradeAnswer = Accepted | Refused;

export interface Accepted {
  readonly accepted: true;
  readonly bytes: Uint8Array;
  /** The subprotocol that was agreed on. */
  readonly protocol: string | undefined;
  /** The first bytes of the frames. */
  readonly rest: Uint8Array;
}

export interface Refused {
  readonly accepted: false;
  readonly bytes: Uint8Array;
  readonly status: number;
  /** For the log; holds nothing that the client has sent. */
  readonly reason: string;
}

const ALLOW = "Allow: GET, HEAD, OPTIONS";
const UPGRADE = ["Upgrade: websocket", "Sec-WebSocket-Version: 13"];

/**
 * The answer to a request, or to what the reader has made of one: RFC 6455 section 4.2. Extensions are never agreed on, compression least of
 * all: MQTT's payloads are the application's, and a few bytes of them could be made to unfold into gigabytes.
 */
export function answerUpgrade(head: RequestHead | HttpRefusal, rules: UpgradeRules): UpgradeAnswer {
  if ("status" in head) return refuse(head);
  const { method, path, fields } = head;
  if (method === "OPTIONS") return answerOptions(path, rules);
  if (method !== "GET" && method !== "HEAD") return refuse({ status: 405, reason: "a method other than GET" }, [ALLOW]);
  if (fields.has("content-length") || fields.has("transfer-encoding")) return refuse({ status: 400, reason: "a GET with a body" });
  const isUpgrade = method === "GET" && fields.lists("upgrade", "websocket");
  if (path !== rules.path) return isUpgrade || path !== "/" ? refuse(notFound) : showPage(method, 200, rules);
  return isUpgrade ? answerHandshake(head, rules) : showPage(method, 426, rules);
}

function answerHandshake({ fields, rest }: RequestHead, rules: UpgradeRules): UpgradeAnswer {
  if (!fields.lists("connection", "upgrade")) return refuse({ status: 400, reason: "Upgrade without Connection: Upgrade" });
  const version = fields.only("sec-websocket-version");
  if (version === undefined) return refuse({ status: 400, reason: "no Sec-WebSocket-Version, or not exactly one" });
  if (version !== "13") return refuse({ status: 426, reason: "a version of WebSocket other than 13" }, UPGRADE);
  const key = fields.only("sec-websocket-key");
  if (!isKey(key)) return refuse({ status: 400, reason: "no Sec-WebSocket-Key of sixteen bytes in base64, or not exactly one" });
  if (rules.origins !== undefined && fields.has("origin")) {
    const origin = fields.only("origin");
    if (origin === undefined || !isOriginAllowed(origin, rules.origins)) return refuse({ status: 403, reason: "from a page that is not allowed to connect" });
  }
  const offered = fields.list("sec-websocket-protocol");
  // RFC 6455 section 4.1, number 10.
  if (!offered.every(isToken) || new Set(offered).size < offered.length) return refuse({ status: 400, reason: "a malformed Sec-WebSocket-Protocol" });
  const protocol = offered.find((one) => rules.protocols.includes(one));
  if (protocol === undefined && rules.requireProtocol !== false) {
    return refuse({ status: 400, reason: `no subprotocol that is spoken here: ${rules.protocols.join(", ")}` });
  }
  return { accepted: true, bytes: switching(key, protocol), protocol, rest };
}

function switching(key: string, protocol: string | undefined): Uint8Array {
  const chosen = protocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]; // [MQTT-6.0.0-4]
  return httpLines(["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Accept: ${acceptOf(key)}`, ...chosen]);
}

const notFound: HttpRefusal = { status: 404, reason: "a path on which nothing is served" };

function refuse({ status, reason }: HttpRefusal, headers: readonly string[] = []): Refused {
  return { accepted: false, bytes: httpAnswer({ status, headers, text: reason }), status, reason };
}

function answerOptions(path: string, rules: UpgradeRules): Refused {
  if (path !== "*" && path !== "/" && path !== rules.path) return refuse(notFound);
  return { accepted: false, bytes: httpAnswer({ status: 200, headers: [ALLOW], text: "" }), status: 200, reason: "only asked what is allowed" };
}

/** For people who open the address in a browser. */
function showPage(method: string, status: 200 | 426, { path, protocols }: UpgradeRules): Refused {
  const text = `This is an MQTT server. Connect to ${path} with WebSocket and one of these subprotocols: ${protocols.join(", ")}`;
  const headers = status === 426 ? UPGRADE : [];
  return { accepted: false, bytes: httpAnswer({ status, headers, text, isHeadOnly: method === "HEAD" }), status, reason: "an HTTP request without an upgrade" };
}
