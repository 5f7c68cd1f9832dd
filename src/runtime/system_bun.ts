import { createSystem } from "./system.ts";
import type { System } from "./types.ts";

/** Over Bun's own functions: `node:fs` would cost 6 MB of memory, more than all of sluice. */
export const system: System = createSystem({
  readFile: (path) => Bun.file(path).bytes(),
  stat: (path) => Bun.file(path).stat(),
  isTerminal,
  writeError: (line) => ((errorIsTerminal ??= isTerminal(2)) ? writeToTerminal(line) : console.error(line)),
  limits: () => Bun.file("/proc/self/limits").text(),
});

/** As `node:tty` answers it; to load that would cost a start 5 ms and 2.4 MB. */
function isTerminal(descriptor: 1 | 2): boolean {
  try {
    return (process as unknown as Internals).binding("tty_wrap").isTTY(descriptor);
  } catch {
    return process.getBuiltinModule("node:tty").isatty(descriptor);
  }
}

/** Not in the types, because Node wants to do without it one day. */
interface Internals {
  binding(name: "tty_wrap"): { isTTY(descriptor: number): boolean };
}

let errorIsTerminal: boolean | undefined;
let terminal: Bun.FileSink | undefined;

/** `console.error` would paint the line red there. */
function writeToTerminal(line: string): void {
  terminal ??= Bun.stderr.writer();
  terminal.write(`${line}\n`);
  void terminal.flush();
}
