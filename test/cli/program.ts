import assert from "node:assert/strict";
import { join, resolve } from "node:path";
import process from "node:process";
import { runtime } from "#runtime";
import { runToEnd, type TestScope } from "../support/process.ts";
import { temporaryFolder } from "../support/temporary_folder.ts";

/** The program as this runtime starts it; for Node, which reads no TypeScript, in one file as the build makes it. */
export async function programFor(t: TestScope): Promise<string[]> {
  const main = resolve("src/main.ts");
  if (runtime.name === "bun") return [process.execPath, main];
  if (runtime.name === "deno") return [process.execPath, "run", "-A", "--no-check", main];
  const file = join(temporaryFolder(t), "sluice.mjs");
  const built = await runToEnd([resolve("node_modules/.bin/bun"), "build", main, "--target=node", "--format=esm", "--conditions=node", `--outfile=${file}`], { timeoutMs: 60_000 });
  assert.equal(built.code, 0, built.stderr);
  return [process.execPath, file];
}
