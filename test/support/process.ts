import { readFileSync, readdirSync } from "node:fs";
import process from "node:process";
import { Child } from "./child.ts";
import { findProgram } from "./needs.ts";

/** What `npm run build` made, as command lines: the same promises hold for each. */
export const ARTEFACTS: Readonly<Record<"bun" | "deno" | "node", readonly string[]>> = {
  bun: ["dist/sluice"],
  node: [process.env["NODE"] ?? findProgram("node") ?? "node", "dist/sluice.node.js"],
  deno: ["node_modules/.bin/deno", "run", "-A", "dist/sluice.deno.js"],
};

/** The part of node:test's context that is used here, so that a test can hand in its own. */
export interface TestScope {
  after(clean: () => void | Promise<void>): void;
}

export interface LogLine {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** Sluice as a process of its own, with the figures that the operating system keeps about it (Linux). */
export class SluiceProcess {
  readonly child: Child;

  constructor(child: Child) {
    this.child = child;
  }

  get pid(): number {
    return this.child.pid;
  }

  /** The JSON log so far; lines that are no JSON are left out. */
  log(): LogLine[] {
    return this.child.stderr.split("\n").flatMap((line) => {
      if (!line.startsWith("{")) return [];
      try {
        return [JSON.parse(line) as LogLine];
      } catch {
        return []; // the last line may be half written
      }
    });
  }

  waitForEvent(event: string, matches: (line: LogLine) => boolean = () => true, milliseconds = 10_000): Promise<LogLine> {
    return this.child.waitFor(
      () => this.log().find((line) => line.event === event && matches(line)),
      milliseconds,
      `the log event ${event}`,
    );
  }

  /** A pattern in one line of standard error. */
  waitForLine(pattern: RegExp, milliseconds = 10_000): Promise<RegExpExecArray> {
    return this.child.waitFor(
      (child) => {
        for (const line of child.stderr.split("\n")) {
          const found = pattern.exec(line);
          if (found !== null) return found;
        }
        return undefined;
      },
      milliseconds,
      `a line like ${pattern}`,
    );
  }

  /** Resident memory in bytes. */
  residentBytes(): number {
    const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.pid}/status`, "latin1"));
    if (line === null) throw new Error(`read the memory of process ${this.pid}: no VmRSS line`);
    return Number(line[1]) * 1024;
  }

  descriptorCount(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }

  /** Processor time so far, user and system, in milliseconds. */
  processorMs(): number {
    const text = readFileSync(`/proc/${this.pid}/stat`, "latin1");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10; // the kernel counts in hundredths of a second for user space
  }
}

/**
 * Starts a command for one test, with JSON in its log. The test fails when the process has ended by itself at the
 * test's end without the test having looked (`mayEnd`), or when it does not end within five seconds of SIGTERM.
 */
export async function startSluice(
  scope: TestScope,
  command: readonly string[],
  options: { cwd?: string; env?: Record<string, string | undefined>; mayEnd?: boolean } = {},
): Promise<SluiceProcess> {
  const child = await Child.start(command, { cwd: options.cwd, env: { NO_COLOR: "1", ...options.env } });
  scope.after(async () => {
    const before = child.exit;
    const exit = await child.stop();
    if (before === undefined && exit.signal === "SIGKILL") {
      throw new Error(`${child.command}: still there 5 s after SIGTERM\n${child.transcript()}`);
    }
    if (before !== undefined && options.mayEnd !== true) {
      throw new Error(`${child.command}: ended by itself (code ${before.code}, signal ${before.signal})\n${child.transcript()}`);
    }
  });
  return new SluiceProcess(child);
}

/** Runs a command to its end. */
export async function runToEnd(
  command: readonly string[],
  options: { cwd?: string; env?: Record<string, string | undefined>; input?: string; timeoutMs?: number } = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = await Child.start(command, { cwd: options.cwd, env: { NO_COLOR: "1", ...options.env } });
  if (options.input !== undefined) child.write(options.input);
  child.closeInput();
  const exit = await child.ended(options.timeoutMs ?? 20_000);
  return { code: exit.code, stdout: child.stdout, stderr: child.stderr };
}
