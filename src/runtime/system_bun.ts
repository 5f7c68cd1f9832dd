import { createSystem } from "./system.ts";
import type { System } from "./types.ts";

/**
 * Over Bun's own functions: `node:fs` would cost 6 MB of memory and `node:tty` as much, more than all of sluice. What must be answered
 * at once is asked for when the program starts, while the rest of it is loaded.
 */
let limits = "";
let outMayBeTerminal = false;
let errorMayBeTerminal = false;

export const system: System = createSystem({
  ready: Promise.all([
    Bun.file("/proc/self/limits").text().then((text) => (limits = text), () => {}),
    mayBeTerminal(Bun.stdout).then((may) => (outMayBeTerminal = may)),
    mayBeTerminal(Bun.stderr).then((may) => (errorMayBeTerminal = may)),
  ]),
  readFile: (path) => Bun.file(path).bytes(),
  stat: (path) => Bun.file(path).stat(),
  isTerminal,
  writeError: (line) => (errorMayBeTerminal ? writeToTerminal(line) : console.error(line)),
  limits: () => limits,
});

/** Whether to ask `node:tty`: not about a file, a pipe or /dev/null, which is a character device too. */
async function mayBeTerminal(file: Bun.BunFile): Promise<boolean> {
  const device = await characterDevice(file);
  if (device === undefined) return false;
  return device === WITHOUT_NUMBER || device !== (await characterDevice(Bun.file("/dev/null")));
}

/** On Windows. */
const WITHOUT_NUMBER = 0;

async function characterDevice(file: Bun.BunFile): Promise<number | undefined> {
  const stat = await file.stat().catch(() => undefined);
  return stat?.isCharacterDevice() ? stat.rdev : undefined;
}

function isTerminal(descriptor: 1 | 2): boolean {
  if (!(descriptor === 1 ? outMayBeTerminal : errorMayBeTerminal)) return false;
  return process.getBuiltinModule("node:tty").isatty(descriptor);
}

let terminal: Bun.FileSink | undefined;

/** `console.error` would paint the line red there. */
function writeToTerminal(line: string): void {
  terminal ??= Bun.stderr.writer();
  terminal.write(`${line}\n`);
  void terminal.flush();
}
