/** Frames as RFC 6455 section 5.2 draws them, made and read byte by byte: a second opinion beside the code under test. */

export interface FrameOptions {
  readonly opcode?: number;
  readonly final?: boolean;
  /** The three reserved bits, 0 to 7. */
  readonly reserved?: number;
  /** Four bytes: the frame is masked with them, as clients do. */
  readonly key?: readonly number[];
  /** Bits of the length; absent: the shortest form. */
  readonly lengthBits?: 7 | 16 | 64;
  /** What the header says of the length; absent: the truth. */
  readonly length?: bigint;
}

export function frame(payload: Uint8Array | string = "", options: FrameOptions = {}): Uint8Array {
  const body = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
  const { opcode = 2, final = true, reserved = 0, key, length = BigInt(body.length) } = options;
  const lengthBits = options.lengthBits ?? (length < 126n ? 7 : length < 65_536n ? 16 : 64);
  const bytes = [(final ? 0x80 : 0) | (reserved << 4) | opcode];
  bytes.push((key ? 0x80 : 0) | (lengthBits === 7 ? Number(length) : lengthBits === 16 ? 126 : 127));
  if (lengthBits !== 7) for (let shift = lengthBits - 8; shift >= 0; shift -= 8) bytes.push(Number((length >> BigInt(shift)) & 255n));
  const masked = key ? body.map((byte, index) => byte ^ (key[index % 4] as number)) : body;
  return join(Uint8Array.from([...bytes, ...(key ?? [])]), masked);
}

export interface SeenFrame {
  readonly opcode: number;
  readonly final: boolean;
  readonly reserved: number;
  readonly isMasked: boolean;
  readonly payload: Uint8Array;
}

/** All frames of a stream that ends at a boundary. */
export function readFrames(stream: Uint8Array): SeenFrame[] {
  const frames: SeenFrame[] = [];
  const view = new DataView(stream.buffer, stream.byteOffset, stream.length);
  for (let at = 0; at < stream.length; ) {
    const first = view.getUint8(at++);
    const second = view.getUint8(at++);
    let length = second & 127;
    if (length === 126) length = view.getUint16((at += 2) - 2);
    else if (length === 127) length = Number(view.getBigUint64((at += 8) - 8));
    const key = second > 127 ? stream.slice(at, (at += 4)) : undefined;
    if (at + length > stream.length) throw new RangeError(`read a frame of ${length} bytes: only ${stream.length - at} are there`);
    const payload = stream.slice(at, (at += length)).map((byte, index) => (key ? byte ^ (key[index % 4] as number) : byte));
    frames.push({ opcode: first & 15, final: first > 127, reserved: (first >> 4) & 7, isMasked: key !== undefined, payload });
  }
  return frames;
}

export function join(...pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** A Close frame's payload. */
export function goodbye(code: number, reason: Uint8Array | string = ""): Uint8Array {
  const text = typeof reason === "string" ? new TextEncoder().encode(reason) : reason;
  return join(Uint8Array.of(code >> 8, code & 255), text);
}

/** Copies, because what is read is unmasked in place. */
export function cutAt(stream: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [0, ...cuts, stream.length];
  return places.slice(1).map((to, index) => stream.slice(places[index], to));
}

export const byByte = (stream: Uint8Array): Uint8Array[] => Array.from(stream, (byte) => Uint8Array.of(byte));
