import { createSystem } from "./system.ts";
import type { System } from "./types.ts";

/**
 * Over Bun's own functions: `node:fs` would cost 6 MB of memory and `node:tty` as much, more than all of sluice. What must be answered
 * at once is asked for when the program starts, while the rest of it is loaded.
 */
let limits = "";
let outIsCharacterDevice = false;
let errorIsCharacterDevice = false;

export const system: System = createSystem({
  ready: Promise.all([
    Bun.file("/proc/self/limits").text().then((text) => (limits = text), () => {}),
    isCharacterDevice(Bun.stdout).then((is) => (outIsCharacterDevice = is)),
    isCharacterDevice(Bun.stderr).then((is) => (errorIsCharacterDevice = is)),
  ]),
  readFile: (path) => Bun.file(path).bytes(),
  stat: (path) => Bun.file(path).stat(),
  isTerminal,
  writeError: (line) => (errorIsCharacterDevice ? writeToTerminal(line) : console.error(line)),
  limits: () => limits,
});

async function isCharacterDevice(file: Bun.BunFile): Promise<boolean> {
  return (await file.stat().catch(() => undefined))?.isCharacterDevice() ?? false;
}

/** /dev/null is a character device too; `node:tty` is asked only about what can be a terminal at all. */
function isTerminal(descriptor: 1 | 2): boolean {
  if (!(descriptor === 1 ? outIsCharacterDevice : errorIsCharacterDevice)) return false;
  return process.getBuiltinModule("node:tty").isatty(descriptor);
}

let terminal: Bun.FileSink | undefined;

/** `console.error` would paint the line red there. */
function writeToTerminal(line: string): void {
  terminal ??= Bun.stderr.writer();
  terminal.write(`${line}\n`);
  void terminal.flush();
}
