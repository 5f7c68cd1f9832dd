import { ByteBuffer } from "../lib/byte_buffer.ts";
import { type Fault, fault } from "./fault.ts";
import { packetName } from "./rules.ts";

const EMPTY = new Uint8Array(0);

/** A whole frame and what came behind it in the same chunk. */
export interface Collected {
  readonly frame: Uint8Array;
  readonly rest: Uint8Array;
}

/**
 * Collects one whole frame (CONNECT, CONNACK or AUTH) from chunks of any size. The first byte and the length are judged as
 * soon as they are there; memory grows with what has arrived, never with what a header promises, and is copied once however small
 * the pieces are.
 */
export class FrameCollector {
  readonly #judge: (firstByte: number) => Fault | undefined;
  readonly #sizeMax: number;
  #pending: ByteBuffer | undefined = undefined;

  constructor(judge: (firstByte: number) => Fault | undefined, sizeMax: number) {
    this.#judge = judge;
    this.#sizeMax = sizeMax;
  }

  /** undefined: more bytes are needed. */
  push(chunk: Uint8Array): Collected | Fault | undefined {
    this.#pending?.append(chunk);
    const bytes = this.#pending?.view() ?? chunk;
    const total = this.#totalLength(bytes);
    if (typeof total === "object") return total;
    if (total === undefined || total > bytes.length) {
      if (this.#pending === undefined) (this.#pending = new ByteBuffer()).append(chunk);
      return undefined;
    }
    this.#pending = undefined;
    if (total === bytes.length) return { frame: bytes, rest: EMPTY };
    return { frame: bytes.subarray(0, total), rest: bytes.subarray(total) };
  }

  #totalLength(bytes: Uint8Array): number | Fault | undefined {
    if (bytes.length === 0) return undefined;
    const first = bytes[0] as number;
    const objection = this.#judge(first);
    if (objection !== undefined) return objection;
    let remaining = 0;
    for (let index = 1; index <= 4; index++) {
      if (index === bytes.length) return this.#overLimit(first, index + remaining);
      const byte = bytes[index] as number;
      if (byte === 0 && index > 1) return fault("malformed_packet", "remaining length not in its shortest form"); // [MQTT-1.5.5-1]
      remaining += (byte & 127) << (7 * (index - 1));
      if (byte < 128) return this.#overLimit(first, index + 1 + remaining) ?? index + 1 + remaining;
    }
    return fault("malformed_packet", "remaining length of more than four bytes"); // [MQTT-1.5.5-1]
  }

  #overLimit(first: number, total: number): Fault | undefined {
    if (total <= this.#sizeMax) return undefined;
    return fault("packet_too_large", `${packetName(first)} of ${total} bytes or more, the limit is ${this.#sizeMax}`);
  }
}
