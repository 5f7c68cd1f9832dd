import { type Fault, fault, type FaultCode } from "./fault.ts";
import { type HeaderRules, isConnect, LAST, NOTHING_IS_LEGAL, packetName } from "./rules.ts";

/**
 * Follows the packet boundaries of one direction, in chunks of any size, without copying or looking into bodies.
 *
 * Invariant: every byte that `follow` releases belongs to a frame whose whole fixed header was seen and found legal. A header that is
 * cut by the end of a chunk is held back (at most four bytes) and comes again, joined to the next chunk. So whatever was forwarded
 * is either at a boundary or inside a body of `bodyLeft` more bytes.
 */
export class FrameFollower {
  /** Bytes of the current frame's body that are still to come; 0 at a boundary. */
  bodyLeft = 0;
  /** Frames begun so far. */
  packets = 0;
  /** Set once and for good: nothing after it is released, whatever is fed. */
  fault: Fault | undefined = undefined;
  /** A DISCONNECT passed: nothing may follow it ([MQTT-3.14.4-1]). */
  finished = false;
  #held: Uint8Array | undefined = undefined;
  #rules: HeaderRules;
  readonly #packetSizeMax: number;

  constructor(rules: HeaderRules, packetSizeMax: number) {
    this.#rules = rules;
    this.#packetSizeMax = packetSizeMax;
  }

  /** Between two packets, also as far as bytes go that are still held back. */
  get isAtBoundary(): boolean {
    return this.bodyLeft === 0 && this.#held === undefined;
  }

  /** The chunk with the held-back bytes in front; call it once for each chunk, before `follow`. */
  join(chunk: Uint8Array): Uint8Array {
    const held = this.#held;
    if (held === undefined) return chunk;
    this.#held = undefined;
    const joined = new Uint8Array(held.length + chunk.length);
    joined.set(held);
    joined.set(chunk, held.length);
    return joined;
  }

  /** Answers how many bytes of a joined chunk may be forwarded now; fewer than all when a header is cut, or at a `fault`. */
  follow(chunk: Uint8Array): number {
    const length = chunk.length;
    let position = this.bodyLeft;
    if (position > length) {
      this.bodyLeft = position - length;
      return length;
    }
    const { least, most } = this.#rules;
    while (position < length) {
      const first = chunk[position] as number;
      const smallest = least[first] as number;
      if (smallest < 0 || this.finished) {
        if (this.#isOut(first, smallest)) return this.#stopAt(position);
      }
      let next = position + 1;
      if (next === length) return this.#holdFrom(chunk, position);
      let byte = chunk[next++] as number;
      let remaining = byte & 127;
      for (let shift = 7; byte > 127; shift += 7) {
        if (shift === 28) return this.#refuse(position, "malformed_packet", "remaining length of more than four bytes"); // [MQTT-1.5.5-1]
        if (next === length) return this.#holdFrom(chunk, position);
        byte = chunk[next++] as number;
        if (byte === 0) return this.#refuse(position, "malformed_packet", "remaining length not in its shortest form"); // [MQTT-1.5.5-1]
        remaining += (byte & 127) << shift;
      }
      if (remaining < smallest || remaining > (most[first] as number)) {
        return this.#refuse(position, "malformed_packet", `${packetName(first)} of ${remaining} bytes`);
      }
      if (next - position + remaining > this.#packetSizeMax) {
        return this.#refuse(position, "packet_too_large", `${packetName(first)} of ${remaining} bytes`);
      }
      if (smallest === LAST) this.finished = true;
      this.packets++;
      position = next + remaining;
    }
    this.bodyLeft = position - length;
    return length;
  }

  #isOut(first: number, smallest: number): boolean {
    if (smallest === LAST && !this.finished) return false;
    if (this.finished) this.#fail("protocol_error", "bytes after DISCONNECT");
    else if (isConnect(first)) this.#fail("protocol_error", "a second CONNECT");
    else this.#fail("malformed_packet", `${packetName(first)} with flags ${(first & 15).toString(2).padStart(4, "0")} is not legal here`);
    return true;
  }

  #fail(code: FaultCode, detail: string): void {
    this.fault ??= fault(code, detail);
    this.#rules = NOTHING_IS_LEGAL;
  }

  #holdFrom(chunk: Uint8Array, position: number): number {
    this.#held = chunk.slice(position);
    return this.#stopAt(position);
  }

  #refuse(position: number, code: FaultCode, detail: string): number {
    this.#fail(code, detail);
    return this.#stopAt(position);
  }

  #stopAt(position: number): number {
    this.bodyLeft = 0;
    return position;
  }
}
