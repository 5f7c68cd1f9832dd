import { mkdirSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { readReport, type TestCase } from "./junit.ts";
import { runCommand, type Outcome } from "./command.ts";
import type { SuiteResult } from "./report.ts";
import type { RuntimeName, Suite } from "./suites.ts";

/** Reports and the bundles for Node. Each run has its own, so that two runs in one checkout do not meet. */
const WORK_DIRECTORIES = ".test-build";
const WORK_DIRECTORY = join(WORK_DIRECTORIES, String(process.pid));

/** Makes the directory and removes those that killed runs left behind. */
export function openWorkDirectory(): void {
  mkdirSync(WORK_DIRECTORY, { recursive: true });
  for (const name of readdirSync(WORK_DIRECTORIES)) {
    if (!isRunning(Number(name))) rmSync(join(WORK_DIRECTORIES, name), { recursive: true, force: true });
  }
}

export function removeWorkDirectory(): void {
  rmSync(WORK_DIRECTORY, { recursive: true, force: true });
}

function isRunning(pid: number): boolean {
  try {
    return Number.isInteger(pid) && process.kill(pid, 0);
  } catch {
    return false;
  }
}

const BUN = process.execPath;
const DENO = "node_modules/.bin/deno";
const NODE = process.env["NODE"] ?? "node";

/** One test's own limit where the runtime has such an option; the suite's limit bounds the rest. */
const TEST_TIMEOUT_MS = 120_000;
const TOOL_TIMEOUT_MS = 300_000;

const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Record<"dependencies" | "devDependencies", Record<string, string>>;
/** By name, because `--packages=external` would leave `#runtime` outside as well, and Node cannot load what it stands for. */
const PACKAGES = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies }).flatMap((name) => [name, `${name}/*`]);

export async function checkTypes(): Promise<SuiteResult> {
  return toolResult("types", await runCommand(["node_modules/.bin/tsc", "--noEmit", "-p", "."], { timeoutMs: TOOL_TIMEOUT_MS }));
}

export async function buildArtefacts(): Promise<SuiteResult> {
  return toolResult("build", await runCommand([BUN, "build.ts"], { timeoutMs: TOOL_TIMEOUT_MS }));
}

/**
 * Node 20 runs no TypeScript, so Bun writes each test file, with what it imports of ours, into one module. Packages
 * stay outside, as in the program's own build for Node. Tests find their files from the working directory.
 */
export async function bundleForNode(files: readonly string[]): Promise<SuiteResult> {
  if (files.length === 0) return { runtime: "", name: "bundle", cases: [], seconds: 0, output: "" };
  const words = ["--target=node", "--format=esm", ...PACKAGES.map((name) => `--external=${name}`), "--conditions=node", "--sourcemap=inline"];
  const command = [BUN, "build", ...files, ...words, `--outdir=${WORK_DIRECTORY}`, "--root=.", "--entry-naming=[dir]/[name].mjs"];
  return toolResult("bundle", await runCommand(command, { timeoutMs: TOOL_TIMEOUT_MS }));
}

function toolResult(name: string, outcome: Outcome): SuiteResult {
  const passed: TestCase[] = outcome.code === 0 ? [{ name, outcome: "passed", detail: "" }] : [];
  const problem = outcome.code === 0 ? undefined : outcome.timedOut ? "took too long" : `exit code ${outcome.code}`;
  return { runtime: "", name, cases: passed, seconds: outcome.seconds, problem, output: outcome.output };
}

export async function runSuite(suite: Suite, timeoutMs: number): Promise<SuiteResult> {
  const reportFile = join(WORK_DIRECTORY, `${suite.runtime}-${suite.name.replaceAll("/", "-")}.xml`);
  const outcome = await runCommand(COMMANDS[suite.runtime](suite.files, reportFile), { timeoutMs });
  const cases = readCases(reportFile);
  const problem = findProblem(outcome, cases, timeoutMs);
  return { runtime: suite.runtime, name: suite.name, cases, seconds: outcome.seconds, problem, output: outcome.output };
}

const COMMANDS: Record<RuntimeName, (files: readonly string[], reportFile: string) => string[]> = {
  bun: (files, reportFile) => [
    ...[BUN, "test", "--timeout", String(TEST_TIMEOUT_MS), "--reporter=junit", `--reporter-outfile=${reportFile}`],
    ...files.map((file) => `./${file}`),
  ],
  deno: (files, reportFile) => [DENO, "test", "-A", "--no-check", `--junit-path=${reportFile}`, ...files],
  node: (files, reportFile) => [
    ...[NODE, "--enable-source-maps", "--test", "--test-concurrency=1"],
    ...["--test-reporter=spec", "--test-reporter-destination=stdout"],
    ...["--test-reporter=junit", `--test-reporter-destination=${reportFile}`],
    ...files.map((file) => join(WORK_DIRECTORY, file.replace(/\.ts$/, ".mjs"))),
  ],
};

function readCases(reportFile: string): TestCase[] {
  let xml: string;
  try {
    xml = readFileSync(reportFile, "utf8");
  } catch {
    return []; // it crashed before it wrote one: findProblem says so
  }
  // Node counts a file without tests as one test that passed and has the file's name
  return readReport(xml).map((one) => {
    const empty = one.outcome === "passed" && one.name.endsWith(".test.mjs");
    return empty ? { ...one, name: `${one.name} has no tests`, outcome: "failed" } : one;
  });
}

function findProblem(outcome: Outcome, cases: readonly TestCase[], timeoutMs: number): string | undefined {
  if (outcome.timedOut) return `not ended after ${timeoutMs / 1000} s`;
  if (outcome.leftovers) return "left processes behind";
  if (outcome.code === null) return "crashed";
  if (cases.length === 0) return `reported no tests (exit code ${outcome.code})`;
  const failed = cases.some((one) => one.outcome === "failed");
  return outcome.code !== 0 && !failed ? `exit code ${outcome.code} though no test failed` : undefined;
}
