import { ByteBuffer } from "../../lib/byte_buffer.ts";
import type { ParsedHeader, ProxyHeader, Refusal } from "./types.ts";
import { readVersion1 } from "./version1.ts";
import { readVersion2, SIGNATURE } from "./version2.ts";

export type { ProxyHeader } from "./types.ts";

const LINE_START = Uint8Array.from("PROXY ", (character) => character.charCodeAt(0));

/** A whole header and what came behind it in the same chunk. */
export interface ReadHeader {
  readonly header: ProxyHeader;
  readonly rest: Uint8Array;
}

/**
 * Reads a PROXY header of either version from chunks of any size. It must be the first thing on the connection, and the sender one that is
 * trusted. Never more is kept than the longest header has. After an answer nothing more is pushed.
 */
export class ProxyHeaderReader {
  #pending: ByteBuffer | undefined = undefined;

  /** undefined: more bytes are needed. */
  push(chunk: Uint8Array): ReadHeader | Refusal | undefined {
    this.#pending?.append(chunk);
    const bytes = this.#pending?.view() ?? chunk;
    const read = readHeader(bytes);
    if (read === undefined) {
      if (this.#pending === undefined) (this.#pending = new ByteBuffer()).append(chunk);
      return undefined;
    }
    return "refused" in read ? read : { header: read.header, rest: bytes.subarray(read.length) };
  }
}

function readHeader(bytes: Uint8Array): ParsedHeader | Refusal | undefined {
  const isVersion1 = bytes[0] === LINE_START[0];
  const mark = isVersion1 ? LINE_START : SIGNATURE;
  const length = Math.min(mark.length, bytes.length);
  if (!mark.subarray(0, length).every((byte, at) => byte === bytes[at])) return { refused: "neither version 1 nor version 2" };
  if (length < mark.length) return undefined;
  return isVersion1 ? readVersion1(bytes) : readVersion2(bytes);
}
