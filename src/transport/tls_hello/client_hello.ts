import { ByteBuffer } from "../../lib/byte_buffer.ts";
import { type HelloFields, readHelloFields } from "./hello_fields.ts";

const HANDSHAKE = 22; // RFC 8446 section 5.1
const CLIENT_HELLO = 1; // RFC 8446 section 4
const RECORD_HEADER_BYTES = 5;
const HANDSHAKE_HEADER_BYTES = 4;

/** With its four bytes of header. One with a post-quantum key share has 1.5 KB, one with large tickets a few more. */
export const HELLO_BYTES_MAX = 16_384;
/** RFC 8446 section 5.1. */
const RECORD_BYTES_MAX = 16_384;
/** A hello comes in one record, from some clients in a few. */
const RECORDS_MAX = 64;
/** More than this is never kept while the answer is open. */
export const KEPT_BYTES_MAX = HELLO_BYTES_MAX + RECORDS_MAX * RECORD_HEADER_BYTES;

export interface ClientHello extends HelloFields {
  /** Everything that was pushed, to be given to the TLS library. */
  readonly bytes: Uint8Array;
}

export interface RefusedHello {
  /** In plain words, without a byte of what was sent. */
  readonly refused: string;
  /** Everything that was pushed: it may be another protocol. */
  readonly bytes: Uint8Array;
}

type Refusal = Pick<RefusedHello, "refused">;

/**
 * Reads a ClientHello out of the first bytes of a connection, in chunks of any size and however many records it is spread over, without
 * using them up. What is wrong is refused as soon as it is there. After an answer nothing more is pushed.
 */
export class ClientHelloReader {
  /** Nearly every hello comes in one chunk and in one record: then it is read where it is. */
  #pending: ByteBuffer | undefined = undefined;
  /** The handshake message as far as it is there: the records' content without their headers. */
  #message: ByteBuffer | undefined = undefined;
  #position = 0;
  #recordLeft = 0;
  #records = 0;

  /** undefined: more bytes are needed. */
  push(chunk: Uint8Array): ClientHello | RefusedHello | undefined {
    this.#pending?.append(chunk);
    const seen = this.#pending?.view() ?? chunk;
    const answer = this.#read(seen);
    if (answer !== undefined) return { ...answer, bytes: seen };
    if (this.#pending === undefined) (this.#pending = new ByteBuffer()).append(chunk);
    return undefined;
  }

  #read(seen: Uint8Array): HelloFields | Refusal | undefined {
    while (this.#position < seen.length) {
      if (this.#recordLeft === 0) {
        const objection = this.#readRecordHeader(seen.subarray(this.#position));
        if (objection !== undefined || this.#recordLeft === 0) return objection;
      }
      const part = seen.subarray(this.#position, this.#position + this.#recordLeft);
      this.#position += part.length;
      this.#recordLeft -= part.length;
      this.#message?.append(part);
      const hello = this.#readMessage(this.#message?.view() ?? part);
      if (hello !== undefined) return hello;
      if (this.#message === undefined) (this.#message = new ByteBuffer()).append(part);
    }
    return undefined;
  }

  /** Judges as much of the header as is there; when it is whole, the record begins. */
  #readRecordHeader(bytes: Uint8Array): Refusal | undefined {
    // By index: taking it apart as a list goes through an iterator, which costs as much as all the rest.
    const type = bytes[0], major = bytes[1], high = bytes[3], low = bytes[4];
    if (type !== HANDSHAKE) return refuse(`a record of type ${type} before it is whole`);
    if (major !== undefined && major !== 3) return refuse(`a record of version ${major}`);
    if (high === undefined || low === undefined) return undefined;
    const length = high * 256 + low;
    if (length === 0 || length > RECORD_BYTES_MAX) return refuse(`a record of ${length} bytes`); // empty ones: RFC 8446 section 5.1
    if (++this.#records > RECORDS_MAX) return refuse(`more than ${RECORDS_MAX} records`);
    this.#position += RECORD_HEADER_BYTES;
    this.#recordLeft = length;
    return undefined;
  }

  #readMessage(message: Uint8Array): HelloFields | Refusal | undefined {
    const type = message[0], high = message[1], middle = message[2], low = message[3];
    if (type !== undefined && type !== CLIENT_HELLO) return refuse(`a handshake message of type ${type}`);
    if (high === undefined || middle === undefined || low === undefined) return undefined;
    const length = HANDSHAKE_HEADER_BYTES + high * 65536 + middle * 256 + low;
    if (length > HELLO_BYTES_MAX) return refuse(`${length} bytes, the limit is ${HELLO_BYTES_MAX}`);
    if (message.length < length) return undefined;
    return readHelloFields(message.subarray(HANDSHAKE_HEADER_BYTES, length));
  }
}

function refuse(reason: string): Refusal {
  return { refused: reason };
}
