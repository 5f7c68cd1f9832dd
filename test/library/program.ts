import { mkdtempSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import type { TestScope } from "../support/process.ts";

const { bun, deno } = process.versions as Record<string, string | undefined>;
const RUNTIME = bun ? "bun" : deno ? "deno" : "node";

/** The built library, for the runtime that runs this test. */
export async function importLibrary(): Promise<typeof import("../../src/index.ts")> {
  return import(pathToFileURL(resolve(`dist/index.${RUNTIME}.js`)).href);
}

/** The only TypeScript of README.md. */
export function readmeExample(): string {
  const blocks = [...readFileSync("README.md", "utf8").matchAll(/^```ts\n([^]*?)^```$/gm)];
  if (blocks.length !== 1) throw new Error(`read README.md: ${blocks.length} blocks of TypeScript, expected one`);
  return blocks[0]![1] as string;
}

/**
 * Writes a program into a directory where "sluice" is installed, and answers with the command that runs it on the runtime
 * that runs this test.
 */
export function writeProgram(t: TestScope, text: string): string[] {
  const directory = mkdtempSync(join(tmpdir(), "sluice-program-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  mkdirSync(join(directory, "node_modules"));
  symlinkSync(resolve("."), join(directory, "node_modules/sluice"), "dir");
  writeFileSync(join(directory, "package.json"), '{ "type": "module" }\n');
  // Node 20 reads no TypeScript; the example has nothing that JavaScript has not
  const file = join(directory, RUNTIME === "node" ? "program.mjs" : "program.ts");
  writeFileSync(file, text);
  return [process.execPath, ...(RUNTIME === "deno" ? ["run", "-A"] : []), file];
}
