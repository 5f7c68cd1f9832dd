/*
 * Where the executable begins. What Bun's compilers go by can be said in their environment alone, and is read before the first line of ours:
 * so it is said there, and the program starts itself again: the same process, with the same arguments and descriptors.
 */

/**
 * The best compiler takes a function after 400,000 and not after 64,000 units of work, 15 of them for a call: code that runs once for each
 * connection waits for some 50,000 of them in place of 8,000. In the storm of clients that follows a start it costs more than it gains.
 */
const SETTING = "BUN_JSC_thresholdForFTLOptimizeAfterWarmUp";
const VALUE = "400000";

/** Not in the types. It throws where it cannot do it, and otherwise does not come back. */
type Execve = (file: string, words: readonly string[], environment: NodeJS.ProcessEnv) => never;

function startAgain(): void {
  if (process.env[SETTING] !== undefined) return; // that were we, or somebody who wants it otherwise
  try {
    (process as { execve?: Execve }).execve?.(process.execPath, [process.argv0, ...process.argv.slice(2)], { ...process.env, [SETTING]: VALUE });
  } catch {
    // Windows has no such thing, and a sandbox may forbid it: it works all the same.
  }
}

startAgain();
// Not awaited: Bun spins at full speed on a top-level await that does not settle.
void import("./main.ts");
