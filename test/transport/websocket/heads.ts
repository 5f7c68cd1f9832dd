/** HTTP heads of upgrades: right ones, to be changed by the tests. */

const encoder = new TextEncoder();

/** RFC 6455 section 1.3: the example key and what it is answered with. */
export const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
export const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** `undefined` leaves a header out, a list repeats it. */
export function head(firstLine: string, headers: Headers): Uint8Array {
  const lines = Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [value].flat().map((one) => `${name}: ${one}`)));
  return encoder.encode([firstLine, ...lines, "", ""].join("\r\n"));
}

export const REQUEST: Headers = {
  Host: "mqtt.example.com:8083",
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Key": KEY,
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Protocol": "mqtt",
};

export const request = (changes: Headers = {}, firstLine = "GET /mqtt HTTP/1.1") => head(firstLine, { ...REQUEST, ...changes });

export const RESPONSE: Headers = {
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Accept": ACCEPT,
  "Sec-WebSocket-Protocol": "mqtt",
};

export const response = (changes: Headers = {}, firstLine = "HTTP/1.1 101 Switching Protocols") => head(firstLine, { ...RESPONSE, ...changes });

/** An answer as a client takes it apart; header names in lower case. */
export function readAnswer(bytes: Uint8Array): { status: number; headers: Map<string, string>; body: string } {
  const text = new TextDecoder().decode(bytes);
  const end = text.indexOf("\r\n\r\n");
  const [first = "", ...lines] = text.slice(0, end).split("\r\n");
  const headers = new Map(lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 2)]));
  return { status: Number(first.split(" ")[1]), headers, body: text.slice(end + 4) };
}
