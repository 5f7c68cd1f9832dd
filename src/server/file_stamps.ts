import type { System } from "../runtime/types.ts";

/** One text for several files: it differs when any of them was replaced or changed. */
export async function stampOf(system: Pick<System, "fileStamp">, files: readonly (string | undefined)[]): Promise<string> {
  const stamps = files.map((file) => (file === undefined ? "" : system.fileStamp(file)));
  return (await Promise.all(stamps)).join("|");
}
