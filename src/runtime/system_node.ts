import { readFile, stat } from "node:fs/promises";
import { isatty } from "node:tty";
import { createSystem } from "./system.ts";
import type { System } from "./types.ts";

/** Over `node:` modules: for Node and Deno. */
export const system: System = createSystem({
  readFile: (path) => readFile(path),
  stat: (path) => stat(path),
  isTerminal: isatty,
  writeError: (line) => console.error(line),
  limits: () => readFile("/proc/self/limits", "utf8"),
});
