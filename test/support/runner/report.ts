import type { TestCase } from "./junit.ts";

export interface SuiteResult {
  readonly runtime: string;
  readonly name: string;
  readonly cases: readonly TestCase[];
  readonly seconds: number;
  /** What went wrong with the suite as such: a crash, a hang, no tests at all. Counts as one failure. */
  readonly problem?: string;
  /** Everything that it printed. */
  readonly output: string;
}

/** A line per suite as it ends, the whole output of what failed, the skips with their reasons, and the sum. */
export class Report {
  readonly #results: SuiteResult[] = [];

  add(result: SuiteResult): void {
    this.#results.push(result);
    const { passed, failed, skipped } = count([result]);
    const figures = [
      `${passed} passed`.padStart(12),
      `${failed} failed`.padStart(10),
      skipped > 0 ? `${skipped} skipped`.padStart(11) : "".padStart(11),
      `${result.seconds.toFixed(1)} s`.padStart(8),
    ];
    const name = `${result.runtime.padEnd(5)} ${result.name}`.padEnd(36);
    console.log(`${failed > 0 ? "FAIL" : " ok "} ${name}${figures.join("")}`);
    if (failed === 0) return;
    console.log(indent(result.output.trimEnd() || "(it printed nothing)"));
    for (const one of result.cases) {
      if (one.outcome === "failed") console.log(`     failed: ${one.name}`);
    }
    if (result.problem !== undefined) console.log(`     ${result.runtime} ${result.name}: ${result.problem}`);
  }

  /** Prints the end of the report; true when nothing failed. */
  finish(): boolean {
    this.#printSkips();
    const { passed, failed, skipped } = count(this.#results);
    for (const result of this.#results) {
      for (const one of result.cases) {
        if (one.outcome === "failed") console.log(`failed: ${result.runtime} ${result.name}: ${one.name}`);
      }
      if (result.problem !== undefined) console.log(`failed: ${result.runtime} ${result.name}: ${result.problem}`);
    }
    console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
    return failed === 0 && passed > 0;
  }

  /** Only Node reports why a test was skipped; the others skip the same test for the same reason, or say it in its name. */
  #printSkips(): void {
    const reasons = new Map<string, string>();
    const places = new Map<string, string[]>();
    for (const result of this.#results) {
      for (const one of result.cases) {
        if (one.outcome !== "skipped") continue;
        const name = `${result.name}: ${one.name}`;
        if (one.detail !== "" && one.detail !== "true") reasons.set(name, one.detail);
        places.set(name, [...(places.get(name) ?? []), result.runtime]);
      }
    }
    for (const [name, runtimes] of places) {
      console.log(`skipped: ${name} (${runtimes.join(", ")}): ${reasons.get(name) ?? "no reason reported"}`);
    }
  }
}

function count(results: readonly SuiteResult[]): { passed: number; failed: number; skipped: number } {
  const cases = results.flatMap((result) => result.cases);
  const having = (outcome: TestCase["outcome"]): number => cases.filter((one) => one.outcome === outcome).length;
  const problems = results.filter((result) => result.problem !== undefined).length;
  return { passed: having("passed"), failed: having("failed") + problems, skipped: having("skipped") };
}

function indent(text: string): string {
  return text.replace(/^/gm, "     | ");
}
