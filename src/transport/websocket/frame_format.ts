import { mask } from "./mask.ts";

/** RFC 6455 section 5.2: the frame types. */
export const OPCODE = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;

/** RFC 6455 section 7.4.1: what a Close frame of ours says. */
export const CLOSE_CODE = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  unsupportedData: 1003,
  invalidPayload: 1007,
  tooBig: 1009,
} as const;
export type CloseCode = (typeof CLOSE_CODE)[keyof typeof CLOSE_CODE];

/** RFC 6455 section 5.5. */
export const CONTROL_SIZE_MAX = 125;

/** Payload lengths have 7, 16 or 64 bits; these two stand in the 7 for the longer ones. */
export const LENGTH_16 = 126;
export const LENGTH_64 = 127;

export const FINAL = 0x80;
export const MASKED = 0x80;

type Opcode = (typeof OPCODE)[keyof typeof OPCODE];

/** A whole unmasked frame, as servers send it. */
export function plainFrame(opcode: Opcode, payload: Uint8Array): Uint8Array {
  const size = headerSize(payload.length);
  // Every byte is written below, so the memory need not be cleared first; above some hundred bytes that is half of the cost.
  const frame = Buffer.allocUnsafe(size + payload.length);
  writeHeader(frame, opcode, payload.length, 0);
  frame.set(payload, size);
  return frame;
}

/** A whole masked frame, as clients send it; the payload itself stays as it is. `key`: any 32 bits. */
export function maskedFrame(opcode: Opcode, payload: Uint8Array, key: number): Uint8Array {
  const size = headerSize(payload.length);
  const start = size + 4;
  const frame = Buffer.allocUnsafe(start + payload.length);
  writeHeader(frame, opcode, payload.length, MASKED);
  frame[size] = key;
  frame[size + 1] = key >>> 8;
  frame[size + 2] = key >>> 16;
  frame[size + 3] = key >>> 24;
  frame.set(payload, start);
  mask(frame, start, frame.length, key);
  return frame;
}

/** The header alone of an unmasked frame whose payload is written behind it. */
export function plainHeader(opcode: Opcode, length: number): Uint8Array {
  const header = new Uint8Array(headerSize(length));
  writeHeader(header, opcode, length, 0);
  return header;
}

/** The payload of a Close frame without a reason; undefined: without a code as well. */
export function closePayload(code: number | undefined): Uint8Array {
  return code === undefined ? new Uint8Array(0) : Uint8Array.of(code >>> 8, code);
}

/** Without the masking key. */
function headerSize(length: number): number {
  return length < LENGTH_16 ? 2 : length < 65_536 ? 4 : 10;
}

function writeHeader(frame: Uint8Array, opcode: Opcode, length: number, masked: number): void {
  frame[0] = FINAL | opcode;
  if (length < LENGTH_16) {
    frame[1] = masked | length;
  } else if (length < 65_536) {
    frame[1] = masked | LENGTH_16;
    frame[2] = length >>> 8;
    frame[3] = length;
  } else {
    // A chunk in memory is shorter than 2^53, and its upper half has to be divided out: shifts know 32 bits.
    const high = Math.floor(length / 4_294_967_296);
    frame[1] = masked | LENGTH_64;
    frame[2] = 0;
    frame[3] = high >>> 16;
    frame[4] = high >>> 8;
    frame[5] = high;
    frame[6] = length >>> 24;
    frame[7] = length >>> 16;
    frame[8] = length >>> 8;
    frame[9] = length;
  }
}
