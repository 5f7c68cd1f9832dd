/** Castagnoli's polynomial, its bits reversed: RFC 4960 appendix B. */
const POLYNOMIAL = 0x82f63b78;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ POLYNOMIAL : rest >>> 1;
  return rest;
});

/** The CRC32c of all parts in a row; 0 to 2^32 - 1. */
export function crc32c(...parts: readonly Uint8Array[]): number {
  let rest = 0xffffffff;
  for (const part of parts) {
    for (const byte of part) rest = (rest >>> 8) ^ (TABLE[(rest ^ byte) & 0xff] as number);
  }
  return ~rest >>> 0;
}
