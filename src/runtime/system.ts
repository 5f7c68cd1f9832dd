import type { FileError, Signal, System } from "./types.ts";

/** What differs between the runtimes: the ways to files and terminals, whose cost in memory differs most. */
export interface SystemParts {
  readonly readFile: (path: string) => Promise<Uint8Array>;
  /** Follows symbolic links. */
  readonly stat: (path: string) => Promise<{ readonly ino: number; readonly size: number; readonly mtimeMs: number }>;
  readonly isTerminal: (descriptor: 1 | 2) => boolean;
  readonly writeError: (line: string) => void;
  /** The text of /proc/self/limits; rejects where there is none. */
  readonly limits: () => Promise<string>;
}

/** The rest is the same everywhere. */
export function createSystem(parts: SystemParts): System {
  return {
    // Also in a compiled Bun executable, whose argv begins with "bun" and a path of its own.
    arguments: process.argv.slice(2),
    env: (name) => process.env[name],
    processId: process.pid,
    readFile: (path) => parts.readFile(path).catch(fileError),
    fileStamp: (path) => parts.stat(path).then(({ ino, size, mtimeMs }) => `${ino}:${size}:${mtimeMs}`, () => undefined),
    onSignal,
    now: () => performance.now(),
    wallClock: () => Date.now(),
    random: () => Math.random(),
    descriptorsMax: () => parts.limits().then(descriptorsMax, () => undefined),
    // Not process.stdout.write: touching that stream costs 8.5 MB on Bun.
    writeOut: (line) => console.log(line),
    writeError: parts.writeError,
    get errorIsTerminal() {
      return parts.isTerminal(2);
    },
    get outIsTerminal() {
      return parts.isTerminal(1);
    },
    exit: (code) => process.exit(code),
    machine: async () => (await import("./machine.ts")).machine,
  };
}

/** Why a file could not be read or written. */
export function fileError(thrown: unknown): FileError {
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
    case "EEXIST":
      return { code: "exists", message: "it exists already" };
    case "EROFS":
      return { code: "denied", message: "the file system is read-only" };
    case "ENOSPC":
    case "EDQUOT":
      return { code: "other", message: "no space left" };
    default:
      return { code: "other", message: message ?? String(thrown) };
  }
}

function onSignal(signal: Signal, callback: () => void): () => void {
  const listener = () => callback();
  process.on(signal, listener);
  return () => {
    process.removeListener(signal, listener);
  };
}

/** All three runtimes raise the soft limit to the hard one at start, so what is read here is what holds. */
function descriptorsMax(limits: string): number | undefined {
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  return soft === undefined ? undefined : Number(soft);
}
