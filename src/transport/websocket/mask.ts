/** Below this many bytes a plain loop is quicker than making a view of 32-bit words (measured on Bun, Deno and Node). */
const WORDS_FROM = 128;

/**
 * Applies a masking key (RFC 6455 section 5.3) to the bytes in place; masking and unmasking are the same. The key is held as 32 bits
 * with the byte that is next in line lowest, which makes a word of it what a little-endian machine reads; sluice runs on no other.
 */
export function mask(bytes: Uint8Array, from: number, to: number, key: number): void {
  if (to - from < WORDS_FROM) return maskBytes(bytes, from, to, key);
  const unaligned = -(bytes.byteOffset + from) & 3;
  maskBytes(bytes, from, from + unaligned, key);
  const start = from + unaligned;
  const count = (to - start) >> 2;
  const rotated = rotateKey(key, unaligned);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + start, count);
  for (let index = 0; index < count; index++) words[index] = (words[index] as number) ^ rotated;
  maskBytes(bytes, start + count * 4, to, rotated);
}

/** The key as it stands after so many bytes. */
export function rotateKey(key: number, bytes: number): number {
  const bits = (bytes & 3) * 8;
  return bits === 0 ? key : (key >>> bits) | (key << (32 - bits));
}

function maskBytes(bytes: Uint8Array, from: number, to: number, key: number): void {
  const first = key & 255;
  const second = (key >>> 8) & 255;
  const third = (key >>> 16) & 255;
  const fourth = key >>> 24;
  let index = from;
  for (; index + 4 <= to; index += 4) {
    bytes[index] = (bytes[index] as number) ^ first;
    bytes[index + 1] = (bytes[index + 1] as number) ^ second;
    bytes[index + 2] = (bytes[index + 2] as number) ^ third;
    bytes[index + 3] = (bytes[index + 3] as number) ^ fourth;
  }
  if (index < to) bytes[index] = (bytes[index] as number) ^ first;
  if (index + 1 < to) bytes[index + 1] = (bytes[index + 1] as number) ^ second;
  if (index + 2 < to) bytes[index + 2] = (bytes[index + 2] as number) ^ third;
}
