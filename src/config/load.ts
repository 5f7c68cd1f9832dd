import { dirname } from "node:path";
import { anchorFiles, readToml, type Files, type TomlFile } from "./file.ts";
import { pathText, type ConfigProblem } from "./problem.ts";
import { resolveDocument } from "./resolve.ts";
import type { Configuration } from "./types.ts";

/** Keys that were set on the command line: by their path as text, the flag as the user typed it. */
export type FlagPlaces = ReadonlyMap<string, string>;

export interface LoadOptions {
  /** The TOML file, if there is one. */
  readonly file: string | undefined;
  /** Lays the command line over the document, in place, and says which keys it set. */
  readonly overlay: (document: Record<string, unknown>) => FlagPlaces | ConfigProblem;
}

export interface Loaded {
  readonly configuration: Configuration;
  /** What was read and laid over it, before defaults, with absolute file paths. */
  readonly document: Record<string, unknown>;
  /** Gives problems that were found later the place where the value was written. */
  readonly locate: (problems: readonly ConfigProblem[]) => Promise<ConfigProblem[]>;
}

export async function loadConfiguration(files: Files, options: LoadOptions): Promise<Loaded | readonly ConfigProblem[]> {
  const file = options.file === undefined ? undefined : await readToml(files, options.file);
  if (file && "reason" in file) return [file];
  const document = file ? anchorFiles(file.document, dirname(file.place)) : {};
  const flags = options.overlay(document);
  if ("reason" in flags) return [flags];
  const locate = (problems: readonly ConfigProblem[]) => locateProblems(problems, flags, file);
  const { configuration, problems } = resolveDocument(document);
  if (configuration) return { configuration, document, locate };
  // What a flag says wrong is a matter of usage.
  return locate(problems.map((problem) => ({ ...problem, exit: flagFor(problem, flags, file) === undefined ? problem.exit : 64 })));
}

async function locateProblems(problems: readonly ConfigProblem[], flags: FlagPlaces, file: TomlFile | undefined): Promise<ConfigProblem[]> {
  const positionOf = file && (await import("./positions.ts")).createPositions(file.text);
  return problems.map((problem) => {
    const position = problem.path && positionOf?.(problem.path);
    const place = flagFor(problem, flags, file) ?? (position === undefined ? file?.place : `${file?.place}:${position}`);
    return { ...problem, place: place ?? problem.place };
  });
}

/** The flag that set the value, or the table that it is in. */
function flagFor({ path = [] }: ConfigProblem, flags: FlagPlaces, file: TomlFile | undefined): string | undefined {
  for (let length = path.length; length > 0; length--) {
    const flag = flags.get(pathText(path.slice(0, length)));
    if (flag !== undefined) return flag;
  }
  return file ? undefined : "command line";
}
