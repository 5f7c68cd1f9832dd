import { fstatSync, readFileSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import process from "node:process";
import type { FileError, Signal, System } from "./types.ts";

/** The same on all three runtimes, over their `node:` modules. */
export const system: System = {
  // Also in a compiled Bun executable, whose argv begins with "bun" and a path of its own.
  arguments: process.argv.slice(2),
  env: (name) => process.env[name],
  readFile: (path) => readFile(path).catch(fileError),
  onSignal,
  now: () => performance.now(),
  wallClock: () => Date.now(),
  random: () => Math.random(),
  descriptorsMax,
  // Not process.stdout.write: touching that stream costs 8.5 MB on Bun.
  writeOut: (line) => console.log(line),
  writeError: (line) => console.error(line),
  get errorIsTerminal() {
    return isTerminal(2);
  },
  get outIsTerminal() {
    return isTerminal(1);
  },
  exit: (code) => process.exit(code),
};

/** `node:tty` drags `node:net` in, 2.5 MB on Bun: it is asked only about what can be a terminal at all. */
function isTerminal(descriptor: number): boolean {
  try {
    const file = fstatSync(descriptor);
    if (!file.isCharacterDevice() || file.rdev === statSync("/dev/null").rdev) return false;
  } catch {
    // Windows: no such path. The question below is safe to ask everywhere.
  }
  return process.getBuiltinModule?.("node:tty").isatty(descriptor) ?? true;
}

/** Why a file could not be read. */
function fileError(thrown: unknown): FileError {
  const { code, message } = thrown as { code?: string; message?: string };
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return { code: "missing", message: "no such file" };
    case "EACCES":
    case "EPERM":
      return { code: "denied", message: "permission denied" };
    case "EISDIR":
      return { code: "not_a_file", message: "it is a directory" };
    default:
      return { code: "other", message: message ?? String(thrown) };
  }
}

function onSignal(signal: Signal, callback: () => void): () => void {
  const listener = () => callback();
  try {
    process.on(signal, listener);
  } catch {
    // Windows has no SIGUSR2; a signal that cannot arrive needs no listener.
    return () => {};
  }
  return () => {
    process.removeListener(signal, listener);
  };
}

/** Linux only. All three runtimes raise the soft limit to the hard one at start, so what is read here is what holds. */
function descriptorsMax(): number | undefined {
  let limits: string;
  try {
    limits = readFileSync("/proc/self/limits", "utf8");
  } catch {
    return undefined;
  }
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  return soft === undefined ? undefined : Number(soft);
}
