import process from "node:process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { pause } from "../support/deadline.ts";

/** Bytes that are in use in this process: what nobody can reach any more is collected first, and what that lets go of after it. */
export async function usedMemory(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    collect();
    await pause(10);
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function collect(): void {
  if (typeof Bun !== "undefined") return Bun.gc(true);
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}
