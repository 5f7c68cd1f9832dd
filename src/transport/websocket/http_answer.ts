/** The words for status codes that we send, or that people meet with a wrong address; RFC 9110 section 15. */
export const STATUS_WORDS: Readonly<Record<number, string>> = {
  200: "OK",
  301: "Moved Permanently",
  302: "Found",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  407: "Proxy Authentication Required",
  426: "Upgrade Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
};

export interface AnswerOptions {
  readonly status: number;
  /** Lines without their ends. */
  readonly headers?: readonly string[];
  readonly text: string;
  /** The answer to HEAD: all but the text itself. */
  readonly isHeadOnly?: boolean;
}

/**
 * A browser that meets the answer as a page shall make nothing of it but text. No Strict-Transport-Security: it would hold for every port of
 * the host, which is not ours to say.
 */
const NOTHING_BUT_TEXT = ["Content-Security-Policy: default-src 'none'; frame-ancestors 'none'", "X-Content-Type-Options: nosniff", "Referrer-Policy: no-referrer"];

/** An answer in plain text that ends the connection. Nothing that the client has sent comes back in it. */
export function httpAnswer({ status, headers = [], text, isHeadOnly = false }: AnswerOptions): Uint8Array {
  const body = text === "" ? "" : `${text}\n`;
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_WORDS[status]}`,
    ...headers,
    "Connection: close",
    ...(text === "" ? [] : ["Content-Type: text/plain; charset=utf-8", ...NOTHING_BUT_TEXT]),
    `Content-Length: ${encoder.encode(body).length}`,
  ];
  return encoder.encode(`${lines.join("\r\n")}\r\n\r\n${isHeadOnly ? "" : body}`);
}

/** HTTP/1.1 lines as they go out, with the empty one behind them. */
export function httpLines(lines: readonly string[]): Uint8Array {
  return encoder.encode(`${lines.join("\r\n")}\r\n\r\n`);
}

const encoder = new TextEncoder();
