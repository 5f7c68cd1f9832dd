import { writeSync } from "node:fs";

/** Writes a line to stdout (1) or stderr (2); false: whoever read it is gone. */
export type Output = (descriptor: 1 | 2, line: string) => boolean;

/** Not through the runtime's streams: when their reader is gone they raise an error that nobody awaits, or say nothing at all. */
export const writeOutput: Output = (descriptor, line) => {
  try {
    writeSync(descriptor, `${line}\n`);
    return true;
  } catch (thrown) {
    // A reader that is slow misses a line.
    return (thrown as { code?: string }).code === "EAGAIN";
  }
};
