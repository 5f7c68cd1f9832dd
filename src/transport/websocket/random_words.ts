const WORDS = 256;

/**
 * Numbers of 32 random bits, for masking keys. Those have to be unpredictable (RFC 6455 section 10.3): clients choose the payload, and
 * whoever knows the key chooses the bytes on the wire. Drawn in stock, because a question to the system for each frame would cost more than
 * the frame. `fill`: `crypto.getRandomValues`, or a seeded one.
 */
export function randomWords(fill: (words: Int32Array<ArrayBuffer>) => void): () => number {
  const words = new Int32Array(WORDS);
  let used = WORDS;
  return () => {
    if (used === WORDS) {
      fill(words);
      used = 0;
    }
    return words[used++] as number;
  };
}
