import { readdirSync } from "node:fs";

export type RuntimeName = "bun" | "deno" | "node";
export const RUNTIMES: readonly RuntimeName[] = ["bun", "deno", "node"];

/** The test files of one folder on one runtime, or one of them: what is run, bounded and reported together. */
export interface Suite {
  readonly runtime: RuntimeName;
  /** The folder, and the file where each has its own suite. */
  readonly name: string;
  /** The folder under test/. */
  readonly folder: string;
  readonly files: readonly string[];
  /** Nothing else may run beside it: it measures, or it fills the machine. */
  readonly alone: boolean;
}

/** Folders whose tests look at the source or drive the built artefacts; on which runtime they themselves run says nothing. */
const ONCE: ReadonlySet<string> = new Set(["e2e", "structure"]);
/** Files that measure, or that fill the machine: beside them nothing would be what it is. */
const ALONE: ReadonlySet<string> = new Set(["abuse/arrivals", "abuse/broker_deaths", "abuse/resources", "e2e/certificate_swaps", "e2e/resources"]);
/** Folders in which each file is a suite, with a limit of its own: together they take minutes. */
const BY_FILE: ReadonlySet<string> = new Set(["e2e"]);
/** Folders whose tests drive what the build made, on every runtime. */
const BUILT: ReadonlySet<string> = new Set(["library"]);

export function findTestFiles(filter: string | undefined): string[] {
  const files = readdirSync("test", { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".test.ts"))
    .map((file) => `test/${file.replaceAll("\\", "/")}`);
  return files.filter((file) => filter === undefined || file.includes(filter)).sort();
}

export function planSuites(files: readonly string[], runtimes: readonly RuntimeName[]): Suite[] {
  const folders = new Map<string, string[]>();
  for (const file of files) {
    const parts = file.split("/");
    const folder = parts.length > 2 ? (parts[1] as string) : ".";
    folders.set(folder, [...(folders.get(folder) ?? []), file]);
  }
  const suites: Suite[] = [];
  for (const [folder, members] of folders) {
    for (const runtime of ONCE.has(folder) ? (["node"] as const) : runtimes) {
      for (const part of partsOf(folder, members)) suites.push({ runtime, name: nameOf(folder, part), folder, files: part, alone: ALONE.has(nameOfFile(part[0])) });
    }
  }
  return suites;
}

/** The files that run together, and those that run by themselves. */
function partsOf(folder: string, files: readonly string[]): readonly (readonly string[])[] {
  if (BY_FILE.has(folder)) return files.map((file) => [file]);
  const [single, shared] = [files.filter((file) => ALONE.has(nameOfFile(file))), files.filter((file) => !ALONE.has(nameOfFile(file)))];
  return [...(shared.length > 0 ? [shared] : []), ...single.map((file) => [file])];
}

function nameOf(folder: string, files: readonly string[]): string {
  const name = nameOfFile(files[0]);
  return BY_FILE.has(folder) || ALONE.has(name) ? name : folder;
}

function nameOfFile(file = ""): string {
  return file.replace(/^test\/|\.test\.ts$/g, "");
}

/** Whether the built artefacts must be there first. */
export function wantsBuild(suites: readonly Suite[]): boolean {
  return suites.some((suite) => ONCE.has(suite.folder) || BUILT.has(suite.folder) || suite.folder === "abuse");
}
