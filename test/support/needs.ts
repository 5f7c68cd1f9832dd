import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";

/** Debian keeps daemons in directories that are on the path of root alone. */
const SYSTEM_DIRECTORIES = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin"];

/** The whole path of a program, or undefined where it is not installed. */
export function findProgram(name: string): string | undefined {
  const directories = (process.env["PATH"] ?? "").split(delimiter).filter((directory) => directory !== "");
  for (const directory of [...directories, ...SYSTEM_DIRECTORIES]) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // not in this one
    }
  }
  return undefined;
}

export const hasMosquitto: boolean = findProgram("mosquitto") !== undefined;

export interface SkipOptions {
  /** The reason, shown in the summary. */
  skip?: string;
}

/**
 * The options of a test that runs only where these programs are installed: `test(name, needs("mosquitto"), body)`.
 * Where `CI` is set nothing may be skipped, so a missing program is an error there.
 */
export function needs(...programs: readonly string[]): SkipOptions {
  const missing = programs.filter((program) => findProgram(program) === undefined);
  if (missing.length === 0) return {};
  const reason = `${missing.join(" and ")} not installed`;
  if (process.env["CI"]) throw new Error(`${reason}, and CI is set: tests that want it may not be skipped`);
  return { skip: reason };
}
