import { randomBytes } from "node:crypto";
import { link, mkdir, open, rename, stat, unlink } from "node:fs/promises";
import { homedir, hostname, networkInterfaces } from "node:os";
import { fileError } from "./system.ts";
import type { Machine } from "./types.ts";

/** Over `node:` modules on every runtime, and loaded late: at rest they would cost Bun more than all of sluice. */
export const machine: Machine = {
  userId: process.getuid?.(),
  hostName: () => hostname(),
  addresses,
  homeDirectory,
  writeFile: (path, text, options) => writeWhole(path, text, options).catch(fileError),
  makeDirectory: (path, mode) => mkdir(path, { recursive: true, mode }).then(() => undefined, fileError),
  fileMode: (path) => stat(path).then((found) => found.mode & 0o7777, fileError),
};

/** Written beside its place and moved there: nobody sees half of it, and after a crash the old file stands. */
async function writeWhole(path: string, text: string, { mode, replace }: { mode: number; replace: boolean }): Promise<undefined> {
  const fresh = `${path}.${randomBytes(6).toString("hex")}.new`;
  try {
    const file = await open(fresh, "wx", mode);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    // Unlike a rename, a link never takes the place of another file.
    await (replace ? rename(fresh, path) : link(fresh, path));
  } catch (thrown) {
    await unlink(fresh).catch(() => {});
    throw thrown;
  }
  if (!replace) await unlink(fresh);
}

function addresses(): string[] {
  try {
    const found = Object.values(networkInterfaces()).flatMap((one) => one ?? []);
    // Some systems write the scope behind an address that holds on one link alone.
    return [...new Set(found.map(({ address }) => address.split("%", 1)[0]!))];
  } catch {
    return []; // a sandbox that does not tell
  }
}

function homeDirectory(): string | undefined {
  try {
    return homedir();
  } catch {
    return undefined; // a user whom the system does not know, as in containers
  }
}
