import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runToEnd, type TestScope } from "../../support/process.ts";

/** A directory of the test's own, removed at its end. */
export function folderFor(t: TestScope, files: Readonly<Record<string, string>> = {}): (name: string) => string {
  const folder = mkdtempSync(join(tmpdir(), "sluice-certificates-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 });
  return (name) => join(folder, name);
}

/** Runs openssl to its end; fails with what it said when it does not answer 0. */
export async function openssl(...words: readonly string[]): Promise<string> {
  const ran = await runToEnd(["openssl", ...words]);
  assert.equal(ran.code, 0, `openssl ${words.join(" ")}\n${ran.stdout}${ran.stderr}`);
  return ran.stdout;
}
