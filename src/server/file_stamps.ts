import type { System } from "../runtime/types.ts";

/** One text for several files: it differs when any of them was replaced or changed. */
export async function stampOf(system: Pick<System, "fileStamp">, files: readonly (string | undefined)[]): Promise<string> {
  const stamps = files.map((file) => (file === undefined ? "" : system.fileStamp(file)));
  return (await Promise.all(stamps)).join("|");
}

/** What files looked like when they were last looked at, by whom they are for. */
export class FileStamps<Owner> {
  readonly #system: Pick<System, "fileStamp">;
  readonly #stamps = new Map<Owner, string>();

  constructor(system: Pick<System, "fileStamp">) {
    this.#system = system;
  }

  /** Whether they changed since the last look; the first one only notes them. */
  async haveChanged(owner: Owner, files: readonly string[]): Promise<boolean> {
    const stamp = await stampOf(this.#system, files);
    const before = this.#stamps.get(owner);
    this.#stamps.set(owner, stamp);
    return before !== undefined && before !== stamp;
  }
}
