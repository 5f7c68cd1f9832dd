/**
 * The whole check, run by `npm test` on Bun:
 *
 *   bun test/run.ts [filter] [--runtime bun|deno|node] [--timeout seconds]
 *
 * Types, then the build, then every test file on Bun, Deno and Node; test/e2e and test/structure once. A filter is a part of
 * a test file's path. Exit code 0 only when nothing failed, nothing crashed, nothing hung and nothing was empty.
 */
import process from "node:process";
import { endAll } from "./support/runner/command.ts";
import { Report } from "./support/runner/report.ts";
import {
  buildArtefacts,
  bundleForNode,
  checkTypes,
  openWorkDirectory,
  removeWorkDirectory,
  runSuite,
} from "./support/runner/run_suite.ts";
import { findTestFiles, planSuites, RUNTIMES, wantsBuild, type RuntimeName, type Suite } from "./support/runner/suites.ts";

interface Choice {
  readonly filter: string | undefined;
  readonly runtimes: readonly RuntimeName[];
  readonly timeoutMs: number;
}

/** This many suites at a time: the tests wait more than they compute, but timing suffers when many run. */
const LANES = 2;

function readArguments(words: readonly string[]): Choice {
  let filter: string | undefined;
  let runtimes: readonly RuntimeName[] = RUNTIMES;
  let timeoutMs = 900_000;
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    if (word === "--runtime") {
      runtimes = RUNTIMES.filter((runtime) => runtime === words[i + 1]);
      if (runtimes.length === 0) throw new RangeError(`read --runtime "${words[i + 1]}", expected ${RUNTIMES.join(", ")}`);
      i++;
    } else if (word === "--timeout") {
      timeoutMs = Number(words[++i]) * 1000;
      if (!(timeoutMs > 0)) throw new RangeError(`read --timeout "${words[i]}", expected seconds`);
    } else if (word.startsWith("-") || filter !== undefined) {
      throw new RangeError(`read the argument "${word}", expected [filter] [--runtime name] [--timeout seconds]`);
    } else filter = word;
  }
  return { filter, runtimes, timeoutMs };
}

/** Runs the suites that tolerate company in two lanes, then the others one by one. */
async function runAll(suites: readonly Suite[], run: (suite: Suite) => Promise<void>): Promise<void> {
  const shared = suites.filter((suite) => !suite.alone);
  const lane = async (): Promise<void> => {
    for (let suite = shared.shift(); suite !== undefined; suite = shared.shift()) await run(suite);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  for (const suite of suites.filter((one) => one.alone)) await run(suite);
}

async function main(): Promise<number> {
  const choice = readArguments(process.argv.slice(2));
  const report = new Report();
  const files = findTestFiles(choice.filter);
  if (files.length === 0) throw new RangeError(`find tests: no file under test/ has "${choice.filter ?? ""}" in its path`);
  let suites = planSuites(files, choice.runtimes);

  openWorkDirectory();
  report.add(await checkTypes());
  if (wantsBuild(suites)) {
    const built = await buildArtefacts();
    report.add(built);
    // old artefacts would pass or fail for what they were
    if (built.problem !== undefined) suites = suites.filter((suite) => suite.folder !== "e2e" && suite.folder !== "library");
  }
  const bundled = await bundleForNode([...new Set(suites.filter((s) => s.runtime === "node").flatMap((s) => s.files))]);
  if (bundled.problem !== undefined) {
    report.add(bundled);
    suites = suites.filter((suite) => suite.runtime !== "node");
  }
  await runAll(suites, async (suite) => report.add(await runSuite(suite, choice.timeoutMs)));
  return report.finish() ? 0 : 1;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    endAll();
    removeWorkDirectory();
    process.exit(130);
  });
}
try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof RangeError ? error.message : error);
  endAll();
  process.exitCode = 1;
}
removeWorkDirectory();
