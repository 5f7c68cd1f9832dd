import { readFile } from "node:fs/promises";
import type { FileError } from "../../src/runtime/types.ts";

/** Files in memory, before those on disk: by the end of their path. */
export function filesWith(contents: Record<string, string | Uint8Array | FileError>) {
  return {
    wallClock: () => Date.now(),
    fileStamp: async () => undefined,
    async readFile(path: string): Promise<Uint8Array | FileError> {
      const found = Object.entries(contents).find(([name]) => path === name || path.replaceAll("\\", "/").endsWith(`/${name}`));
      if (found) return typeof found[1] === "string" ? new TextEncoder().encode(found[1]) : found[1];
      try {
        return new Uint8Array(await readFile(path));
      } catch {
        return { code: "missing", message: `no file ${path}` };
      }
    },
  };
}
