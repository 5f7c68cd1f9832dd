import * as config from "../config/material.ts";
import type { ConfigProblem } from "../config/problem.ts";
import type { Configuration } from "../config/types.ts";
import type { System } from "../runtime/types.ts";

/**
 * Reads and checks every file that the configuration names, and all that is said about authentication: what password files, keys, URLs and headers
 * mean is known on a higher floor than the configuration's.
 */
export async function readMaterial(
  configuration: Configuration,
  system: Pick<System, "readFile" | "now" | "wallClock">,
): Promise<config.ReadMaterial | { readonly problems: readonly ConfigProblem[] }> {
  const read = await config.readMaterial(configuration, system);
  if (read.problems || configuration.authentication === undefined) return read;
  const { createAuthenticator } = await import("./authenticators.ts");
  const problems: ConfigProblem[] = [];
  for (const [index, check] of configuration.authentication.checks.entries()) {
    const made = await createAuthenticator(check, read.material.checks?.[index], system);
    if ("reason" in made) problems.push({ place: "configuration", path: ["authentication", "checks", index, made.key], reason: made.reason, suggestion: undefined, exit: 78 });
  }
  return problems.length > 0 ? { problems } : read;
}
