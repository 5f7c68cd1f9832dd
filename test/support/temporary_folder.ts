import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestScope } from "./process.ts";

/** Gone with the test. */
export function temporaryFolder(scope: TestScope): string {
  const folder = mkdtempSync(join(tmpdir(), "sluice-"));
  scope.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
