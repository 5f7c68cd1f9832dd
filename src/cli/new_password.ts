import { Buffer } from "node:buffer";
import process from "node:process";

/** MQTT counts the bytes of a password in 16 bits (MQTT 5 section 3.1.3.6). */
const BYTES_MAX = 65_535;
const KEY = { interrupt: 0x03, end: 0x04, backspace: 0x08, lineFeed: 0x0a, enter: 0x0d, clear: 0x15, rubOut: 0x7f } as const;

/** Why there is no password, in words for its user. */
export interface NoPassword {
  readonly reason: string;
}

/** Asks for it twice where somebody sits at a terminal, without showing it; reads it from standard input elsewhere. */
export async function readNewPassword(): Promise<Uint8Array | NoPassword> {
  const read = process.stdin.isTTY ? await askTwice() : await readAll();
  if ("reason" in read) return read;
  if (read.length === 0) return { reason: "the password is empty" };
  if (read.length > BYTES_MAX) return { reason: `the password is longer than the ${BYTES_MAX} bytes that MQTT can carry` };
  // Two lines are rather a wrong file, other controls a cursor key, and at a NUL mosquitto stops reading.
  return read.some((byte) => byte < 0x20 || byte === KEY.rubOut) ? { reason: "the password has a line break or another control character in it: expected one line of text" } : read;
}

async function readAll(): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin) {
    chunks.push(Buffer.from(chunk as Uint8Array));
    length += (chunk as Uint8Array).length;
    if (length > BYTES_MAX + 2) break;
  }
  const bytes = Buffer.concat(chunks);
  const end = bytes.at(-1) === KEY.lineFeed ? (bytes.at(-2) === KEY.enter ? -2 : -1) : bytes.length;
  return new Uint8Array(bytes.subarray(0, end));
}

async function askTwice(): Promise<Uint8Array | NoPassword> {
  const terminal = new HiddenLines();
  try {
    const first = await terminal.ask("Password: ");
    if (first === undefined) return { reason: "no password was given" };
    const second = await terminal.ask("Again: ");
    if (second === undefined) return { reason: "no password was given" };
    return first.equals(second) ? new Uint8Array(first) : { reason: "the two passwords are different" };
  } finally {
    terminal.close();
  }
}

/** Lines typed on a terminal that does not echo. What was typed ahead is kept for the next question. */
class HiddenLines {
  #pressed: number[] = [];
  #wake = (): void => {};
  readonly #hear = (chunk: Uint8Array): void => {
    this.#pressed.push(...chunk);
    this.#wake();
  };

  constructor() {
    process.stdin.setRawMode(true);
    process.stdin.on("data", this.#hear);
  }

  /** undefined: the user gave up. */
  async ask(question: string): Promise<Buffer | undefined> {
    process.stderr.write(question);
    let line: number[] = [];
    for (;;) {
      const key = await this.#next();
      if (key === KEY.enter || key === KEY.lineFeed) break;
      if (key === KEY.interrupt || (key === KEY.end && line.length === 0)) {
        process.stderr.write("\n");
        return undefined;
      }
      if (key === KEY.clear) line = [];
      else if (key === KEY.backspace || key === KEY.rubOut) line = withoutLastCharacter(line);
      else if (key !== KEY.end && line.length <= BYTES_MAX) line.push(key);
    }
    process.stderr.write("\n");
    return Buffer.from(line);
  }

  async #next(): Promise<number> {
    while (this.#pressed.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.#pressed.shift()!;
  }

  close(): void {
    process.stdin.off("data", this.#hear);
    process.stdin.setRawMode(false);
    process.stdin.pause();
  }
}

/** Of UTF-8: all bytes of the character, of which the first alone is not of the form 10xxxxxx. */
function withoutLastCharacter(line: readonly number[]): number[] {
  let end = line.length - 1;
  while (end > 0 && ((line[end] ?? 0) & 0xc0) === 0x80) end--;
  return line.slice(0, Math.max(0, end));
}
