import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import * as m from "../support/mqtt_bytes.ts";
import { until } from "../support/deadline.ts";
import type { RawClient } from "../support/raw_client.ts";
import { extension, helloMessage, records, vector } from "../transport/tls_hello/hello_bytes.ts";

/*
 * Up to TLS 1.2 the server's first flight is in the clear. So a ClientHello made by hand, with whatever in it, shows which certificate and
 * which protocol were chosen, the same on every runtime, and no TLS library of the client's is in the way.
 */

/** What every TLS 1.2 server wants to see: curves, point formats, signature algorithms, extended master secret. */
const USUAL = [
  extension(10, vector(2, m.hex("001d 0017"))),
  extension(11, vector(1, [0])),
  extension(13, vector(2, m.hex("0403 0804 0401"))),
  extension(23),
];

export function clearHello(...extensions: readonly Uint8Array[]): Uint8Array {
  const suites = m.hex("c02b c02c cca9 c02f");
  return records(helloMessage({ suites, sessionId: new Uint8Array(0), extensions: [...extensions, ...USUAL] }));
}

export interface Flight {
  /** DER, in hex. */
  readonly certificate: string | undefined;
  readonly alpn: string | undefined;
  /** RFC 8446 section 6: the description in the alert. */
  readonly alert: number | undefined;
}

/** The PEM file's first certificate, as `Flight` has it. */
export function certificateIn(file: string): string {
  return new X509Certificate(readFileSync(file)).raw.toString("hex");
}

/** The server's answer to a hello, to its end or that of the connection. */
export async function takeFlight(client: RawClient, milliseconds = 5_000): Promise<Flight> {
  const isWhole = () => readMessages(client.received).some(([type]) => type === SERVER_HELLO_DONE) || client.ending !== "open";
  await until(isWhole, milliseconds, "the server's flight");
  const messages = new Map(readMessages(client.received));
  const certificate = messages.get(CERTIFICATE);
  return {
    certificate: certificate && Buffer.from(certificate.subarray(6, 6 + uint24(certificate, 3))).toString("hex"),
    alpn: readAlpn(messages.get(SERVER_HELLO)),
    alert: readAlert(client.received),
  };
}

const SERVER_HELLO = 2;
const CERTIFICATE = 11;
const SERVER_HELLO_DONE = 14;

const uint24 = (bytes: Uint8Array, at: number) => ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);

function* readRecords(bytes: Uint8Array): Generator<readonly [type: number, content: Uint8Array]> {
  for (let at = 0; at + 5 <= bytes.length; ) {
    const length = ((bytes[at + 3] ?? 0) << 8) | (bytes[at + 4] ?? 0);
    yield [bytes[at] as number, bytes.subarray(at + 5, at + 5 + length)];
    at += 5 + length;
  }
}

/** The whole handshake messages that are there, by their type. */
function readMessages(bytes: Uint8Array): (readonly [type: number, body: Uint8Array])[] {
  const stream = m.bytes(...[...readRecords(bytes)].filter(([type]) => type === 22).map(([, content]) => content));
  const messages: (readonly [number, Uint8Array])[] = [];
  for (let at = 0; at + 4 <= stream.length; ) {
    const end = at + 4 + uint24(stream, at + 1);
    if (end > stream.length) break;
    messages.push([stream[at] as number, stream.subarray(at + 4, end)]);
    at = end;
  }
  return messages;
}

function readAlert(bytes: Uint8Array): number | undefined {
  return [...readRecords(bytes)].find(([type]) => type === 21)?.[1][1];
}

/** RFC 5246 section 7.4.1.3, RFC 7301 section 3.1. */
function readAlpn(hello: Uint8Array | undefined): string | undefined {
  if (hello === undefined) return undefined;
  for (let at = 2 + 32 + 1 + (hello[34] ?? 0) + 3 + 2; at + 4 <= hello.length; ) {
    const [type, length] = [((hello[at] ?? 0) << 8) | (hello[at + 1] ?? 0), ((hello[at + 2] ?? 0) << 8) | (hello[at + 3] ?? 0)];
    if (type === 16) return String.fromCharCode(...hello.subarray(at + 7, at + 4 + length));
    at += 4 + length;
  }
  return undefined;
}
