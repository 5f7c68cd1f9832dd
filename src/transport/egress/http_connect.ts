import { ByteBuffer } from "../../lib/byte_buffer.ts";
import type { Egress, EgressStep, Target, Via } from "./types.ts";

const CR = 0x0d;
const LF = 0x0a;
const TAB = 0x09;
/** Of all response heads together. */
export const HEAD_BYTES_MAX = 8_192;

const START = Uint8Array.from("HTTP/1.", (character) => character.charCodeAt(0));
const STATUS_LINE = /^HTTP\/1\.[01] ([1-5]\d\d)(?: .*)?$/; // some leave out the blank before an empty reason
const FIELD_LINE = /^[\w!#$%&'*+.^`|~-]+:/;
const NO_HEAD = "answered with a head that is not HTTP's";
const encoder = new TextEncoder();

const WORDS: Readonly<Record<number, string>> = {
  400: "did not understand the request",
  403: "forbids a connection to the broker",
  404: "does not know the broker",
  405: "allows no CONNECT",
  429: "has had too many requests",
  500: "has failed",
  501: "knows no CONNECT",
  502: "cannot reach the broker",
  503: "is overloaded or cannot reach the broker",
  504: "got no answer from the broker in time",
};

/**
 * A tunnel through an HTTP proxy by CONNECT (RFC 9110 section 9.3.6), with Basic credentials (RFC 7617) if there are any. Strict where a
 * wrong guess would take bytes of the head for bytes of the broker: CR and LF at each line's end, no folded lines. The length
 * fields of the answer mean nothing: what stands behind its head comes from the broker.
 */
export class HttpConnect implements Egress {
  readonly #via: Via;
  readonly #target: Target;
  readonly #heads = new ByteBuffer();
  /** Where the head that is being read begins, and how far it was looked through. */
  #start = 0;
  #position = 0;

  constructor(via: Via, target: Target) {
    this.#via = via;
    this.#target = target;
  }

  first(): Uint8Array {
    const { host, port } = this.#target;
    const authority = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
    const { username, password } = this.#via;
    const credentials = username === undefined ? "" : `Proxy-Authorization: Basic ${base64(`${username}:${password ?? ""}`)}\r\n`;
    return encoder.encode(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${credentials}\r\n`);
  }

  push(chunk: Uint8Array): EgressStep {
    this.#heads.append(chunk);
    const bytes = this.#heads.view();
    for (;;) {
      const end = this.#findEnd(bytes.subarray(0, HEAD_BYTES_MAX));
      if (typeof end === "object") return end;
      if (end === undefined) return bytes.length < HEAD_BYTES_MAX ? undefined : refuse(`answered with more than ${HEAD_BYTES_MAX} bytes of head`);
      const status = readStatus(bytes.subarray(this.#start, end));
      if (status === undefined) return refuse(NO_HEAD);
      if (status >= 200 && status < 300) return { done: true, rest: bytes.subarray(end) };
      if (status >= 300 || status === 101) return refuse(this.#wordsFor(status));
      this.#start = end; // 1xx: the answer is still to come (RFC 9110 section 15.2)
    }
  }

  /** The place behind the empty line. Control characters, and a line's end that is not CR LF, are refused at once. */
  #findEnd(bytes: Uint8Array): number | undefined | { readonly refused: string } {
    const begun = bytes.subarray(this.#start, this.#start + START.length);
    if (!begun.every((byte, at) => byte === START[at])) return refuse("does not speak HTTP/1");
    for (; this.#position < bytes.length; this.#position++) {
      const at = this.#position;
      const byte = bytes[at] as number;
      if ((bytes[at - 1] === CR) !== (byte === LF)) return refuse(NO_HEAD);
      if ((byte < 0x20 && byte !== CR && byte !== LF && byte !== TAB) || byte === 0x7f) return refuse(NO_HEAD);
      if (byte === LF && bytes[at - 2] === LF) return ++this.#position;
    }
    return undefined;
  }

  #wordsFor(status: number): string {
    if (status === 407) return `${this.#via.username === undefined ? "asks for credentials" : "refused the credentials"} (407)`;
    return `${WORDS[status] ?? "refused the connection"} (${status})`;
  }
}

function readStatus(head: Uint8Array): number | undefined {
  const [statusLine = "", ...fieldLines] = text(head).slice(0, -4).split("\r\n");
  const status = STATUS_LINE.exec(statusLine)?.[1];
  return status === undefined || !fieldLines.every((line) => FIELD_LINE.test(line)) ? undefined : Number(status);
}

function text(bytes: Uint8Array): string {
  let out = "";
  for (const byte of bytes) out += String.fromCharCode(byte);
  return out;
}

function base64(value: string): string {
  return btoa(text(encoder.encode(value)));
}

function refuse(reason: string): { readonly refused: string } {
  return { refused: `the HTTP proxy ${reason}` };
}
