import { spawn } from "node:child_process";
import process from "node:process";

export interface Outcome {
  /** null: a signal, or the deadline, ended it. */
  readonly code: number | null;
  readonly timedOut: boolean;
  /** Processes that it left behind; they were ended. */
  readonly leftovers: boolean;
  /** Standard output and error in the order in which they came. */
  readonly output: string;
  readonly seconds: number;
}

const groups = new Set<number>();

/** How long a command's own children may take to follow it. */
const FOLLOW_MS = 3_000;

/** Ends every group that still runs: for the runner's own end. */
export function endAll(): void {
  for (const group of groups) signalGroup(group, "SIGKILL");
}

/**
 * Runs a command in a process group of its own, so that its deadline ends all that it started and nothing else.
 */
export function runCommand(
  command: readonly string[],
  options: { env?: Record<string, string | undefined>; timeoutMs: number },
): Promise<Outcome> {
  const [program = "", ...words] = command;
  const started = performance.now();
  return new Promise((resolve) => {
    const child = spawn(program, words, {
      detached: true,
      env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    let timedOut = false;
    const gather = (text: string): void => void (output += text);
    child.stdout.setEncoding("utf8").on("data", gather);
    child.stderr.setEncoding("utf8").on("data", gather);
    const group = child.pid;
    if (group !== undefined) groups.add(group);
    const timer = setTimeout(() => {
      timedOut = true;
      if (group !== undefined) signalGroup(group, "SIGKILL");
    }, options.timeoutMs);
    const finish = async (code: number | null): Promise<void> => {
      clearTimeout(timer);
      const leftovers = group !== undefined && (await endGroup(group));
      resolve({ code, timedOut, leftovers, output, seconds: (performance.now() - started) / 1000 });
    };
    child.on("error", (error) => {
      output += `${error.message}\n`;
      void finish(null);
    });
    // "exit", not "close": a process left behind may hold the pipes open for ever
    child.on("exit", (code) => setTimeout(() => void finish(code), 50));
  });
}

/** Gives the group's other members a moment to end by themselves, then ends them; true when that was needed. */
async function endGroup(group: number): Promise<boolean> {
  const end = performance.now() + FOLLOW_MS;
  while (signalGroup(group, 0)) {
    if (performance.now() > end) {
      signalGroup(group, "SIGKILL");
      groups.delete(group);
      return true;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  groups.delete(group);
  return false;
}

/** False when nobody is left in the group. */
function signalGroup(group: number, signal: "SIGKILL" | 0): boolean {
  try {
    process.kill(-group, signal);
    return true;
  } catch {
    return false;
  }
}
